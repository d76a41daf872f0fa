"""Faults of workers: killed from outside, poisoned, hanging, eating memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tools.faults.bed import Bed, Result, Run
from tools.faults.corpus import write_clip
from tools.faults.processes import Household, actors, kill

QUICK_WATCH = {"silent_seconds": 5.0, "max_rss_bytes": 1 << 30}


def killed_actors(bed: Bed, num_kills: int, mean_seconds: float = 0.9) -> Result:
    """SIGKILL for a random worker at random times, whatever it is doing: starting, working, sealing."""
    out, began = bed.folder / "killed", time.monotonic()
    with Household() as household:
        run = bed.start(household, [bed.videos], out)
        done = _kill_at_random(bed, run, num_kills, mean_seconds)
        report = run.wait()
        problems = unexpected(report, failed=set())
        if done < num_kills:
            problems.append(f"the run was over after {done} of {num_kills} kills: give it more videos")
        return bed.conclude(
            "actors killed at random times",
            f"{done} SIGKILL, {report.get('num_workers_lost')} workers replaced",
            household,
            out,
            began,
            problems=problems,
        )


def poison(bed: Bed, num_kills: int, mean_seconds: float = 0.9) -> Result:
    """Videos that end their worker every time, by SIGKILL or SIGSEGV; others are killed from outside."""
    out, folder = bed.folder / f"poison{num_kills}", bed.folder / "poison-videos"
    began = time.monotonic()
    bad = {write_clip(_made(folder) / name, 9000 + n, 60).name for n, name in enumerate(POISON)}
    with Household() as household:
        run = bed.start(household, [bed.videos, folder], out)
        done = _kill_at_random(bed, run, num_kills, mean_seconds)
        report = run.wait()
        problems = unexpected(report, failed=bad)
        result = bed.conclude(
            "poison videos" + (", and kills from outside" if num_kills else ""),
            f"{len(bad)} poison videos, {done} SIGKILL from outside, "
            f"{report.get('num_workers_lost')} workers replaced",
            household,
            out,
            began,
            problems=problems,
        )
    return result


POISON = ("a-poison.mp4", "m-crash.mp4", "z-poison.mp4")
STUCK = {"b-hang.mp4": "no progress", "n-spin.mp4": "no progress", "y-eat.mp4": "of memory"}


def stuck(bed: Bed) -> Result:
    """Videos whose decoder never returns, with and without the interpreter's lock, or takes all memory."""
    out, folder = bed.folder / "stuck", bed.folder / "stuck-videos"
    began = time.monotonic()
    for number, name in enumerate(STUCK):
        write_clip(_made(folder) / name, 9100 + number, 60)
    with Household() as household:
        run = bed.start(household, [bed.videos, folder], out, watch=QUICK_WATCH)
        report = run.wait()
        problems = unexpected(report, failed=set(STUCK))
        reasons = {failure["name"]: failure["reason"] for failure in report.get("failures", [])}
        problems += [
            f"{name} failed for another reason: {reasons[name]}"
            for name, words in STUCK.items()
            if name in reasons and words not in reasons[name]
        ]
        return bed.conclude(
            "decoder hangs, or eats memory",
            f"{len(STUCK)} such videos, {report.get('num_workers_lost')} workers replaced",
            household,
            out,
            began,
            problems=problems,
        )


def _kill_at_random(bed: Bed, run: Run, num_kills: int, mean_seconds: float) -> int:
    """Kill until it is enough, or the run is over. How many were killed."""
    done = 0
    while done < num_kills and not run.is_over:
        time.sleep(bed.rng.expovariate(1 / mean_seconds))
        found = actors(run.pid)
        done += bool(found) and kill(bed.rng.choice(found))
    return done


def unexpected(report: dict[str, Any], failed: set[str]) -> list[str]:
    """What a run's report says that it should not."""
    if "error" in report:
        return [f"the run ended with: {report['error']}"]
    found = {failure["name"]: failure for failure in report["failures"]}
    problems = [f"not given up: {name}" for name in sorted(failed - found.keys())]
    return problems + [
        f"given up without cause: {name}: {found[name]['stage']}: {found[name]['reason']}"
        for name in sorted(found.keys() - failed)
    ]


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
