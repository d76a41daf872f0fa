"""The figures as Markdown, and their place in a page of the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.gpu_bench.pipeline import Figures
from tools.gpu_bench.training import TrainingFigures

BEGIN, END = "<!-- bench-gpu: begin -->", "<!-- bench-gpu: end -->"
NONE = "-"
AIM_FRAMES, AIM_TRAINING = 1000, 0.9


def page_text(machine: str, figures: Sequence[Figures], training: Sequence[TrainingFigures]) -> str:
    """The part of a page: what it was measured on, two tables, and the aims."""
    parts = [f"Measured on {machine}.", pipeline_table(figures)]
    if figures:
        best = max(figures, key=lambda each: each.frames_per_second)
        reached = "reached" if best.frames_per_second >= AIM_FRAMES else "missed"
        parts.append(
            f"Aim: {AIM_FRAMES:,} face-analysed frames/s end to end: **{reached}**, "
            f"{best.frames_per_second:,.0f} with {best.case.name}. What limits it: {best.bottleneck}."
        )
        parts.append(cpu_table(figures))
    if training:
        least = min(training, key=lambda each: each.busy_share)
        reached = "reached" if least.busy_share > AIM_TRAINING else "missed"
        parts += [
            training_table(training),
            f"Aim: a training that keeps the device over {AIM_TRAINING:.0%} busy: **{reached}**, at least "
            f"{least.busy_share:.0%} ({least.recipe}).",
        ]
    return "\n\n".join(parts)


def pipeline_table(figures: Sequence[Figures]) -> str:
    """One line a case."""
    shares = ["device busy", "kernels run"]
    head = ["preprocessing", "networks on", "workers", "frames/s", *shares, "batch", "limit"]
    rows = [
        [
            each.case.name,
            each.case.device or "the cores",
            str(each.case.num_workers),
            f"**{each.frames_per_second:,.0f}**",
            _share(each.busy_share),
            _share(each.gpu_share),
            NONE if each.mean_batch is None else f"{each.mean_batch:.1f}",
            each.bottleneck,
        ]
        for each in figures
    ]
    return _table(head, rows)


def cpu_table(figures: Sequence[Figures]) -> str:
    """CPU time of a frame by kind of process: what a frame costs the cores, whatever waits."""
    kinds = ("workers", "device process", "driver", "Ray")
    head = ["CPU time of a frame in ms", "networks on", *kinds, "cores that 1,000 frames/s take"]
    rows = []
    for each in figures:
        milliseconds = [each.cpu_ms_a_frame.get(kind, 0.0) for kind in kinds]
        place = each.case.device or "the cores"
        rows.append(
            [each.case.name, place, *(f"{ms:.2f}" for ms in milliseconds), f"{sum(milliseconds):.1f}"]
        )
    return _table(head, rows)


def training_table(training: Sequence[TrainingFigures]) -> str:
    """One line a recipe."""
    rows = [
        [each.recipe, f"{each.samples_per_second:,.1f}", _share(each.busy_share), _share(each.gpu_share)]
        for each in training
    ]
    return _table(["training", "samples/s", "not waiting for samples", "kernels run"], rows)


def write_into(page: Path, text: str) -> None:
    """Put the text between the page's markers. ValueError where it has none."""
    content = page.read_text(encoding="utf-8")
    begin, end = content.find(BEGIN), content.find(END)
    if not 0 <= begin < end:
        raise ValueError(f"{page} has no lines {BEGIN} and {END}, in this order")
    changed = f"{content[: begin + len(BEGIN)]}\n{text}\n{content[end:]}"
    page.write_text(changed, encoding="utf-8")


def _share(value: float | None) -> str:
    return NONE if value is None else f"{value:.0%}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
