"""Small labelled stores that a small model learns in seconds, and the recipe for it. No video behind them."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cache.schema import BodyBlock, FaceBlock, PersonRecord, State, VideoRecord
from cache.shard import ShardWriter
from cache.store import Store
from preprocessing.config_file import validate
from preprocessing.landmarks.layouts import IBUG68
from videofer.recipe import Recipe

CLASSES = ["neutral", "anger", "happiness"]
CONTRACT = {"crop_size": 48, "alignment": "eyes/1", "colour": "rgb", "skeleton": "coco17", "max_fps": 30.0}
SIZE, FPS, NUM_FRAMES = 48, 20, 20
FIRST_ARM_JOINT = 7


def small_recipe(**training: Any) -> Recipe:
    """Face and body of a few thousand weights. `training`: values of its section."""
    values: dict[str, Any] = {
        "name": "small",
        "data": {
            "classes": CLASSES,
            "num_clips": 2,
            "num_frames": 2,
            "clip_seconds": 0.3,
            "window_seconds": 0.6,
            "body_length": 16,
            "eval_windows": 2,
        },
        "model": {
            "face": {"width": 4, "input_size": 33, "feature_hidden": 8, "emotion_hidden": 8, "dropout": 0.1},
            "body": {"map_size": 16, "width": 8, "se_reduction": 4},
            "fusion": {"kind": "log_prob", "modality_drop": 0.2},
        },
        "training": {"epochs": 3, "batch_size": 8, "lr": 0.01, "val_subjects": ["s3"], **training},
    }
    return validate(values, Recipe, source="small_recipe")


def make_training_store(
    path: Path,
    *,
    num_subjects: int = 5,
    num_test: int = 1,
    takes: int = 2,
    shuffled: bool = False,
    faceless: Collection[int] = (),
    bodyless: bool = False,
    landmarks: bool = False,
) -> Store:
    """Subjects s0, s1, ...: the last `num_test` are the split "test", the others "train".

    The colour of the face and the height of the arms tell the class. shuffled: the labels tell nothing.
    faceless: numbers of the takes, of each subject and class, that show no face. bodyless: none shows a body.
    landmarks: 68 of each face, in a ring that is as large as the class's number tells; every seventh frame
    has none.
    """
    contract = {**CONTRACT, "skeleton": "none"} if bodyless else CONTRACT
    store = Store.create(path, spec={}, contract=contract, codec="plain")
    writer = ShardWriter(path, codec="plain", crop_size=SIZE)
    rng = np.random.default_rng(0)
    rows, records = [], []
    for subject in range(num_subjects):
        for place, label in enumerate(CLASSES):
            for take in range(takes):
                name = f"s{subject}/{label}_{take}.mp4"
                key, shows = f"{len(rows):032x}", (take not in faceless, not bodyless)
                records.append(_add_video(writer, name, key, place, rng, *shows, landmarks))
                split = "test" if subject >= num_subjects - num_test else "train"
                rows.append({"name": name, "label": label, "subject": f"s{subject}", "split": split})
    writer.seal()
    for record in records:
        store.commit(record)
    table = pd.DataFrame(rows)
    if shuffled:
        table["label"] = rng.permutation(table["label"].to_numpy())
    store.write_manifest(table)
    return store


def _add_video(
    writer: ShardWriter,
    name: str,
    key: str,
    place: int,
    rng: np.random.Generator,
    shows_face: bool,
    shows_body: bool,
    has_landmarks: bool,
) -> VideoRecord:
    segment = writer.begin_segment(key, 0, Fraction(1, FPS))
    segment.append_frames(np.arange(NUM_FRAMES))
    states = np.full(NUM_FRAMES, State.OK, dtype=np.uint8)
    ones = np.ones(NUM_FRAMES, dtype=np.float32)
    boxes = np.tile(np.float32([10, 10, 60, 60]), (NUM_FRAMES, 1))
    faces, bodies = [], []
    if shows_face:
        colours = np.full(3, 90.0)
        colours[place] = 170.0
        crops = colours + rng.normal(0, 25, size=(NUM_FRAMES, SIZE, SIZE, 3))
        face = segment.open_track("face", 0, IBUG68.name if has_landmarks else "")
        dense = _rings(place) if has_landmarks else None
        segment.append_faces(
            face,
            FaceBlock(
                boxes_xyxy=boxes,
                landmarks_xy=np.zeros((NUM_FRAMES, 5, 2), np.float32),
                warps=np.tile(np.eye(2, 3, dtype=np.float32), (NUM_FRAMES, 1, 1)),
                scores=ones,
                states=states,
                quality=np.zeros((NUM_FRAMES, 3), np.float32),
                crops=np.clip(crops, 0, 255).astype(np.uint8),
                dense_landmarks=dense,
            ),
        )
        faces.append((0, face))
    if shows_body:
        keypoints = np.ones((NUM_FRAMES, 17, 3), np.float32)
        keypoints[..., 0] = np.linspace(50, 200, 17)
        keypoints[..., 1] = np.linspace(50, 250, 17)
        keypoints[:, FIRST_ARM_JOINT : FIRST_ARM_JOINT + 4, 1] = 60 + 90 * place
        keypoints[..., :2] += rng.normal(0, 3, size=(NUM_FRAMES, 17, 2))
        body = segment.open_track("body", 0, "coco17")
        segment.append_bodies(
            body, BodyBlock(boxes_xyxy=boxes, keypoints=keypoints, scores=ones, states=states)
        )
        bodies.append((0, body))
    record = segment.finish(NUM_FRAMES)
    seconds = NUM_FRAMES / FPS
    person = PersonRecord(
        id=0, faces=faces, bodies=bodies, num_frames=NUM_FRAMES, t_start=0.0, t_end=seconds,
        face_states={}, body_states={},
    )  # fmt: skip
    return VideoRecord(
        key=key, names=[name], kind="video", num_frames=NUM_FRAMES, width=320, height=384,
        time_base=(1, FPS), presentation_start=(0, 1), t_start=0.0, t_end=seconds, duration=seconds,
        segments=[record], persons=[person],
        provenance={"landmarks": {"name": "mesh" if has_landmarks else "none"}},
    )  # fmt: skip


def _rings(place: int) -> np.ndarray:
    """(T, 68, 2) float32 places in the crop; not a number in every seventh frame."""
    angle = 2 * np.pi * np.arange(IBUG68.num_points) / IBUG68.num_points
    ring = SIZE / 2 + SIZE * (0.15 + 0.1 * place) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rings = np.tile(ring.astype(np.float32), (NUM_FRAMES, 1, 1))
    rings[::7] = np.nan
    return rings
