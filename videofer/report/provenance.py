"""What a report says of its making: the video, the model, how rows came of it, what was warned of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from videofer.report.words import SPACE, TIMES, percent, shown
from videofer.timeline.settings import Smoothing
from videofer.timeline.several import segmentation_at
from videofer.timeline.timeline import Timeline

MAX_WARNINGS = 8


def facts(timeline: Timeline, media_note: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Headings with names and values: what was watched, by what, and how rows came of it."""
    video, model, settings = timeline.video, timeline.model, timeline.settings
    watched = [("File", shown(video.name)), ("Length", f"{video.duration_seconds:.3f}{SPACE}s of media time")]
    if video.width and video.height:
        watched.append(("Picture", f"{video.width} {TIMES} {video.height} pixels"))
    start = video.presentation_start[0] / video.presentation_start[1]
    if start:
        watched.append(
            ("Starts at", f"{start:.3f}{SPACE}s of the file's own clock; times here count from there")
        )
    watched += [("Shown here", media_note), ("Content hash", video.key[:16])]
    watched += _preprocessing(timeline)
    rows = [
        ("Row", f"{timeline.hop_seconds:g}{SPACE}s"),
        ("Answer", f"{timeline.modality}, from windows of {model.window_seconds:g}{SPACE}s"),
        ("Smoothing", smoothing_words(settings.smoothing)),
        *_decisions(timeline),
    ]
    watcher = [
        ("Model", shown(model.title)),
        ("Reports", f"{model.reports}: {', '.join(map(shown, timeline.classes))}"),
        ("Looks at", ", ".join(model.modalities)),
        ("Weights", f"sha256 {model.weights_sha256[:16]}"),
    ]
    temperatures = model.calibration.get("temperatures")
    if isinstance(temperatures, dict) and temperatures:
        listed = ", ".join(f"{name} {value:.2f}" for name, value in temperatures.items())
        watcher.append(("Calibration", f"temperature {listed}"))
    return [("The video", watched), ("The model", watcher), ("From windows to rows", rows)]


def _decisions(timeline: Timeline) -> list[tuple[str, str]]:
    """From when on a label is said, and where segments begin and end."""
    least, segmentation = timeline.settings.min_confidence, timeline.settings.segmentation
    lasting = (
        f"last at least {segmentation.min_seconds:g}{SPACE}s; "
        f"gaps up to {segmentation.merge_seconds:g}{SPACE}s are closed"
    )
    thresholds = timeline.thresholds
    if thresholds is not None:
        pairs = zip(timeline.classes, thresholds.tolist(), strict=True)
        listed = ", ".join(f"{shown(name)} {percent(value)}" for name, value in pairs)
        share = segmentation_at(segmentation, 1.0).leave
        return [
            ("A class holds", f"at its threshold and above: {listed}"),
            ("Segments", f"begin at the threshold, end below {percent(share)} of it, {lasting}"),
        ]
    return [
        ("Uncertain", f"below {percent(least)}" if least else "no threshold was set"),
        (
            "Segments",
            f"begin at {percent(segmentation.enter)}, end below {percent(segmentation.leave)}, {lasting}",
        ),
    ]


def smoothing_words(smoothing: Smoothing) -> str:
    """The method and what it assumes."""
    match smoothing.method:
        case "none":
            return "none"
        case "kernel":
            words = f"Gaussian kernel of {smoothing.kernel_seconds:g}{SPACE}s"
        case method:
            name = "hidden Markov model" if method == "hmm" else "likeliest path of a hidden Markov model"
            words = f"{name}, in which an expression lasts {smoothing.dwell_seconds:g}{SPACE}s on average"
    if smoothing.lag_seconds is not None:
        words += f"; looks {smoothing.lag_seconds:g}{SPACE}s ahead"
    return words


def _preprocessing(timeline: Timeline) -> list[tuple[str, str]]:
    """Names of the engines, where the store told them."""
    provenance: Any = timeline.provenance
    found = []
    for key, name in (
        ("decoder", "Decoded by"),
        ("detector", "Faces found by"),
        ("skeletons", "Skeletons by"),
    ):
        value = provenance.get(key)
        engine = value.get("name") if isinstance(value, dict) else value
        if isinstance(engine, str):
            found.append((name, shown(engine)))
    return found


def warnings_of(timeline: Timeline) -> Sequence[str]:
    """What preprocessing warned of."""
    found = timeline.provenance.get("warnings") or ()
    return [shown(str(line)) for line in found][:MAX_WARNINGS]
