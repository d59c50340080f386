#!/usr/bin/env python3
"""Runs ours and its peers in turn (A B A B ...) and keeps the ratio of each pair in docs/performance/ratios.jsonl.

    python3 benches/compare.py --dir DIR                                  # all that benches/peers.json lists
    python3 benches/compare.py --dir DIR --peers PyTorch,JAX --only W1,W4 --threads 1 --seconds 1 --pairs 5

The settings name each peer, its command (run in DIR, which holds the peers' scripts and programs) and its workloads,
each with options of its own. Every command gets `--threads N --seconds S --only W` and prints a line of JSON for the
workload, or one for each variant tried, of which the fastest counts: `workload`, `tokens_per_second`, `tokens_per_s` or
`us_per_step`, and where known `peak_mib`, `variant` and `peer` (name and version). All commands are pinned to the
first N of `--cores`. A row of the file is one workload, threads, peer and processor; a new measurement of it replaces the
old one, and the file is written after each. `benches/chart.py` makes the picture and the table of it. Standard library only.
"""
import argparse, datetime, json, os, re, shlex, shutil, statistics, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def ours():
    """Builds our workloads and gives the path of the executable."""
    command = "cargo bench --bench workloads --no-run --message-format=json"
    out = subprocess.run(command.split(), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    paths = [json.loads(line).get("executable") for line in out.splitlines() if line.startswith("{")]
    return [path for path in paths if path][-1]


def speed(row):
    """Tokens (W6: steps) a second of a line of JSON; 0 where it has none."""
    microseconds = row.get("us_per_step")
    return row.get("tokens_per_second") or row.get("tokens_per_s") or (1e6 / microseconds if microseconds else 0.0)


def measure(command, directory, workload):
    """The line of JSON of a command's fastest variant, with its `speed`."""
    run = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    rows = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    rows = [dict(row, speed=speed(row)) for row in rows if row.get("workload") == workload and speed(row)]
    if not rows:
        print(f"{workload}: no figures from {shown(command)}: {(run.stderr or run.stdout)[-500:]}", file=sys.stderr)
    return max(rows, key=lambda row: row["speed"], default=None)


def shown(command):
    """A command without directories and without cargo's hash."""
    return re.sub(r"-[0-9a-f]{16}\b", "", " ".join(re.sub(r"[^\s=]*/", "", word) for word in command))


def cpu():
    """The processor, where the system tells: its name, its model where the name does not tell, and its widest instructions."""
    try:
        text = Path("/proc/cpuinfo").read_text()
        one = lambda name: re.search(rf"^{name}\s*:\s*(.*)", text, re.M)[1].strip()
        flags = set(one("flags").split())
        wide = [name for flag, name in (("amx_tile", "AMX"), ("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags]
        return f"{re.sub(r'[(](R|TM)[)]', '', one('model name'))}, model {one('model')}, {' '.join(wide[:1])}"
    except (OSError, TypeError):
        return "unknown"


def compare(our, peer, directory, pairs, workload):
    """The figures of one row: medians, the ratios pair by pair, memory, the fastest variant."""
    both = [(measure(our, ROOT, workload), measure(peer, directory, workload)) for _ in range(pairs)]
    both = [pair for pair in both if all(pair)]
    if not both:
        return None
    ratios = [a["speed"] / b["speed"] for a, b in both]
    middle = lambda side, key: round(statistics.median(pair[side].get(key) or 0 for pair in both), 1)
    return dict(
        ours=middle(0, "speed"), theirs=middle(1, "speed"), ratio=round(statistics.median(ratios), 3),
        lowest=round(min(ratios), 3), highest=round(max(ratios), 3), ratios=[round(ratio, 3) for ratio in ratios],
        ours_peak_mib=middle(0, "peak_mib"), theirs_peak_mib=middle(1, "peak_mib"),
        version=both[-1][1].get("peer", ""), variant=statistics.mode(pair[1].get("variant", "") for pair in both))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=Path, default=ROOT / "benches/peers.json")
    parser.add_argument("--dir", type=Path, required=True, help="where the peers' commands are run")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/performance/ratios.jsonl")
    parser.add_argument("--ours", help="our executable; built by cargo when not given")
    parser.add_argument("--peers", help="names; all when not given")
    parser.add_argument("--only", help="workloads; all when not given")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--cores", default=",".join(str(core) for core in range(os.cpu_count() or 1)))
    parser.add_argument("--seconds", default="1.5", help="of each run of a command")
    parser.add_argument("--pairs", type=int, default=3)
    args = parser.parse_args()
    executable = args.ours or ours()
    rows = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out.exists() else []
    def key(row):
        kind, *sizes = re.sub(r"\d+", "", row["workload"]), *map(int, re.findall(r"\d+", row["workload"]))
        return row["cpu"], sizes[0], kind, sizes, row["threads"], row["peer"]
    todo = [(workload, int(threads), peer) for peer in json.loads(args.settings.read_text())
            for workload in peer["workloads"] for threads in args.threads.split(",")
            if (not args.peers or peer["name"] in args.peers.split(","))
            and (not args.only or workload in args.only.split(","))]
    for workload, threads, peer in todo:
        cores = args.cores.split(",")[:threads]
        pin = ["taskset", "-c", ",".join(cores)] if shutil.which("taskset") else []
        options = ["--threads", str(threads), "--seconds", args.seconds, "--only", workload]
        our = pin + [os.path.abspath(executable), "--json"] + options
        other = pin + shlex.split(peer["command"]) + options + shlex.split(peer["workloads"][workload])
        figures = compare(our, other, args.dir, args.pairs, workload)
        if not figures:
            continue
        row = dict(workload=workload, threads=threads, peer=peer["name"], **figures, seconds=float(args.seconds),
                   date=str(datetime.date.today()), cpu=cpu(), cores=os.cpu_count(),
                   ours_command=shown(our), theirs_command=shown(other))
        rows = sorted([old for old in rows if key(old) != key(row)] + [row], key=key)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text("".join(json.dumps(old) + "\n" for old in rows))
        print(f"{workload:<4}{threads} threads {peer['name']:<13}{row['ours']:>9.0f} {row['theirs']:>9.0f} "
              f"{row['ratio']:>7.2f} ({row['lowest']:.2f} to {row['highest']:.2f}) {row['variant']}", flush=True)


if __name__ == "__main__":
    main()
