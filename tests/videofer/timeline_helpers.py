"""A small real store and small real models for the tests of the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cache.reader import StoreReader
from cache.schema import BodyBlock, FaceBlock, PersonRecord, State, VideoRecord
from cache.shard import ShardWriter
from cache.store import Store
from videofer.checkpoint import LoadedModel
from videofer.evaluation.calibration import Calibration, LogProbWeights
from videofer.models.model import EmotionModel
from videofer.recipe import Recipe

torch.set_num_threads(1)  # the models are tiny: threads only wait for each other on a busy machine

CLASSES = ("neutral", "anger", "happiness")
CROP = 48
CONTRACT = {"crop_size": CROP, "skeleton": "coco17"}
MILLISECONDS = Fraction(1, 1000)


def add_video(
    store: Store,
    key: str,
    edges_ms: np.ndarray,
    persons: list[dict[str, Any]],
    *,
    kind: str = "video",
    duration: float | None = None,
    not_decoded: Sequence[tuple[int, int]] = (),
) -> None:
    """One video of one segment. edges_ms (T+1,): starts of the frames and the end of the last one.

    persons: `face` and `body`, each None or (first frame, states). not_decoded in milliseconds.
    """
    rng = np.random.default_rng(sum(key.encode()))
    writer = ShardWriter(store.path, codec="plain", crop_size=CROP)
    segment = writer.begin_segment(key, 0, MILLISECONDS)
    segment.append_frames(edges_ms[:-1])
    records = []
    for number, person in enumerate(persons):
        ids: dict[str, list[tuple[int, int]]] = {"face": [], "body": []}
        spans = []
        for part in ("face", "body"):
            if person.get(part) is None:
                continue
            first, states = person[part]
            states = np.asarray(states, dtype=np.uint8)
            local = segment.open_track(part, first, "coco17" if part == "body" else "")
            (segment.append_faces if part == "face" else segment.append_bodies)(
                local, face_block(states, rng) if part == "face" else body_block(states, rng)
            )
            ids[part].append((0, local))
            spans.append((first, first + len(states)))
        start, end = min(a for a, _ in spans), max(b for _, b in spans)
        records.append(
            PersonRecord(
                id=number,
                faces=ids["face"],
                bodies=ids["body"],
                num_frames=end - start,
                t_start=edges_ms[start] / 1000,
                t_end=edges_ms[end] / 1000,
                face_states={},
                body_states={},
            )
        )
    record = segment.finish(int(edges_ms[-1]))
    writer.seal()
    video = VideoRecord(
        key=key, names=[f"{key}.mp4"], kind=kind, num_frames=len(edges_ms) - 1, width=640, height=480,
        time_base=(1, 1000), presentation_start=(0, 1), t_start=edges_ms[0] / 1000,
        t_end=edges_ms[-1] / 1000, duration=edges_ms[-1] / 1000 if duration is None else duration,
        segments=[record], persons=records, not_decoded=list(not_decoded),
    )  # fmt: skip
    store.commit(video)


def face_block(states: np.ndarray, rng: np.random.Generator) -> FaceBlock:
    n, seen = len(states), int((states != State.ABSENT).sum())
    return FaceBlock(
        boxes_xyxy=np.zeros((n, 4), np.float32), landmarks_xy=np.zeros((n, 5, 2), np.float32),
        warps=np.zeros((n, 2, 3), np.float32), scores=np.ones(n, np.float32), states=states,
        quality=np.zeros((n, 3), np.float32), crops=rng.integers(0, 256, (seen, CROP, CROP, 3), np.uint8),
    )  # fmt: skip


def body_block(states: np.ndarray, rng: np.random.Generator) -> BodyBlock:
    n = len(states)
    keypoints = rng.uniform(0.3, 1, (n, 17, 3)).astype(np.float32)
    keypoints[..., :2] *= 400
    return BodyBlock(
        boxes_xyxy=np.zeros((n, 4), np.float32),
        keypoints=keypoints,
        scores=np.ones(n, np.float32),
        states=states,
    )


def make_store(path: Path, contract: dict[str, Any] = CONTRACT) -> Store:
    return Store.create(path, spec={}, contract=contract, codec="plain")


def reader_of(store: Store) -> StoreReader:
    return StoreReader(store.path)


def make_model(parts: str = "fused", **data: Any) -> LoadedModel:
    """An untrained, very small model of "face", "body" or "fused"."""
    torch.manual_seed(0)
    sections: dict[str, Any] = {}
    if parts in ("face", "fused"):
        sections["face"] = {"width": 4, "input_size": 40, "feature_hidden": 16, "emotion_hidden": 8}
    if parts in ("body", "fused"):
        sections["body"] = {"num_joints": 17, "map_size": 16, "width": 16, "se_reduction": 4}
    if parts == "fused":
        sections["fusion"] = {}
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "data": {
                "classes": list(CLASSES), "num_clips": 4, "num_frames": 3, "clip_seconds": 0.24,
                "window_seconds": 1.6, "body_length": 16, **data,
            },
            "model": sections,
            "training": {"epochs": 1, "batch_size": 2, "lr": 0.001},
        }
    )  # fmt: skip
    model = EmotionModel(recipe.emotion_model_config()).eval()
    temperatures = {"face": 1.3, "body": 0.8, "fused": 1.1}
    return LoadedModel(
        path=Path("tiny"), model=model, recipe=recipe, labels=CLASSES, contract=CONTRACT,
        calibration=Calibration(temperatures=temperatures, fusion=LogProbWeights(face=0.7, body=0.4)),
        used={}, device=torch.device("cpu"),
    )  # fmt: skip
