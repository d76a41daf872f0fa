"""Feeds broken and hostile files to decoding and to the whole stage, and says what became of each.

    python tools/fuzz.py [--cases 1200] [--workers 3] [--seed 0] [--mode both|decode|stage] [--json FILE]

The cases are made anew from small videos of many makes (tools/fuzzing), by chance from --seed: the same seed
damages alike, but x264 differs by some bytes in every run. `decode` runs probe and decoder in children
with an address-space limit; `stage` runs the command's own path on a folder of the cases: discovery, hashing,
driver, watched workers, store; then the store is verified byte by byte. Ends with status 1 if a case hung,
crashed a process, took more memory than allowed, was stored wrong, or is neither stored nor refused.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also where videofer is not installed

from tools.fuzzing.corpus import SOUND, Case, write_corpus
from tools.fuzzing.decode_run import Result, run_decoding
from tools.fuzzing.seeds import make_seeds
from tools.fuzzing.stage_run import run_stage

DECODE_LIMIT_BYTES = 2 << 30  # of address space, beyond what the process had
STAGE_LIMIT_BYTES = 3 << 30  # resident, of a worker with its networks
GOOD = ("stored whole", "stored in part", "refused")
BAD = ("hang", "crash", "over memory", "wrong", "error")
DATA = Path(os.environ.get("VIDEOFER_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1200, help="broken and hostile files (1200)")
    parser.add_argument("--workers", type=int, default=3, help="processes side by side (3)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mode", choices=["both", "decode", "stage"], default="both")
    parser.add_argument("--keep", type=Path, help="an empty or new folder for the cases and the store")
    parser.add_argument("--json", type=Path, help="write the results there, too")
    arguments = parser.parse_args()
    os.environ.setdefault("VIDEOFER_OFFLINE", "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        folder = arguments.keep or Path(scratch)
        began = time.monotonic()
        seeds = make_seeds(folder / "seeds", DATA / "videos")
        cases = write_corpus(folder / "cases", seeds, arguments.cases, arguments.seed)
        num_sound = sum(case.kind == SOUND for case in cases)
        print(f"{len(cases)} cases, {num_sound} of them sound, made in {time.monotonic() - began:.0f} s")
        print(f"on {os.cpu_count()} cores of {platform.machine()}, {arguments.workers} processes at once")
        records = []
        failed = False
        if arguments.mode != "stage":
            began = time.monotonic()
            results = run_decoding(cases, num_workers=arguments.workers, limit_bytes=DECODE_LIMIT_BYTES)
            print(f"\nProbe and decoder alone: {time.monotonic() - began:.0f} s")
            failed |= report(cases, results)
            extremes(cases, results)
            records.append(("decode", results))
        if arguments.mode != "decode":
            weights = DATA / "weights" if (DATA / "weights").is_dir() else None
            run = run_stage(
                cases,
                folder / "store",
                num_workers=arguments.workers,
                limit_bytes=STAGE_LIMIT_BYTES,
                weights=weights,
            )
            print(f"\nThe whole stage: {run.wall_seconds:.0f} s, {run.num_workers_lost} workers lost,")
            print(f"largest worker {run.peak_worker_bytes / 2**20:.0f} MiB")
            failed |= report(cases, run.results)
            for problem in run.problems:
                print(f"PROBLEM {problem}")
            failed |= bool(run.problems)
            records.append(("stage", run.results))
        if arguments.json:
            arguments.json.write_text(json.dumps(as_json(cases, records), indent=1))
    return int(failed)


def report(cases: list[Case], results: list[Result]) -> bool:
    """Prints the table of kinds and outcomes and every bad case; whether there is one."""
    kinds = sorted({case.kind for case in cases}, key=lambda kind: (kind == SOUND, kind))
    print(f"{'':24}" + "".join(f"{name:>15}" for name in GOOD) + "".join(f"{name:>12}" for name in BAD))
    rows = [(kind, [r for c, r in zip(cases, results, strict=True) if c.kind == kind]) for kind in kinds]
    for kind, its in [*rows, ("all", results)]:
        counts = Counter(result.outcome for result in its)
        line = "".join(f"{counts[name] or '.':>15}" for name in GOOD)
        print(f"{kind:24}{line}" + "".join(f"{counts[name] or '.':>12}" for name in BAD))
    bad = False
    for case, result in zip(cases, results, strict=True):
        if result.outcome not in GOOD or (case.kind == SOUND and result.outcome != "stored whole"):
            print(f"BAD {case.kind}: {case.path.name}: {result.outcome}: {result.reason}")
            bad = True
    return bad


def extremes(cases: list[Case], results: list[Result]) -> None:
    """Prints the cases that took longest and most."""
    pairs = list(zip(cases, results, strict=True))
    for name, attribute in (("slowest", "seconds"), ("hungriest", "peak_bytes")):
        for case, result in sorted(pairs, key=lambda pair: -getattr(pair[1], attribute))[:3]:
            print(
                f"{name}: {result.seconds:.2f} s, {result.peak_bytes / 2**20:.0f} MiB: {case.kind}, "
                f"{case.path.name}: {result.outcome} {result.reason[:120]}"
            )


def as_json(cases: list[Case], records: list[tuple[str, list[Result]]]) -> list[dict[str, object]]:
    """One entry a case and run."""
    return [
        {
            "run": run,
            "kind": case.kind,
            "file": case.path.name,
            "outcome": result.outcome,
            "reason": result.reason,
            "num_frames": result.num_frames,
            "seconds": round(result.seconds, 3),
            "peak_bytes": result.peak_bytes,
        }
        for run, results in records
        for case, result in zip(cases, results, strict=True)
    ]


if __name__ == "__main__":
    sys.exit(main())
