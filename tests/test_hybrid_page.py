"""The commands of docs/hybrid.md, run on a small acted set: the whole beats face and body on strangers."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tools.hybrid_results import HEADS, LABELS, filled, read_all, reported, save_picture, table
from videofer.emotions.label_sets import LABEL_SETS
from videofer.synthetic.acted_states import FACE_AND_GESTURE, MODALITIES

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "hybrid.md").read_text(encoding="utf-8")
SMALLER = {
    "datasets acted": ["--classes", "12", "--performers", "5"],
    "preprocess acted": ["--workers", "2"],
    f"crossval {ROOT / 'configs/train/hybrid_small.yaml'}": ["--set", "training.epochs=20"],
}
MARGIN = 0.15  # in accuracy; the best possible observer gains 0.4


def commands() -> list[list[str]]:
    """Of the synthetic set, without what is said behind them."""
    section = re.search(r"## Without it.*?```sh\n(.*?)```", PAGE, re.DOTALL)
    assert section is not None
    return [shlex.split(line, comments=True) for line in section[1].splitlines()]


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(900)
def test_the_whole_beats_each_branch_by_a_margin(tmp_path: Path) -> None:
    for command in commands():
        assert command[0] == "videofer"
        words = [str(ROOT / word) if word.startswith("configs/") else word for word in command[1:]]
        words += SMALLER.get(" ".join(words[:2]), [])
        program = [sys.executable, "-c", "from videofer.cli import main; main()", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        result = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, f"{command}: {result.stdout}\n{result.stderr}"
        if command[1:3] == ["datasets", "inspect"]:
            assert "GEMEP" in result.stdout and "SYNTHETIC" in result.stdout
    heads = json.loads((tmp_path / "runs" / "metrics.json").read_text(encoding="utf-8"))["heads"]
    war = {name: values["war"] for name, values in heads.items()}
    assert heads["fused"]["num_samples"] == 60 and heads["fused"]["num_groups"] == 5
    assert min(war["face"], war["body"]) > 2 / 12, war  # each tells something
    assert war["fused"] >= max(war["face"], war["body"]) + MARGIN, war


def test_the_page_has_the_markers_and_keeps_its_text() -> None:
    page = filled(PAGE, "| a |\n|---|")
    assert "<!-- results -->\n| a |\n|---|\n<!-- /results -->" in page
    assert page.partition("<!-- results -->")[0] == PAGE.partition("<!-- results -->")[0]
    with pytest.raises(ValueError, match="markers"):
        filled("no markers", "| a |")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """What the tool finds after its runs: a portrayal of each class, all of them told right by the whole."""
    states = ["path,performer,state,face,gesture"]
    states += [f"{state}.mp4,01,{state},{face},{body}" for state, (face, body) in FACE_AND_GESTURE.items()]
    (tmp_path / "acted" / "GEMEP").mkdir(parents=True)
    (tmp_path / "acted" / "GEMEP" / "shown.csv").write_text("\n".join(states))
    for name in LABELS:
        size = len(LABEL_SETS[name].classes)
        head = {
            "war": 1.0,
            "uar": 0.5,
            "macro_f1": 0.25,
            "intervals": {"war": [0.9, 1.0]},
            "support": dict.fromkeys(LABEL_SETS[name].classes, 1),
            "confusion": np.eye(size, dtype=int).tolist(),
        }
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(
            json.dumps({"heads": dict.fromkeys(HEADS.values(), head)})
        )
        (tmp_path / name / "folds.csv").write_text("face_war,body_war,fused_war\n0.5,0.5,0.5\n1,1,1\n")
    return tmp_path


def test_table_and_picture(work: Path) -> None:
    branches = read_all(work)
    assert [(one.labels, one.modality) for one in branches] == [(n, m) for n in LABELS for m in MODALITIES]
    rows = table(branches).splitlines()
    assert len(rows) == 2 + 6
    assert rows[4] == (
        "| 7 | whole | **100.0 %** [90.0, 100.0] | 75.0 % ± 35.4 | 50.0 % | 25.0 % | 100.0 % | 67.3 % |"
    )
    save_picture(branches, work / "picture.png")
    assert (work / "picture.png").stat().st_size > 50_000


def test_figures_beside_ours_are_the_reported_ones() -> None:
    """Guo, Hsia, Ho and Chang, GEMEP, leave one performer out: face, body, whole."""
    found = [reported(labels, modality) for labels in LABELS for modality in MODALITIES]
    assert found == [0.66, 0.5833, 0.6734, 0.5083, 0.525, 0.6083]
