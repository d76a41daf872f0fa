"""Makes small real stores for tests: known pixels and joints, no video behind them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from cache.schema import BodyBlock, Codec, FaceBlock, PersonRecord, State, VideoRecord
from cache.shard import ShardWriter
from cache.store import Store

CROP_SIZE = 112
CONTRACT = {"crop_size": CROP_SIZE, "skeleton": "coco17"}


def crop_of(seed: int, num_frames: int, size: int = CROP_SIZE) -> np.ndarray:
    """(T, size, size, 3) uint8: smooth colours; frame t has about the mean 40 + 170 * t / T in red."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    crops = np.empty((num_frames, size, size, 3), dtype=np.uint8)
    phases = rng.uniform(0, 6, size=3)
    for t in range(num_frames):
        crops[t, ..., 0] = 40 + 170 * t // max(num_frames, 1)
        crops[t, ..., 1] = 128 + 90 * np.sin(5 * x + phases[1] + 0.1 * t)
        crops[t, ..., 2] = 128 + 90 * np.sin(5 * y + phases[2])
    return crops


def joints_of(seed: int, num_frames: int) -> np.ndarray:
    """(T, 17, 3) float32."""
    rng = np.random.default_rng(seed)
    keypoints = np.ones((num_frames, 17, 3), dtype=np.float32)
    keypoints[..., :2] = rng.uniform(50, 250, size=(17, 2))
    keypoints[..., 0] += np.arange(num_frames)[:, None]
    return keypoints


def make_store(
    path: Path,
    names: list[str],
    *,
    num_frames: int = 60,
    fps: int = 25,
    codec: Codec = "plain",
    kind: str = "video",
    face_absent: slice = slice(0, 0),
    body: bool = True,
    landmarks: bool = False,
) -> Store:
    """A store of one-person videos. face_absent: frames of each that show no face. landmarks: 68 of each."""
    spec = {"landmarks": "mesh"} if landmarks else {}
    store = Store.create(path, spec=spec, contract=CONTRACT, codec=codec)
    writer = ShardWriter(path, codec=codec, crop_size=CROP_SIZE)
    states = np.full(num_frames, State.OK, dtype=np.uint8)
    states[face_absent] = State.ABSENT
    seen = states == State.OK
    records = []
    for seed, name in enumerate(names):
        key = f"{seed:032x}"
        segment = writer.begin_segment(key, 0, Fraction(1, fps))
        segment.append_frames(np.arange(num_frames))
        face = segment.open_track("face", 0, "ibug68" if landmarks else "")
        nothing = np.where(seen, 1.0, np.nan).astype(np.float32)
        points = np.random.default_rng(seed).uniform(10, 60, (num_frames, 68, 2)).astype(np.float32)
        segment.append_faces(
            face,
            FaceBlock(
                boxes_xyxy=np.tile(np.float32([10, 10, 60, 60]), (num_frames, 1)) * nothing[:, None],
                landmarks_xy=np.zeros((num_frames, 5, 2), np.float32) * nothing[:, None, None],
                warps=np.zeros((num_frames, 2, 3), np.float32) * nothing[:, None, None],
                scores=seen.astype(np.float32),
                states=states,
                quality=np.zeros((num_frames, 3), np.float32),
                crops=crop_of(seed, num_frames)[seen],
                dense_landmarks=points * nothing[:, None, None] if landmarks else None,
            ),
        )
        bodies = []
        if body:
            local_id = segment.open_track("body", 0, "coco17")
            segment.append_bodies(
                local_id,
                BodyBlock(
                    boxes_xyxy=np.zeros((num_frames, 4), np.float32),
                    keypoints=joints_of(seed, num_frames),
                    scores=np.ones(num_frames, np.float32),
                    states=np.full(num_frames, State.OK, dtype=np.uint8),
                ),
            )
            bodies = [(0, local_id)]
        record = segment.finish(num_frames)
        seconds = num_frames / fps
        person = PersonRecord(
            id=0, faces=[(0, face)], bodies=bodies, num_frames=num_frames, t_start=0.0, t_end=seconds,
            face_states={"ok": int(seen.sum())}, body_states={},
        )  # fmt: skip
        records.append(
            VideoRecord(
                key=key, names=[name], kind=kind, num_frames=num_frames, width=320, height=384,
                time_base=(1, fps), presentation_start=(0, 1), t_start=0.0, t_end=seconds, duration=seconds,
                segments=[record], persons=[person],
            )
        )  # fmt: skip
    writer.seal()
    for video in records:
        store.commit(video)
    return store
