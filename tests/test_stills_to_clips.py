"""tools/stills_to_clips.py: both starts differ in the trunk's weights alone, and what was stopped goes on."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from preprocessing.config_file import dump_yaml
from tests.videofer.training_store import make_training_store, small_recipe
from tools import stills_to_clips
from tools.stills_to_clips import SCRATCH, STILLS, Course, clip_recipe, draw, table
from videofer.models import FaceConfig
from videofer.recipe import Recipe, load_recipe
from videofer.training.progress import silent
from videofer.training.run import train


def stills_of(face: FaceConfig | None, path: str = "run") -> Any:
    base = load_recipe(stills_to_clips.RECIPE)
    model = base.model.model_copy(update={"face": face})
    return SimpleNamespace(path=Path(path), recipe=base.model_copy(update={"model": model}))


def test_the_starts_differ_in_the_trunk_s_weights_only() -> None:
    base = load_recipe(stills_to_clips.RECIPE)
    trunk = FaceConfig(
        width=32, input_size=80, grey=True, std=(0.25, 0.25, 0.25), heads=("clip",), dropout=0.1
    )
    scratch, stills = (
        clip_recipe(base, stills_of(trunk), start, seed=2, epochs=4) for start in (SCRATCH, STILLS)
    )
    assert (scratch.training.init_from, stills.training.init_from) == (None, "run")
    settings = {**stills.training.model_dump(), "init_from": None}
    assert settings == scratch.training.model_dump() and scratch.training.epochs == 4
    assert scratch.training.seed == 2 and scratch.training.lr == base.training.lr
    assert scratch.model == stills.model and scratch.data == stills.data == base.data
    face, heads = scratch.model.face, base.model.face
    assert face is not None and heads is not None and scratch.model.body is None
    for field in fields(FaceConfig):
        whose = heads if field.name in stills_to_clips._HEADS else trunk
        assert getattr(face, field.name) == getattr(whose, field.name), field.name
    Recipe.model_validate(scratch.model_dump())
    with pytest.raises(ValueError, match="need a face"):
        clip_recipe(base, stills_of(None), SCRATCH, seed=0)


def courses(num_epochs: int = 12) -> list[Course]:
    epochs = np.arange(1, num_epochs + 1)
    return [
        Course(start, seed, (1 - np.exp(-epochs / pace)).tolist(), np.exp(-epochs / pace).tolist(), 0.8, 0.81)
        for start, pace in ((SCRATCH, 6.0), (STILLS, 2.0))
        for seed in (0, 1)
    ]


def test_table() -> None:
    header, rule, scratch, stills = table(courses()).splitlines()
    assert header == "| UAR after epoch | 1 | 2 | 3 | 5 | 10 | test subjects |"
    assert len({line.count("|") for line in (header, rule, scratch, stills)}) == 1
    assert scratch.startswith("| from scratch | 0.15 (0.15 to 0.15) | 0.28")
    assert stills.startswith("| from stills | 0.39 ") and stills.endswith("| 0.80 (0.80 to 0.80) |")


def test_picture(tmp_path: Path) -> None:
    draw(courses(), tmp_path / "curves.png", chance=1 / 7)
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture is not None and picture.shape == (840, 1920, 3)
    for colour in stills_to_clips._COLOURS.values():
        bgr = [int(colour[i : i + 2], 16) for i in (5, 3, 1)]
        assert (np.abs(picture.astype(int) - bgr).max(axis=2) < 3).sum() > 500


@pytest.mark.usefixtures("one_thread")
def test_it_trains_both_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_training_store(tmp_path / "stills", num_subjects=3)
    store = make_training_store(tmp_path / "clips", num_subjects=9, num_test=2, takes=1)
    manifest = store.manifest()
    assert manifest is not None
    store.write_manifest(manifest[~manifest["subject"].isin(["s0", "s1"])])  # whom the stills show
    small = small_recipe(epochs=2, val_subjects=["s1"])
    assert small.model.face is not None
    face = replace(small.model.face, heads=("clip",))
    model = small.model.model_copy(update={"face": face, "body": None, "fusion": None})
    train(small.model_copy(update={"model": model}), tmp_path / "stills", tmp_path / "run", progress=silent)
    (tmp_path / "clips.yaml").write_text(dump_yaml(small_recipe(val_subjects=["s4"])))
    arguments = [
        "--stills",
        "run",
        "--store",
        "clips",
        "--recipe",
        "clips.yaml",
        "--work",
        "work",
        "--out",
        "out",
    ]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "sys.argv", ["stills_to_clips", *arguments, "--epochs", "2", "--samples", "9", "--seeds", "5"]
    )
    for _ in range(2):  # the second time nothing is left to train
        stills_to_clips.main()
    found = json.loads(Path("work/courses.json").read_text())
    assert [(one["start"], one["seed"], len(one["uar"])) for one in found] == [
        (SCRATCH, 5, 2),
        (STILLS, 5, 2),
    ]
    assert Path("out/stills_to_clips.png").is_file()
    first, second = capsys.readouterr().out.strip().split("| UAR after epoch")[1:]
    assert first.strip() == second.strip()
