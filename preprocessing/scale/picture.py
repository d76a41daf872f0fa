"""The simulated run as a picture: who is busy when, and how the run shrinks with more cores."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from preprocessing.scale.archive import Archive
from preprocessing.scale.overheads import Overheads
from preprocessing.scale.plan import MAX_WATCH_SHARE, RunPlan, Setup, make_plan
from preprocessing.scale.rates import Rates

NUM_POINTS = 600
CORE_STEPS = 9  # of the curve over cores, a factor of two apart
INK, FAINT = "#222222", "#999999"


@dataclass(frozen=True)
class _Way:
    """One way to run the same work."""

    label: str
    colour: str
    setup: Setup


def draw(path: Path, archive: Archive, rates: Rates, setup: Setup, overheads: Overheads) -> None:
    """Two panels, written in the format that the file's ending names."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    ways = [
        _Way(
            "whole videos in random order",
            "#d1495b",
            replace(setup, segment_seconds=math.inf, order="random"),
        ),
        _Way("whole videos, longest first", "#edae49", replace(setup, segment_seconds=math.inf)),
        _Way(f"segments of {setup.segment_seconds / 60:g} minutes", "#00798c", setup),
    ]
    if math.isinf(setup.segment_seconds):
        ways.pop()
    with mpl.rc_context({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False}):
        figure = plt.figure(figsize=(12, 5.4))
        grid = figure.add_gridspec(2, 2, width_ratios=[1.15, 1], height_ratios=[1, 1.7])
        right = figure.add_subplot(grid[:, 1])
        lower = figure.add_subplot(grid[1, 0])
        upper = figure.add_subplot(grid[0, 0], sharex=lower)
        plans = [make_plan(archive, rates, way.setup, overheads) for way in ways]
        _draw_time(upper, lower, ways, plans)
        _draw_cores(right, ways, plans, archive, rates, overheads)
        figure.suptitle(
            f"{len(archive):,} videos, {archive.total_seconds / 3600:,.0f} hours: the same "
            f"{plans[-1].worker_seconds / 3600:,.0f} core-hours in {_in_words(len(ways))} ways (simulated)",
            x=0.01, ha="left", fontweight="bold",
        )  # fmt: skip
        figure.tight_layout()
        figure.savefig(path, dpi=150)
        plt.close(figure)


def _draw_time(upper: Any, lower: Any, ways: list[_Way], plans: list[RunPlan]) -> None:
    """Above: work that is left. Below: busy workers, on a log scale, so that the last one can be seen."""
    last = max(plan.wall_seconds for plan in plans)
    times = np.linspace(0, last * 1.02, NUM_POINTS)
    for way, plan in zip(ways, plans, strict=True):
        run = plan.run
        done = np.where(run.run_was_lost, 0.0, run.run_ends - run.run_starts)  # runs are sorted by their ends
        left = 100 * (1 - np.cumsum(done) / done.sum())
        after = np.searchsorted(run.run_ends, times, side="right") - 1
        upper.plot(times / 3600, np.where(after < 0, 100.0, left[after]), color=way.colour, lw=2)
        hours = plan.wall_seconds / 3600
        busy = np.where(times < plan.wall_seconds, np.maximum(run.num_busy_at(times), 1), np.nan)
        lower.plot(times / 3600, busy, color=way.colour, lw=2, label=f"{way.label}: {hours:,.1f} h")
        lower.plot([hours], [1], "o", color=way.colour, clip_on=False, zorder=3)
    upper.set(ylabel="work left, %", ylim=(0, 102))
    upper.tick_params(labelbottom=False)
    upper.set_title(
        f"{plans[-1].setup.num_workers:,} cores: some are busy long after the rest", loc="left", fontsize=11
    )
    lower.set_yscale("log")
    lower.yaxis.set_major_formatter(lambda value, _position: f"{value:,g}")
    lower.set(xlabel="hours since the start", ylabel="busy cores", xlim=(0, None), ylim=(1, None))
    upper.legend(*lower.get_legend_handles_labels(), frameon=False, loc="upper right", fontsize=10)


def _draw_cores(
    axes: Any,
    ways: list[_Way],
    plans: list[RunPlan],
    archive: Archive,
    rates: Rates,
    overheads: Overheads,
) -> None:
    """Length of the run against cores, with the line of perfect sharing."""
    import matplotlib as mpl

    here = ways[0].setup.num_workers
    most = MAX_WATCH_SHARE / overheads.watch_seconds if overheads.watch_seconds else math.inf
    steps = here * 2.0 ** np.arange(-4, CORE_STEPS - 4)
    too_many = most < steps[-1]
    if too_many:
        steps = np.append(steps[steps < most], most - 1)
    cores = np.unique(np.round(steps).astype(int).clip(1))
    for way in ways:
        runs = [
            make_plan(archive, rates, replace(way.setup, num_workers=int(n), num_node_losses=0), overheads)
            for n in cores
        ]
        axes.plot(cores, [run.wall_seconds / 3600 for run in runs], "o-", color=way.colour, lw=2, ms=4)
    ideal = plans[-1].worker_seconds / 3600 / cores
    axes.plot(cores, ideal, color=FAINT, lw=1, ls="--")
    place = len(cores) // 2
    axes.annotate(
        "perfect sharing", (cores[place], ideal[place]), (-6, -4), textcoords="offset points",
        color=FAINT, ha="right", va="top",
    )  # fmt: skip
    driver = plans[-1].driver_seconds / 3600
    if driver > ideal[-1] / 3:
        axes.axhline(driver, color=FAINT, lw=1, ls=":")
        axes.annotate("one driver: no faster than this", (cores[0], driver), color=FAINT, va="bottom")
    if too_many:
        axes.axvline(most, color=FAINT, lw=1, ls=":")
        axes.annotate("one driver watches no more", (most, axes.get_ylim()[1]), (-6, -8),
                      textcoords="offset points", color=FAINT, ha="right", va="top")  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
    axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _position: f"{value:,g}")
    axes.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axes.set(xlabel="cores", ylabel="hours of the run")
    axes.set_title(
        "More cores help until the longest job, or the driver, is the run", loc="left", fontsize=11
    )


def _in_words(number: int) -> str:
    return {2: "two", 3: "three"}.get(number, str(number))
