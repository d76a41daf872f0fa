"""Inject faults into real runs of the stage and count what is lost.

    python -m tools.faults                       # all scenarios, some minutes on 4 cores
    python -m tools.faults --scenario actors --kills 300 --seed 7

Prints a table as in docs/reliability.md and every problem found; the exit code is 1 if there is any. A fault
that this machine does not allow to be made (mounting a small disk needs root) is named as not possible.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.faults.bed import Bed, Result
from tools.faults.disks import NotPossibleError, full_disk, read_errors
from tools.faults.drivers import killed_driver, lost_node
from tools.faults.workers import killed_actors, poison, stuck


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--scenario", action="append", choices=SCENARIOS, help="may be repeated; all by default"
    )
    parser.add_argument("--kills", type=int, default=100, help="of actors, at random times in one run")
    parser.add_argument("--driver-kills", type=int, default=12)
    parser.add_argument("--videos", type=int, default=240)
    parser.add_argument("--frames", type=int, default=300, help="of each short video")
    parser.add_argument("--size", type=int, default=320, help="pixels of a side of each video")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help="keep the work folder and say where it is")
    given = parser.parse_args()
    bed = Bed(
        given.videos,
        given.frames,
        given.size,
        workers=given.workers,
        seed=given.seed,
        keep=given.keep,
        patient=True,
    )
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {given.workers} workers")
    print(f"{len(bed.good)} good videos of {given.frames} frames; seed {given.seed}; {bed.folder}\n")
    results, refused = [], []
    try:
        for name in given.scenario or SCENARIOS:
            try:
                results.append(SCENARIOS[name](bed, given))
                print(line(results[-1]), flush=True)
                for problem in results[-1].problems:
                    print(f"    {problem}", flush=True)
            except NotPossibleError as reason:
                refused.append(f"{name}: not possible here: {reason}")
                print(refused[-1], flush=True)
    finally:
        bed.close()
    print("\n" + table(results))
    return 1 if any(not result.passed for result in results) else 0


SCENARIOS: dict[str, Callable[[Bed, argparse.Namespace], Result]] = {
    "actors": lambda bed, given: killed_actors(bed, given.kills, mean_seconds=0.4),
    "node": lambda bed, given: lost_node(bed),
    "driver": lambda bed, given: killed_driver(bed, given.driver_kills),
    "disk-full": lambda bed, given: full_disk(bed),
    "read-errors": lambda bed, given: read_errors(bed),
    "stuck": lambda bed, given: stuck(bed),
    "poison": lambda bed, given: poison(bed, 0),
    "poison-and-kills": lambda bed, given: poison(bed, given.kills // 2, mean_seconds=0.5),
}

COLUMNS = (
    "scenario",
    "done",
    "good videos",
    "stored",
    "lost",
    "doubled",
    "changed",
    "blamed",
    "deep check",
    "left over",
    "orphans",
    "all gone after (s)",
    "seconds",
)


def row(result: Result) -> list[str]:
    """One line of the table."""
    verdict = result.verdict
    return [
        result.scenario,
        result.done,
        str(result.num_good),
        str(verdict.num_stored),
        str(len(verdict.lost)),
        str(len(verdict.doubled)),
        str(len(verdict.changed)),
        str(len(verdict.quarantined)),
        "clean" if not verdict.damaged else f"{len(verdict.damaged)} problems",
        str(len(verdict.left_over)),
        str(result.num_orphans),
        f"{result.orphan_seconds:.0f}",
        f"{result.seconds:.0f}",
    ]


def line(result: Result) -> str:
    cells = ", ".join(f"{name} {cell}" for name, cell in zip(COLUMNS[2:], row(result)[2:], strict=True))
    return f"{'ok    ' if result.passed else 'FAILED'} {result.scenario} ({result.done}): {cells}"


def table(results: list[Result]) -> str:
    """Markdown."""
    rows = [list(COLUMNS), ["---"] * len(COLUMNS), *map(row, results)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


if __name__ == "__main__":
    sys.exit(main())
