"""Skeletons to and from the pickle file of pyskl and mmaction2.

    {"split": {name: [frame_dir, ...]},
     "annotations": [{"frame_dir", "label", "img_shape" (h, w), "original_shape", "total_frames",
                      "keypoint" (M, T, V, 2), "keypoint_score" (M, T, V)}, ...]}

An annotation written here is one labelled interval of one person and has, beside these, `t_seconds` (T,) with
the media time of each frame, `end_seconds`, `name`, `subject`; the file has `label_names`. Readers ignore
what they do not know. A pickle is read by a loader that takes plain data only.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cache.atomic import atomic_write
from cache.errors import UserError
from cache.labels import labels_of
from cache.reader import StoreReader
from cache.store import Store
from preprocessing.skeletons.layouts import LAYOUTS
from preprocessing.spec import PreprocessSpec
from videofer import emotions
from videofer.quality.items import NO_LABEL, Item, make_items
from videofer.upkeep.importer import Importer, Sample, body_of
from videofer.upkeep.restricted import load_plain_pickle

_MICROSECOND = Fraction(1, 1_000_000)


class FormatError(UserError, ValueError):
    """A file is not what it should be. One line that names it."""


def export_pyskl(store: Store, path: Path) -> dict[str, int]:
    """Write the skeletons of all labelled intervals, or of all tracks where there are no labels.

    Returns `num_written` and `num_bodyless`, which were left out.
    """
    reader = StoreReader(store.path)
    videos = {video.key: video for video in store.videos()}
    items, _ = make_items(list(videos.values()), labels_of(store))
    items = [item for item in items if item.label != NO_LABEL] or items
    names = emotions.in_order({item.label for item in items} - {NO_LABEL})
    annotations: list[dict[str, Any]] = []
    split: dict[str, list[str]] = {}
    for item in items:
        annotation = _annotation(reader, item, names)
        if annotation is None:
            continue
        video = videos[item.key]
        annotation["img_shape"] = annotation["original_shape"] = (video.height, video.width)
        annotations.append(annotation)
        split.setdefault(item.split or "all", []).append(annotation["frame_dir"])
    if not annotations:
        raise UserError(
            f"{store.path} has no skeletons to export: none of its {len(items)} intervals has a body"
        )
    content = {"split": split, "annotations": annotations, "label_names": names}
    with atomic_write(path) as file:
        pickle.dump(content, file, protocol=4)
    return {"num_written": len(annotations), "num_bodyless": len(items) - len(annotations)}


def import_pyskl(
    path: Path, out: Path, *, layout: str | None = None, fps: float | None = None, labels: Sequence[str] = ()
) -> Importer:
    """A new store of the skeletons of a pyskl pickle, with their labels and splits.

    layout: of the joints; by default the one known that has as many. fps: where annotations have no times.
    labels: names of the classes by number, where the file has none. Raises FormatError, UnsafePickleError.
    """
    content = load_plain_pickle(path)
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise FormatError(f"{path} is no pyskl file: it has no list of annotations")
    annotations = content["annotations"]
    if not annotations:
        raise FormatError(f"{path} has no annotations")
    layout = _layout(path, annotations, layout)
    try:
        names = [str(name) for name in (labels or content.get("label_names") or ())]
        parts = dict(content.get("split") or {})
        split_of = {str(name): str(part) for part, members in parts.items() for name in members}
    except (TypeError, ValueError):
        raise FormatError(f"{path}: split must be lists of names, label_names a list") from None
    spec = PreprocessSpec(pose="sidecar", skeleton=layout)
    made_from = {"decoder": "import", "detector": {"name": "none"}, "skeletons": {"name": "pyskl"}}
    provenance = {**made_from, "imported": {"format": "pyskl", "file": path.name}, "warnings": []}
    importer = Importer(
        out,
        spec=spec.model_dump(mode="json"),
        contract=spec.contract(),
        codec=spec.codec,
        provenance=provenance,
    )
    with importer:
        for number, annotation in enumerate(annotations):
            try:
                importer.add(_sample(annotation, layout, fps, spec.max_fps, names, split_of))
            except (KeyError, ValueError, TypeError, IndexError, ArithmeticError) as error:
                what = f"no {error}" if isinstance(error, KeyError) else str(error)
                raise FormatError(f"{path}, annotation {number}: {what}") from None
    return importer


def _annotation(reader: StoreReader, item: Item, names: Sequence[str]) -> dict[str, Any] | None:
    """Without the shape of the picture; None where the person has no body in the interval."""
    track = reader.track(item.key, item.person)
    inside = np.flatnonzero((track.t_end > item.t_start) & (track.t_start < item.t_end))
    keypoints = track.keypoints[inside]
    if not keypoints.size or not (keypoints[..., 2] > 0).any():
        return None
    stem = item.name.rpartition(".")[0] or item.name
    return {
        "frame_dir": f"{stem}#{item.person}@{item.t_start:.3f}",
        "label": names.index(item.label) if item.label in names else -1,
        "total_frames": len(inside),
        "keypoint": np.ascontiguousarray(keypoints[None, ..., :2]),
        "keypoint_score": np.ascontiguousarray(keypoints[None, ..., 2]),
        "t_seconds": track.t_start[inside],
        "end_seconds": float(track.t_end[inside[-1]]),
        "name": item.name,
        "subject": item.subject,
    }


def _layout(path: Path, annotations: list[Any], wanted: str | None) -> str:
    try:
        num_joints = int(np.shape(annotations[0]["keypoint"])[2])
    except (KeyError, IndexError, TypeError):
        raise FormatError(f"{path}, annotation 0: no keypoint (M, T, V, 2)") from None
    fits = [name for name, layout in LAYOUTS.items() if layout.num_joints == num_joints]
    if wanted is None and len(fits) == 1:
        return fits[0]
    if wanted is not None and wanted in fits:
        return wanted
    known = ", ".join(f"{name} ({layout.num_joints})" for name, layout in LAYOUTS.items())
    asked = f"--layout {wanted}" if wanted else "no --layout"
    raise FormatError(f"{path} has {num_joints} joints and {asked}: known are {known}")


def _sample(
    annotation: dict[str, Any],
    layout: str,
    fps: float | None,
    max_fps: float,
    names: Sequence[str],
    split_of: dict[str, str],
) -> Sample:
    points = np.asarray(annotation["keypoint"], np.float32)
    if points.ndim != 4 or points.shape[2:] != (LAYOUTS[layout].num_joints, 2) or not points.shape[1]:
        raise ValueError(f"keypoint has shape {points.shape}, not (M, T, {LAYOUTS[layout].num_joints}, 2)")
    scores = annotation.get("keypoint_score")
    scores = np.ones(points.shape[:3], np.float32) if scores is None else np.asarray(scores, np.float32)
    if scores.shape != points.shape[:3]:
        raise ValueError(f"keypoint_score has shape {scores.shape}, not {points.shape[:3]}")
    keypoints = np.concatenate([points, scores[..., None]], axis=3)
    pts, end_pts, time_base = _times(annotation, points.shape[1], fps)
    seconds = np.append(pts, end_pts) * float(time_base)
    stride = int(np.ceil(1 / max_fps / max(float(np.median(np.diff(seconds))), 1e-9) - 1e-3))
    keypoints, pts = keypoints[:, :: max(stride, 1)], pts[:: max(stride, 1)]
    height, width = (int(side) for side in annotation.get("img_shape") or (0, 0))
    name = str(annotation["frame_dir"])
    label = annotation.get("label")
    row: dict[str, Any] = {"split": split_of.get(name), "subject": annotation.get("subject") or None}
    if row["split"] in ("all", None) or row["split"] not in ("train", "val", "test"):
        row["split"] = {"xsub_train": "train", "xsub_val": "val"}.get(str(row["split"]))
    if label is not None and int(label) >= 0:
        row["label"] = names[int(label)] if int(label) < len(names) else f"class_{int(label)}"
    else:
        row["label"] = None
    digest = hashlib.sha256(np.ascontiguousarray(keypoints).tobytes() + pts.tobytes())
    return Sample(
        key=digest.hexdigest()[:32],
        name=name,
        kind="keypoints",
        width=width,
        height=height,
        time_base=time_base,
        presentation_start=Fraction(0),
        pts=pts,
        end_pts=end_pts,
        faces=[None] * len(keypoints),
        bodies=[body_of(person) for person in keypoints],
        layout=layout,
        landmark_layout="",
        row=row,
    )


def _times(annotation: dict[str, Any], num: int, fps: float | None) -> tuple[np.ndarray, int, Fraction]:
    """pts (T,), end and time base."""
    given = annotation.get("t_seconds")
    if given is None:
        if fps is None or not fps > 0:
            raise ValueError("it has no times: say how many frames a second by --fps")
        return np.arange(num), num, 1 / Fraction(fps).limit_denominator(1001)
    pts = np.round(np.asarray(given, np.float64) / float(_MICROSECOND)).astype(np.int64)
    if pts.shape != (num,) or np.any(np.diff(pts) <= 0):
        raise ValueError("t_seconds must be (T,) and increase")
    last = float(annotation.get("end_seconds") or 0) / float(_MICROSECOND)
    step = int(np.median(np.diff(pts))) if num > 1 else 1_000_000
    return pts, max(round(last), int(pts[-1]) + 1) if last else int(pts[-1]) + step, _MICROSECOND
