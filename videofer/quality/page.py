"""The quality report of a store: one HTML file, to read before training, without network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cache.reader import StoreReader
from cache.schema import STATE_NAMES
from cache.store import Store
from videofer.evaluation.page import render
from videofer.quality.facts import (
    BRIGHT,
    DARK,
    EYES_SHUT,
    SMALL_FACE_PIXELS,
    TURNED_DEGREES,
    UNSURE,
    Facts,
    Group,
)
from videofer.quality.items import NO_LABEL
from videofer.quality.pictures import contact_sheet, histogram

MAX_ROWS = 300
MAX_CLASSES, MAX_SUBJECTS = 60, 60
CROPS_OF_CLASS, CROPS_OF_SUBJECT = 12, 7
STATES = tuple(STATE_NAMES.values())


def quality_page(store: Store, facts: Facts) -> str:
    """The HTML of a store's quality report."""
    reader = StoreReader(store.path)
    classes = facts.classes[:MAX_CLASSES]
    subjects = _spread(facts.subjects, MAX_SUBJECTS)
    sheets = {
        "classes": {
            one.name: contact_sheet(reader, one.measured, CROPS_OF_CLASS, 112, spread="subject")
            for one in classes
        },
        "subjects": {
            one.name: contact_sheet(reader, one.measured, CROPS_OF_SUBJECT, 72, spread="label")
            for one in subjects
        },
    }
    parts = [("summary", "Summary"), ("classes", "Faces by class"), ("coverage", "Coverage")]
    parts += [("subjects", "Subjects")] if subjects else []
    parts += [("lengths", "Lengths and quality"), ("conflicts", "Twice"), ("doubts", "Worth a look")]
    parts += [("failures", "Failures"), ("made", "How it was made")]
    return render(
        "quality.html",
        {},
        package="videofer.quality",
        kind="quality of a store",
        title=facts.title,
        parts=parts,
        f=facts,
        s=facts.summary,
        no_label=NO_LABEL,
        classes=classes,
        num_classes=len(facts.classes),
        subjects=subjects,
        num_subjects=len(facts.subjects),
        sheets=sheets,
        states=STATES,
        splits=_splits(facts.classes),
        histograms=_histograms(facts),
        remarks=_remarks(facts),
        doubts=facts.doubts[:MAX_ROWS],
        doubt_kinds=sorted({doubt.kind for doubt in facts.doubts}),
        conflicts=facts.conflicts[:MAX_ROWS],
        largest=max((one.num_items for one in facts.classes), default=1),
        stages=_stages(facts.summary["stage_seconds"]),
        gigabytes=sum(facts.summary["bytes"].values()) / 1e9,
    )


def _spread(groups: Sequence[Group], most: int) -> list[Group]:
    """Evenly over all of them where there are too many."""
    if len(groups) <= most:
        return list(groups)
    return [groups[place * len(groups) // most] for place in range(most)]


def _splits(groups: Sequence[Group]) -> list[str]:
    order = {"train": 0, "val": 1, "test": 2}
    found = {split for group in groups for split in group.splits}
    return sorted(found, key=lambda split: (order.get(split, 3), split))


def _histograms(facts: Facts) -> list[tuple[str, str, Any]]:
    """Name, note and picture."""
    lengths, quality = facts.lengths, facts.quality
    found = [("Videos", "length", histogram(lengths["videos"], unit="s"))]
    if lengths["intervals"]:
        found.append(("Labelled intervals", "length", histogram(lengths["intervals"], unit="s")))
    return [
        *found,
        ("Tracks", "from first to last sight of a person", histogram(lengths["tracks"], unit="s")),
        (
            "Face size",
            f"dotted: {SMALL_FACE_PIXELS:.0f} pixels",
            histogram(quality["face_pixels"], unit="pixels", limits=[SMALL_FACE_PIXELS]),
        ),
        (
            "Sharpness",
            "variance of the Laplacian",
            histogram(quality["sharpness"], unit=""),
        ),
        (
            "Brightness",
            f"mean luma; dotted: {DARK:.0f} and {BRIGHT:.0f}",
            histogram(quality["brightness"], unit="", limits=[DARK, BRIGHT]),
        ),
        (
            "Turned",
            f"to the image's right; dotted: {TURNED_DEGREES:.0f} degrees",
            histogram(quality["yaw"], unit="degrees", limits=[-TURNED_DEGREES, TURNED_DEGREES]),
        ),
        *_eyes(facts),
        ("Confidence", "of tracks", histogram(facts.confidences, unit="", limits=[UNSURE])),
    ]


def _eyes(facts: Facts) -> list[tuple[str, str, Any]]:
    """How far eyes are open, of a store with dense landmarks."""
    eyes = facts.quality["eyes_open"]
    if not np.isfinite(eyes).any():
        return []
    note = f"height over width; dotted: {EYES_SHUT:.2f}"
    return [("Eyes open", note, histogram(eyes, unit="", limits=[EYES_SHUT]))]


def _remarks(facts: Facts) -> list[str]:
    """What a reader must know first."""
    remarks = []
    if not facts.labelled:
        remarks.append("The store has no labels: give a manifest to `videofer store relabel`.")
    leaks = sum(doubt.kind in ("subject in two splits", "two splits") for doubt in facts.conflicts)
    if leaks:
        plural = "s are" if leaks > 1 else " is"
        remarks.append(f"{leaks} subject{plural} or content in two splits: figures would flatter.")
    labelled = [group for group in facts.classes if group.name != NO_LABEL and group.num_items]
    if len(labelled) > 1:
        most = max(labelled, key=lambda group: group.num_items)
        least = min(labelled, key=lambda group: group.num_items)
        if most.num_items >= 5 * least.num_items:
            remarks.append(
                f"The classes are uneven: {most.num_items} of {most.name}, {least.num_items} of {least.name}."
            )
    for group in labelled:
        if group.measured and group.seen("face") < 0.5:
            remarks.append(f"{group.name}: a face in only {group.seen('face'):.0%} of the frames.")
        if group.num_others == 1:
            remarks.append(f"{group.name}: of one subject only.")
    if facts.summary["num_failures"]:
        remarks.append(f"{facts.summary['num_failures']} inputs could not be stored, or not whole.")
    return remarks[:8]


def _stages(seconds: dict[str, float]) -> list[tuple[str, float, float]]:
    """Name, seconds and share of the whole."""
    total = sum(seconds.values())
    return [(name, value, value / total) for name, value in seconds.items()] if total else []
