"""Miniatures for `videofer reproduce`, large enough to train on, and settings that make models tiny."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.videofer.fer2013_set import make_set, write_csv
from tests.videofer.miniatures import (
    bold,
    bred,
    ck_plus,
    class_folders,
    crema_d,
    dfew,
    emilya,
    enterface,
    ferv39k,
    gemep,
    iemocap,
    mafw,
    meld,
    ravdess,
)
from tests.videofer.miniatures.media import Media
from videofer.datasets.joints import write_joints

FACE = (
    "model.face.width=4", "model.face.input_size=33", "training.pretrained_trunk=null",
)  # fmt: skip
STREAMS = ("model.face.feature_hidden=8", "model.face.emotion_hidden=8")
SHORT = ("training.epochs=1", "training.loader_workers=0")
WHOLE_PICTURE = "preprocess.faces=precropped"  # nobody is in the pictures of miniatures
TINY = (*FACE, *STREAMS, *SHORT, WHOLE_PICTURE)


@dataclass(frozen=True)
class Trial:
    """How a system is tried on the miniature of its data set."""

    system: str
    build: Callable[[Path, Media], Path]
    changes: tuple[str, ...] = TINY
    max_videos: int | None = None


def _enterface(root: Path, media: Media) -> Path:
    return enterface.build(root, media, subjects=(1, 11, 29))


def _bold(root: Path, media: Media) -> Path:
    return bold.build(root, media, clips=8)


def _fer2013(root: Path, media: Media) -> Path:
    write_csv(make_set(), root)
    return root


def _gemep(root: Path, media: Media) -> Path:
    """Of four performers, with joints beside the videos."""
    gemep.build(root, media, performers=range(1, 5))
    rng = np.random.default_rng(0)
    for video in sorted(root.rglob("*.mp4")):
        joints = np.ones((8, 1, 17, 3))
        joints[..., :2] = rng.uniform(5, 45, (8, 1, 17, 2))
        joints[:, :, :5, :2] = (32, 24)  # the head, where the face is: both are of one person
        write_joints(video.parent, video.stem, joints, "coco17", 25.0, (64, 48))
    return root


def _bred(root: Path, media: Media) -> Path:
    return bred.build(root, children=12)


def _emilya(root: Path, media: Media) -> Path:
    return emilya.build(root, actions=("BS",), takes=10)


def _ravdess(root: Path, media: Media) -> Path:
    return ravdess.build(root, media, actors=(1, 5, 24), every=5)


def _iemocap(root: Path, media: Media) -> Path:
    """Turns that are within the 0.32 s of a miniature's video."""
    turns = [(f"{place / 100:.4f}", "0.3000", *turn[2:]) for place, turn in enumerate(iemocap.TURNS)]
    return iemocap.build(root, media, sessions=(1, 2, 3), turns=turns)


def _meld(root: Path, media: Media) -> Path:
    return meld.build(root, media, dialogues=3)


TRIALS = (
    Trial("sistcm-ck+", ck_plus.build, (*TINY, "data.classes=[anger, surprise]")),
    Trial("resnet18-enterface", _enterface, TINY, max_videos=18),
    Trial("sistcm-afew", class_folders.build_afew),
    Trial("ours-ravdess", _ravdess),
    Trial("ours-crema-d", crema_d.build),
    Trial("ours-dfew", dfew.build),
    Trial("ours-ferv39k", ferv39k.build, (*TINY, "preprocess.frames_fps=2")),
    Trial("ours-mafw", mafw.build),
    Trial("ours-caer", class_folders.build_caer),
    Trial("ours-meld", _meld),
    Trial("ours-iemocap4", _iemocap),
    Trial("hybrid-small-gemep7", _gemep, (*SHORT, WHOLE_PICTURE, "model.face.width=4", "model.body.width=8",
                                          "data.window_seconds=0.3", "data.clip_seconds=0.07")),
    Trial("multi-bold", _bold, (*TINY, "model.body=null", "model.fusion=null",
                                "data.classes=[happiness, pleasure]")),
    Trial("body-bred", _bred, (*SHORT, "model.body.width=8", "data.classes=[happiness, fear]",
                               "dataset.fps=2", "dataset.size=640x480")),
    Trial("accm-emilya", _emilya, (*SHORT, "model.body.width=16", "model.body.map_size=16",
                                   "data.body_length=8", "dataset.fps=25")),
    Trial("fer2013-cnn", _fer2013, (*SHORT, "model.face.width=4")),
)  # fmt: skip
