"""Making a store from what another program wrote: one video a sample."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

import numpy as np
import pandas as pd

from cache.atomic import fsync_dir
from cache.errors import StoreError
from cache.schema import STATE_NAMES, BodyBlock, Codec, FaceBlock, Kind, PersonRecord, State, VideoRecord
from cache.shard import ShardWriter
from cache.store import Store


@dataclass(frozen=True)
class Sample:
    """One video to be stored, of T frames; each person has a face track, a body track or both over all."""

    key: str  # of its content
    name: str
    kind: Kind
    width: int
    height: int
    time_base: Fraction
    presentation_start: Fraction
    pts: np.ndarray  # (T,) int64
    end_pts: int
    faces: list[FaceBlock | None]  # by person
    bodies: list[BodyBlock | None]  # by person
    layout: str  # of the joints
    landmark_layout: str  # of the faces' dense landmarks, "" where they have none
    row: dict[str, Any]  # of the manifest: label, subject, split, ... ; without name and key


class Importer:
    """Adds samples to a new store, which appears at `out` when the block ends well."""

    def __init__(
        self,
        out: Path,
        *,
        spec: dict[str, Any],
        contract: dict[str, Any],
        codec: Codec,
        provenance: dict[str, Any],
    ) -> None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise StoreError(f"{out} is there already: a new store needs a new folder")
        out = out.absolute()  # "." has no name
        self._out, self._temp = out, out.with_name(f".{out.name}.partial")
        if self._temp.exists():
            shutil.rmtree(self._temp)  # of a run that was killed
        self.store = Store.create(self._temp, spec=spec, contract=contract, codec=codec)
        self._writer = ShardWriter(
            self._temp,
            codec=codec,
            crop_size=int(contract["crop_size"]),
            jpeg_quality=int(spec["jpeg_quality"]),
        )
        self._provenance = provenance
        self._open: list[VideoRecord] = []
        self._names: dict[str, list[str]] = {}  # by key
        self._rows: list[dict[str, Any]] = []
        self.num_videos = 0
        self.num_twice = 0

    def __enter__(self) -> Importer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._publish()
        finally:
            self._writer.discard()
            shutil.rmtree(self._temp, ignore_errors=True)  # gone where it took its name

    def _publish(self) -> None:
        self._seal()
        for key, names in self._names.items():
            for name in names[1:]:
                self.store.add_name(key, name)
        if any(row.get("label") is not None or row.get("split") is not None for row in self._rows):
            from videofer.datasets.manifest import normalise

            labels = sorted({str(row["label"]) for row in self._rows if row.get("label") is not None})
            table = pd.DataFrame(self._rows)
            keys = table.pop("key")
            self.store.write_manifest(
                normalise(table, source="the imported file", classes=labels).assign(key=keys)
            )
        if self._out.exists():
            self._out.rmdir()
        self._temp.rename(self._out)
        fsync_dir(self._out.absolute().parent)

    def add(self, sample: Sample) -> None:
        """Store a sample. The same content again only adds its name and row. Raises ValueError."""
        sample.name.encode()  # a lone surrogate is no text for the manifest
        if sample.kind not in get_args(Kind) or sample.time_base <= 0:
            raise ValueError(f"kind {sample.kind!r} and time base {sample.time_base} are none of a video")
        self._rows.append({"name": sample.name, **sample.row, "key": sample.key})
        if sample.key in self._names:
            self._names[sample.key].append(sample.name)
            self.num_twice += 1
            return
        self._names[sample.key] = [sample.name]
        self._open.append(self._write(sample))
        self.num_videos += 1
        if self._writer.should_rotate:
            self._seal()

    def _seal(self) -> None:
        self._writer.seal()
        self.store.commit_all(self._open)
        self._open = []

    def _write(self, sample: Sample) -> VideoRecord:
        segment = self._writer.begin_segment(sample.key, 0, sample.time_base)
        segment.append_frames(sample.pts)
        t_start = float(int(sample.pts[0]) * sample.time_base - sample.presentation_start)
        t_end = float(sample.end_pts * sample.time_base - sample.presentation_start)
        persons: list[PersonRecord] = []
        for face, body in zip(sample.faces, sample.bodies, strict=True):
            person = PersonRecord(len(persons), [], [], len(sample.pts), t_start, t_end, {}, {})
            if face is not None:
                local_id = segment.open_track("face", 0, sample.landmark_layout)
                segment.append_faces(local_id, face)
                person = replace(person, faces=[(0, local_id)], face_states=_states(face.states))
            if body is not None:
                local_id = segment.open_track("body", 0, sample.layout)
                segment.append_bodies(local_id, body)
                person = replace(person, bodies=[(0, local_id)], body_states=_states(body.states))
            if face is not None or body is not None:
                persons.append(person)
        return VideoRecord(
            key=sample.key,
            names=[sample.name],
            kind=sample.kind,
            num_frames=len(sample.pts),
            width=sample.width,
            height=sample.height,
            time_base=(sample.time_base.numerator, sample.time_base.denominator),
            presentation_start=(sample.presentation_start.numerator, sample.presentation_start.denominator),
            t_start=t_start,
            t_end=t_end,
            duration=t_end,
            segments=[segment.finish(sample.end_pts)],
            persons=persons,
            provenance=self._provenance,
        )


def body_of(keypoints: np.ndarray) -> BodyBlock | None:
    """(T, J, 3) x, y, score -> the body track, None where no joint is ever seen. Boxes are the joints'."""
    keypoints = np.nan_to_num(keypoints.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    keypoints[..., 2] = np.clip(keypoints[..., 2], 0.0, 1.0)
    seen = keypoints[..., 2] > 0
    there = seen.any(axis=1)
    if not there.any():
        return None
    x, y = (np.where(seen, keypoints[..., axis], np.nan) for axis in (0, 1))
    boxes = np.full((len(keypoints), 4), np.nan, np.float32)
    boxes[there] = np.stack(
        [part(values[there], axis=1) for part, values in ((np.nanmin, x), (np.nanmin, y))]
        + [part(values[there], axis=1) for part, values in ((np.nanmax, x), (np.nanmax, y))],
        axis=1,
    )
    keypoints[~seen] = 0.0
    return BodyBlock(
        boxes_xyxy=boxes,
        keypoints=keypoints,
        scores=np.where(there, keypoints[..., 2].mean(axis=1), 0).astype(np.float32),
        states=np.where(there, State.OK, State.ABSENT).astype(np.uint8),
    )


def _states(states: np.ndarray) -> dict[str, int]:
    counts = Counter(states.tolist())
    return {name: counts[state] for state, name in STATE_NAMES.items() if counts[state]}
