"""The command line as a user meets it: a real process, exit codes, one line for an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml

from tests.videos import write_video
from videofer.cli.errors import one_line_errors

ROOT = Path(__file__).resolve().parents[2]


def videofer(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as installed, in the checkout's environment."""
    command = [sys.executable, "-c", "from videofer.cli import main; main()", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd or ROOT, env=environment, timeout=240
    )


def complaint(result: subprocess.CompletedProcess[str]) -> str:
    """The one line of an error that exits 2."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("videofer: error: ")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_help_answers() -> None:
    """At once: it imports nothing heavy, as tests/test_imports.py sees to."""
    result = videofer("--help")
    assert result.returncode == 0
    for command in ("preprocess", "store", "train", "evaluate", "timeline", "demo", "init"):
        assert command in result.stdout
        assert videofer(command, "--help").returncode == 0


def test_the_set_of_options_is_the_documented_one() -> None:
    """New options are a decision, not an accident."""
    text = videofer("preprocess", "--help").stdout
    options = {word for word in text.split() if word.startswith("--")}
    assert options == {
        "--out", "--manifest", "--only-manifest", "--labels-from-folders", "--config", "--decoder", "--faces",
        "--pose", "--landmarks", "--people", "--weights-dir", "--workers", "--ray-address", "--gpu",
        "--retry-failed", "--local", "--report", "--dry-run", "--dry-run-seconds", "--deadline",
        "--cores-per-node", "--set", "--help",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["preprocess", "x.mp4"], "--out"),
        (["preprocess", "x.mp4", "--out", "S", "--wrokers", "2"], "--wrokers"),
        (["preprocess", "x.mp4", "--out", "S", "--faces", "haar"], "'haar'"),
        (["preprocess", "x.mp4", "--out", "S", "--people", "some"], "some"),
        (["preprocess", "x.mp4", "--out", "S", "--local", "L"], "--local is for a store at a URL"),
        (["preprocess", "x.mp4", "--out", "S", "--deadline", "3"], "are for --dry-run"),
        (["preprocess", "x.mp4", "--out", "S", "--pose", "openpose"], "onnx:POSE[,PERSON]"),
        (["preprocess", "x.mp4", "--out", "S", "--pose", "onnx:none.onnx"], "none.onnx"),
        (["preprocess", "x.mp4", "--out", "S", "--set", "crop_sise=9"], "did you mean 'crop_size'?"),
        (["preprocess", "x.mp4", "--out", "S", "--set", "crop_size=9"], "crop_size"),
        (["preprocess", "x.mp4", "--out", "S", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["preprocess", "x.mp4", "--out", "S", "--manifest", "nowhere.csv"], "nowhere.csv"),
        (["preprocess", "x.mp4", "--out", "S", "--faces", "yunet"], "yunet"),
        (["store", "info", "nowhere"], "nowhere is not a store"),
        (["train", "nowhere.yaml", "--store", "S", "--out", "R"], "nowhere.yaml"),
        (
            ["train", "nowhere.yaml", "--store", "S", "--out", "R", "--dry-run", "--ray-address", "head:1"],
            "not at --ray-address head:1",
        ),
        (["evaluate", "--model", "nowhere", "--store", "S", "--out", "E"], "nowhere"),
        (["timeline", "x.mp4", "--model", "nowhere", "--out", "T"], "nowhere"),
        (["timeline", "x.mp4", "--model", "nowhere", "--out", "T", "--formats", "docx"], "docx"),
        (["init", "nowhere"], "nowhere"),
        (["frobnicate"], "frobnicate"),
    ],
    ids=lambda value: " ".join(value[:1] + value[3:]) if isinstance(value, list) else "",
)
def test_usage_errors_are_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    assert words in complaint(videofer(*arguments, cwd=tmp_path))


def test_a_misspelled_recipe_key_is_named_with_the_right_one(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text((ROOT / "configs/train/demo.yaml").read_text().replace("batch_size:", "bach_size:"))
    line = complaint(videofer("train", recipe, "--store", tmp_path / "S", "--out", tmp_path / "R"))
    assert "bach_size" in line and "'batch_size'" in line and "recipe.yaml" in line


def test_a_pickle_is_refused_as_a_model(tmp_path: Path) -> None:
    model = tmp_path / "model.pt"
    model.write_bytes(b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.")
    line = complaint(videofer("timeline", "x.mp4", "--model", model, "--out", tmp_path / "T", cwd=tmp_path))
    assert "model.pt" in line and not (tmp_path / "pwned").exists()


def test_a_file_where_a_folder_should_be_is_said_to_be_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no folder")
    app = typer.Typer()

    @app.command()
    def make(folder: Path) -> None:
        folder.mkdir(exist_ok=folder == file)

    assert one_line_errors(app, [str(file)]) == 2
    assert capsys.readouterr().err == f"videofer: error: {file}: is a file, not a folder\n"
    assert one_line_errors(app, [str(file / "in it")]) == 2
    assert capsys.readouterr().err.endswith(f"in it: cannot be, as {file} is a file, not a folder\n")
    assert one_line_errors(app, [str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"videofer: error: {tmp_path}: File exists\n"


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    result = videofer("store", "info", "nowhere", "--debug", cwd=tmp_path)
    assert result.returncode != 0 and "Traceback" in result.stderr


def test_preprocess_lists_failures_and_exits_3(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "good.mp4")
    (tmp_path / "in" / "bad.mp4").write_bytes(b"")
    store = tmp_path / "S"
    result = videofer("preprocess", tmp_path / "in", "--out", store, "--faces", "precropped")
    assert result.returncode == 3, result.stderr
    assert "stored 1 video in" in result.stdout and "'bad.mp4': probe: empty file" in result.stdout
    again = videofer("preprocess", tmp_path / "in", "--out", store, "--faces", "precropped")
    assert again.returncode == 3 and again.stdout.startswith("nothing to do: 1 of 2 inputs are in the store")

    facts = json.loads(videofer("store", "info", store, "--json", "--videos").stdout)
    assert [video["names"] for video in facts["videos"]] == [["good.mp4"]]
    assert [(f["name"], f["stage"], f["reason"]) for f in facts["failures"]] == [
        ("bad.mp4", "probe", "empty file")
    ]
    listing = videofer("store", "info", store, "--videos").stdout
    assert "'good.mp4': 64x48, 10 frames" in listing and "face 10 ok" in listing
    assert videofer("store", "verify", "--deep", store).returncode == 0
    shard = next((store / "shards").glob("*.h5"))
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    shard.chmod(0o644)
    shard.write_bytes(damaged)
    broken = videofer("store", "verify", "--deep", store)
    assert broken.returncode == 3 and shard.name in broken.stdout


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    arguments = ["--out", tmp_path / "S", "--faces", "precropped", "--dry-run", "--dry-run-seconds", 1]
    result = videofer("preprocess", tmp_path / "a.mp4", *arguments)
    assert result.returncode == 0 and "'a.mp4': video, 64x48, h264, 0.40 s" in result.stdout
    assert not (tmp_path / "S").exists()


def test_init_writes_what_train_reads(tmp_path: Path) -> None:
    from videofer.datasets.manifest import read_manifest
    from videofer.recipe import load_recipe

    for name in ("anna/happy/1.mp4", "anna/sad/2.mp4", "ben/happy/3.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / name)
    result = videofer("init", tmp_path)
    assert result.returncode == 0, result.stderr
    assert read_manifest(tmp_path / "manifest.csv")["label"].tolist() == ["happiness", "sadness", "happiness"]
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert recipe.data.classes == ["happiness", "sadness"]
    assert recipe.model.face is not None and recipe.model.body is None and recipe.model.fusion is None
    assert "faces only" in result.stdout and "--pose" not in result.stdout
    assert "--force" in complaint(videofer("init", tmp_path))
    np.savez(tmp_path / "anna/happy/1.keypoints.npz", keypoints=np.zeros((10, 1, 17, 3), np.float32))
    again = videofer("init", tmp_path, "--force")
    assert "--pose sidecar" in again.stdout
    assert load_recipe(tmp_path / "recipe.yaml").model.body is not None


def test_complete_configs_have_every_key() -> None:
    from preprocessing.config_file import load_yaml
    from preprocessing.spec import PreprocessSpec

    for path in (ROOT / "configs/preprocess").glob("*.yaml"):
        spec = load_yaml(path, PreprocessSpec)
        assert set(yaml.safe_load(path.read_text())) == set(spec.model_dump())
    assert load_yaml(ROOT / "configs/preprocess/default.yaml", PreprocessSpec) == PreprocessSpec()
