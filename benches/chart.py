#!/usr/bin/env python3
"""Makes of docs/performance/ratios.jsonl the picture ratios.svg beside it and the table in docs/performance.md.

    python3 benches/chart.py

The table stands between the two marker comments of docs/performance.md. Standard library only.
"""
import itertools, json, math, re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN, END = "<!-- ratios: begin (written by benches/chart.py) -->", "<!-- ratios: end -->"
COLOURS = {"PyTorch": "#d55e00", "ONNX Runtime": "#0072b2", "JAX": "#9a5ba5", "MXNet": "#009e73", "burn": "#4d4d4d",
           "RTNeural": "#c2a300"}
LANE, GAP, TOP, LEFT, PANEL, BETWEEN = 15, 12, 84, 96, 400, 44  # pixels


def colour(peer):
    return COLOURS.get(peer, "#999999")


def peers_of(rows):
    """The peers in the order of COLOURS, others after them."""
    order = list(COLOURS)
    return sorted({row["peer"] for row in rows}, key=lambda peer: (order.index(peer) if peer in order else 99, peer))


def processors(rows):
    """The rows of each processor, that measured last first."""
    names = sorted({row["cpu"] for row in rows}, key=lambda name: max(row["date"] for row in rows if row["cpu"] == name))
    return [(name, [row for row in rows if row["cpu"] == name]) for name in reversed(names)]


def svg(rows):
    """A block for each processor."""
    threads = sorted({row["threads"] for row in rows})
    low = min(0.8, min(row["lowest"] for row in rows) / 1.3)
    high = max(2.0, max(row["highest"] for row in rows) * 1.5)  # room for labels
    at = lambda ratio: PANEL * math.log(ratio / low) / math.log(high / low)
    width, y, blocks = LEFT + len(threads) * (PANEL + BETWEEN), TOP, []
    for name, group in processors(rows):
        lines, y = block(name, group, threads, at, (low, high), y, width)
        blocks += lines
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}" '
           'font-family="DejaVu Sans, Verdana, Arial, sans-serif" font-size="12" fill="#222222">',
           '<rect width="100%" height="100%" fill="#ffffff"/>',
           f'<text x="{LEFT}" y="22" font-size="15" font-weight="bold">Speed of deep-rnn as a multiple of a peer\'s</text>']
    x = LEFT
    for peer in peers_of(rows):
        out.append(f'<circle cx="{x + 5}" cy="41" r="4.5" fill="{colour(peer)}"/><text x="{x + 15}" y="45">{peer}</text>')
        x += 36 + 8 * len(peer)
    return "\n".join(out + blocks + ["</svg>", ""])


def block(name, rows, threads, at, ends, y, width):
    """Dots with whiskers on a log axis: a panel for each number of threads, a lane for each workload and peer; and where it ends."""
    low, high = ends
    top, lanes, bands = y + 34, {}, []
    out = [f'<text x="{LEFT}" y="{y}" font-size="13" font-weight="bold">{name}, {unique(row["date"] for row in rows)}</text>']
    y = top
    for workload in dict.fromkeys(row["workload"] for row in rows):
        start = y
        for peer in peers_of(rows):
            if any(row["workload"] == workload and row["peer"] == peer for row in rows):
                lanes[workload, peer] = y + GAP / 2 + LANE / 2
                y += LANE
        y += GAP
        bands.append((workload, start, y))
    for k, (workload, start, end) in enumerate(bands):
        if k % 2 == 0:
            out.append(f'<rect x="0" y="{start}" width="{width}" height="{end - start}" fill="#f4f4f4"/>')
        out.append(f'<text x="12" y="{(start + end) / 2 + 5:.1f}" font-weight="bold">{workload}</text>')
    ticks = [value * 10**power for power in (-1, 0, 1, 2, 3) for value in (1, 1.5, 2, 3, 5, 7)]
    for k, count in enumerate(threads):
        x0 = LEFT + k * (PANEL + BETWEEN)
        out.append(f'<text x="{x0}" y="{top - 8}" font-weight="bold">{count} thread{"s" if count > 1 else ""}</text>')
        for tick in (tick for tick in ticks if low <= tick <= high):
            stroke = 'stroke="#222222" stroke-width="1.5"' if tick == 1 else 'stroke="#d0d0d0"'
            x = x0 + at(tick)
            out.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{y}" {stroke}/>'
                       f'<text x="{x:.1f}" y="{y + 16}" text-anchor="middle">{tick:g}</text>')
        out.append(f'<text x="{x0 + at(1) + 8:.1f}" y="{y + 36}">more than 1: ours is faster</text>')
        for row in (row for row in rows if row["threads"] == count):
            height, fill = lanes[row["workload"], row["peer"]], colour(row["peer"])
            a, b, middle = (x0 + at(row[name]) for name in ("lowest", "highest", "ratio"))
            label, anchor = (min(a, middle - 4) - 5, "end") if row["ratio"] < 1 else (max(b, middle + 4) + 5, "start")
            out.append(f'<line x1="{a:.1f}" y1="{height}" x2="{b:.1f}" y2="{height}" stroke="{fill}" stroke-width="2"/>'
                       f'<circle cx="{middle:.1f}" cy="{height}" r="4" fill="{fill}"/>'
                       f'<text x="{label:.1f}" y="{height + 4}" font-size="11" text-anchor="{anchor}">{row["ratio"]:.2f}</text>')
    return out, y + 78


