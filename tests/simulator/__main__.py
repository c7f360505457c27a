"""Run seeds by hand: ``python -m tests.simulator --seed 7``, or many of them."""

import argparse
import sys
import time

from tests.simulator.bugs import BUGS, only_with_registries, planted
from tests.simulator.checker import violations
from tests.simulator.simulation import simulate

LINES_MAX = 8


def say(*lines: str) -> None:
    """Write *lines* out."""
    for line in lines:
        sys.stdout.write(f"{line}\n")


def main() -> int:
    """Run what was asked for; return 1 if anything was violated."""
    parser = argparse.ArgumentParser(prog="tests.simulator", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds")
    parser.add_argument("--seeds", default="", metavar="A-B", help="from A up to B")
    parser.add_argument(
        "--registries", action="store_true", help="let every world have registries"
    )
    parser.add_argument("--bug", choices=sorted(BUGS), default="", help="plant a bug")
    parser.add_argument("--trace", action="store_true", help="print what happened")
    parser.add_argument("--fast", action="store_true", help="without the model")
    asked = parser.parse_args()
    began = time.perf_counter()
    bad = 0
    seeds = range(asked.seed, asked.seed + asked.count)
    if asked.seeds:
        first, _, last = asked.seeds.partition("-")
        seeds = range(int(first), int(last or first) + 1)
    registries = asked.registries or only_with_registries(asked.bug)
    for seed in seeds:
        with planted(asked.bug):
            run = simulate(seed, registries=registries or None)
        found = violations(run.history, by_model=not asked.fast)
        bad += bool(found)
        if asked.trace:
            say(*run.history.notes)
        if found or len(seeds) == 1:
            say(
                f"seed {seed}: {run.step_count} callbacks,"
                f" {run.virtual_seconds:.0f} virtual seconds, healed in"
                f" {run.liveness_seconds:.1f} s, trace {run.trace_hash()}"
            )
            say(*(f"  {line}" for line in found[:LINES_MAX]))
    took = time.perf_counter() - began
    count = len(seeds)
    say(f"{count} seeds, {bad} bad, {1000 * took / max(1, count):.0f} ms a seed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
