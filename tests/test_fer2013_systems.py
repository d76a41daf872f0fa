"""tools/fer2013_systems.py: rows and picture of the systems that were measured, in the table's order."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import pytest

from tools.fer2013_systems import SYSTEMS, main, read_systems

LABELS = ("neutral", "anger", "disgust")


def evaluation(folder: Path, war: float) -> None:
    figures = {
        "war": war,
        "uar": 0.5,
        "recall": dict.fromkeys(LABELS, 0.5),
        "confusion": [[8, 1, 1], [2, 6, 2], [0, 0, 0]],
    }
    found = {
        "fer2013": {"face": {}, "fused": figures},
        "fer2013_without_copies": {"fused": {**figures, "war": war - 0.01}},
    }
    folder.mkdir(parents=True)
    (folder / "figures.json").write_text(json.dumps({"evaluations": found}))


def test_systems_in_the_tables_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, war in (("vgg", 0.68), ("cnn", 0.63), ("blend", 0.7), ("a_stranger", 0.9)):
        evaluation(tmp_path / "evaluations" / name, war)
    out = tmp_path / "images" / "systems.png"
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "evaluations"), "--out", str(out)])
    main()
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "| `cnn` | 62.6 | **63.0** (62.0) | 50.0 |",
        "| `vgg` | 66.8 | **68.0** (67.0) | 50.0 |",
        "| `blend` |  | **70.0** (69.0) | 50.0 |",
    ]
    assert "a_stranger is none of the systems" in printed.err
    picture = cv2.imread(str(out))
    assert picture is not None and picture.shape[1] > picture.shape[0] > 300
    assert [system.labels for system in read_systems(tmp_path / "evaluations")] == [LABELS] * 3


def test_a_folder_without_evaluations_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path), "--out", str(tmp_path / "out.png")])
    with pytest.raises(SystemExit):
        main()
    assert "holds no evaluation" in capsys.readouterr().err and not (tmp_path / "out.png").exists()


def test_every_system_is_a_recipe() -> None:
    recipes = Path(__file__).resolve().parents[1] / "configs" / "train"
    assert {f"fer2013_{name}" for name in SYSTEMS} == {path.stem for path in recipes.glob("fer2013_*.yaml")}
