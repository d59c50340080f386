#!/usr/bin/env python3
"""Runs ours and a peer in turn (A B A B ...) and prints the ratio pair by pair.

    cargo bench --bench workloads --no-run        # prints where the executable is
    python3 benches/compare.py --ours 'target/release/deps/workloads-... --threads 1 --seconds 2 --json' \\
        --peer 'python3 bench_torch.py --threads 1 --seconds 2' --only W1,W4 --pairs 5 --out ratios.jsonl

Both commands get `--only W` and print a line of JSON for each workload (a peer one for each of its variants; its best
counts) with `workload` and `tokens_per_second`, `tokens_per_s` or `us_per_step`. Standard library only.
"""
import argparse, json, shlex, statistics, subprocess


def speed(command, workload):
    """The best speed a command prints for a workload, in calls or tokens per second, with the name of the variant."""
    out = subprocess.run(shlex.split(command) + ["--only", workload], capture_output=True, text=True).stdout
    best = (0.0, "")
    for line in out.splitlines():
        if not line.startswith("{"):
            continue
        row = json.loads(line)
        if row.get("workload") != workload:
            continue
        value = row.get("tokens_per_second") or row.get("tokens_per_s")
        if not value and row.get("us_per_step"):
            value = 1e6 / row["us_per_step"]
        if value and value > best[0]:
            best = (float(value), row.get("variant", ""))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--ours", "--peer", "--only"):
        parser.add_argument(name, required=True)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--out", help="appends a line of JSON for each workload")
    args = parser.parse_args()
    print("workload   ours      peer      ratio: median (lowest to highest)  peer's best variant")
    for workload in args.only.split(","):
        pairs = [(speed(args.ours, workload), speed(args.peer, workload)) for _ in range(args.pairs)]
        pairs = [pair for pair in pairs if pair[0][0] and pair[1][0]]
        if not pairs:
            print(f"{workload:<9} no figures from one of the two")
            continue
        ratios = sorted(ours[0] / peer[0] for ours, peer in pairs)
        ours = statistics.median(pair[0][0] for pair in pairs)
        peer = statistics.median(pair[1][0] for pair in pairs)
        middle = statistics.median(ratios)
        print(f"{workload:<9}{ours:>9.0f} {peer:>9.0f} {middle:>8.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
              f"{'':<12}{pairs[-1][1][1]}", flush=True)
        if args.out:
            row = dict(workload=workload, ours=ours, peer=peer, ratio=middle, lowest=ratios[0], highest=ratios[-1],
                       pairs=len(pairs), variant=pairs[-1][1][1])
            with open(args.out, "a") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