def unique(values):
    return ", ".join(dict.fromkeys(str(value) for value in values))


def spread(row):
    return f"{row['ratio']:.2f} ({row['lowest']:.2f} to {row['highest']:.2f})"


def table(rows):
    """The rows of a processor as Markdown: what was run where, speeds and ratios, memory of W5."""
    threads = sorted({row["threads"] for row in rows})
    order = peers_of(rows)
    numbers = lambda row: [int(number) for number in re.findall(r"\d+", row["workload"])]
    kind = lambda row: (numbers(row)[0], re.sub(r"\d+", "", row["workload"]), numbers(row))
    groups = sorted(rows, key=lambda row: (kind(row), order.index(row["peer"]), row["threads"]))
    pairs, seconds = min(len(row["ratios"]) for row in rows), unique(format(row["seconds"], "g") for row in rows)
    versions = unique(row["version"] for row in sorted(rows, key=lambda row: order.index(row["peer"])))
    out = [", ".join(unique(row[name] for row in rows) + unit for name, unit in (("cores", " cores"), ("date", "")))
           + f"; at least {pairs} pair{'s' if pairs > 1 else ''} of {seconds} seconds. Peers: {versions}.", ""]
    names = [f"{count} thread{'s' if count > 1 else ''}" for count in threads]
    heads = [head for name in names for head in (f"ours, {name}", f"peer, {name}", f"ratio, {name}")]
    out += ["| | peer | " + " | ".join(heads) + " |", "| --- | --- |" + " ---: | ---: | --- |" * len(threads)]
    for (workload, peer), group in itertools.groupby(groups, key=lambda row: (row["workload"], row["peer"])):
        found = {row["threads"]: row for row in group}
        cells = [f"{row['ours']:,.0f} | {row['theirs']:,.0f} | {spread(row)}" if row else "- | - | -" for row in map(found.get, threads)]
        out.append(f"| {workload} | {peer} | " + " | ".join(cells) + " |")
    memory = [row for row in groups if row["workload"] == "W5" and row["ours_peak_mib"] and row["theirs_peak_mib"]]
    if memory:
        out += ["", "Peak memory of W5 above the start, MiB (a ratio less than 1: ours takes less):", "",
                "| peer | threads | ours | peer | ratio |", "| --- | ---: | ---: | ---: | ---: |"]
        for row in memory:
            a, b = row["ours_peak_mib"], row["theirs_peak_mib"]
            out.append(f"| {row['peer']} | {row['threads']} | {a:.0f} | {b:.0f} | {a / b:.2f} |")
    return "\n".join(out)


def main():
    rows = [json.loads(line) for line in (DOCS / "performance/ratios.jsonl").read_text().splitlines()]
    (DOCS / "performance/ratios.svg").write_text(svg(rows))
    page = DOCS / "performance.md"
    before, rest = page.read_text().split(BEGIN)
    tables = "\n\n".join(f"### {name}\n\n{table(group)}" for name, group in processors(rows))
    page.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
