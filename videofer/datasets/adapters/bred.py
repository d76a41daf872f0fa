"""BRED (BabyRobot): 30 children who play at emotions, as skeletons; labels for the whole, the face, the body.

    BRED_dataset/annotations.csv      path, emotion, body and face (yes or no) by each of three annotators
    BRED_dataset/<pre-game|game>/<child>/<clip>/openpose_output/json/*_keypoints.json, openface_output.csv

Filntisis et al., IEEE RA-L 4(4), 2019. Paths in the table that say spontaneous lie in `game`, those that say
acted in `pre-game`. The face's label is the whole's where most annotators saw it in the face, else neutral;
so for the body. Joints are in shares of the picture (OpenPose's keypoint_scale 3), the first person is the
child; neither the pictures' size nor the frames' rate was found: joints become inputs where `joints_to` names
a folder for them, with `size` (WIDTHxHEIGHT) and `fps`. The literature's ten folds are three children each by
scikit-learn's GroupKFold; here the children are dealt by `kfold`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from preprocessing.decode.keypoint_engine import openpose_files
from preprocessing.skeletons.openpose import load_openpose
from preprocessing.types import InputError
from videofer.datasets.adapter import DatasetError, Finds, Official, Reading, label_of, not_this
from videofer.datasets.joints import write_joints
from videofer.datasets.tables import csv_rows
from videofer.datasets.walk import below, is_folder
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

NUM_SUBJECTS = 30
NUM_CELLS = 8
_TABLE = "annotations.csv"
_MENDED = {"spontaneous": "game", "acted": "pre-game"}
_SIZE = re.compile(r"[1-9]\d{1,4}x[1-9]\d{1,4}")
_LAYOUT = "annotations.csv (path, emotion, yes or no of three annotators) beside pre-game and game"


@dataclass(frozen=True)
class Bred:
    """joints_to: a folder for joints as inputs; fps: their rate; size: of the pictures, like 1920x1080."""

    name: ClassVar[str] = "bred"
    title: ClassVar[str] = "BRED"
    labels: ClassVar[LabelSet] = LABEL_SETS["basic7"]
    official: ClassVar[Official] = Official(
        "none", None, "Filntisis et al.: ten folds of whole children", "--protocol kfold --folds 10"
    )
    access: ClassVar[str] = "zenodo.org/record/3233060"
    licence: ClassVar[str] = "not found"

    joints_to: str = ""
    fps: float = 0.0
    size: str = ""

    def recognise(self, path: Path) -> str | None:
        """The table of annotations with its columns."""
        root = below(path, _TABLE)
        if root is None:
            return None
        try:
            _, first = next(islice(csv_rows(root / _TABLE), 1, None), ("", []))
        except DatasetError:
            return None
        answers = {cell.strip().lower() for cell in first[2:NUM_CELLS]}
        return (
            "annotations.csv with yes and no of annotators" if answers and answers <= {"yes", "no"} else None
        )

    def read(self, path: Path) -> Reading:
        """One row a clip. DatasetError for a table of another form or an unknown word."""
        root = below(path, _TABLE)
        if root is None:
            raise not_this(path, self.title, _LAYOUT)
        if self.joints_to and not (0 < self.fps < math.inf and _SIZE.fullmatch(self.size)):
            raise DatasetError(
                "BRED's rate and pictures' size were not found: give fps=N and size=WIDTHxHEIGHT"
            )
        finds = Finds(Path(self.joints_to) if self.joints_to else path)
        table = root / _TABLE
        num_mended = 0
        for where, cells in islice(csv_rows(table), 1, None):
            if len(cells) < NUM_CELLS:
                raise DatasetError(
                    f"{where}: expected {NUM_CELLS} cells (path, emotion, yes/no), not {len(cells)}"
                )
            given = PurePosixPath(cells[0].strip().replace("\\", "/"))
            said = list(given.with_suffix("").parts) if given.name else []
            parts = [_MENDED.get(part, part) for part in said]
            num_mended += parts != said
            if len(parts) < 3 or given.is_absolute() or ".." in parts:
                raise DatasetError(f"{where}: expected BRED_dataset/<game>/<child>/<clip>, not {cells[0]!r}")
            label = label_of(self.labels, cells[1], where)
            clip = _place(root, parts)
            joints = clip / "openpose_output" / "json"
            if not openpose_files(joints):
                finds.missing.append(joints.relative_to(path).as_posix())
                continue
            finds.add(
                self._input(finds.root, joints, clip.relative_to(root)) if self.joints_to else joints,
                label=label,
                subject=parts[2],
                label_body=label if _most(cells[2:8:2], where) else "neutral",
                label_face=label if _most(cells[3:8:2], where) else "neutral",
                part=parts[1],
            )
        quirks = [
            "rows are skeletons without pictures; joints are in shares of the picture, not in pixels",
            "`label_face` and `label_body`: the label where most annotators saw it there, else neutral",
        ]
        if not self.joints_to:
            quirks.append(
                "as they are they are no inputs: --set joints_to=FOLDER --set fps=N --set size=WIDTHxHEIGHT "
                "makes .keypoints.npz in pixels"
            )
        if num_mended:
            quirks.append(f"{num_mended} paths said spontaneous or acted, which is game or pre-game on disk")
        return finds.reading(self, expected=None, quirks=quirks)

    def _input(self, folder: Path, joints: Path, name: Path) -> Path:
        """The first person of each frame in pixels, as a file that `preprocess` takes."""
        width, height = map(int, self.size.split("x"))
        try:
            keypoints, layout = load_openpose(joints)
        except InputError as error:
            raise DatasetError(f"{joints}: {error}") from None
        scaled = keypoints[:, :1] * np.array([width, height, 1], np.float32)
        return write_joints(folder, name.as_posix(), scaled, layout.name, self.fps, (width, height))


def _most(answers: list[str], where: str) -> bool:
    """Whether most say yes. DatasetError where one says neither."""
    words = [answer.strip().lower() for answer in answers]
    other = next((word for word in words if word not in ("yes", "no")), None)
    if other is not None:
        raise DatasetError(f"{where}: expected yes or no, not {other!r}")
    return 2 * words.count("yes") > len(words)


def _place(root: Path, parts: list[str]) -> Path:
    """The clip's folder: the table's paths begin with the folder that it lies in."""
    inside = root.joinpath(*parts[1:])
    return inside if is_folder(inside) or parts[0] == root.name else root.joinpath(*parts)
