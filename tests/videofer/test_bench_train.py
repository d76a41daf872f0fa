"""The benchmark itself, with tiny networks: its figures mean nothing here, but they are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from training_store import make_training_store, small_recipe

from tools import bench_train


def test_prints_and_writes_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    bench_train.main(["--quick", "--device", "cpu", "--parts", "step,recipes,flops", "--json", str(path)])
    figures = json.loads(path.read_text())
    assert [row["step"] for row in figures["step"]] == ["port, float32", "ours, float32", "ours, bfloat16"]
    assert figures["step"][0]["times as fast"] == 1
    assert {row["recipe"] for row in figures["recipes"]} == {"fused", "demo"}
    assert all(row["GFLOP a step"] > 0 and row["share"] > 0 for row in figures["flops"])
    assert "port, float32" in capsys.readouterr().out


def test_unknown_part_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench_train.main(["--parts", "steps", "--json", str(tmp_path / "figures.json")])
    assert "--parts must be of step, recipes, store, flops, not steps" in capsys.readouterr().err


def test_operations_are_those_of_the_convolutions() -> None:
    """Of the published model: a ResNet-18 whose blocks' second convolutions run on both views."""
    bench = bench_train.Bench("cpu", 1, quick=True)
    recipe = bench.recipe(bench_train.PUBLISHED, "training.amp='off'", "model.face.width=16")
    operations = bench_train.operations_of(bench_train.training_step(recipe, bench.device, augmented=False))

    total = 2 * (3 * 7**2 * 16) * 24**2  # the stem: forward and weights; its input needs no gradient
    before = 16
    for channels, side in ((16, 12), (32, 6), (64, 3), (128, 2)):  # of 48 pixels
        per_pixel = 9 * before * channels + 9 * channels**2  # first convolutions of both blocks
        per_pixel += 2 * 2 * 9 * channels**2  # second ones, on both views
        per_pixel += before * channels if before != channels else 0  # shortcut
        total += 3 * per_pixel * side**2
        before = channels
    assert recipe.sample_spec().num_clips * recipe.sample_spec().num_frames == 10
    expected = 2 * total * recipe.training.batch_size * 10
    assert operations == pytest.approx(expected, rel=0.02)  # the rest are the heads


def test_waiting_and_timeline_from_a_store(tmp_path: Path) -> None:
    make_training_store(tmp_path / "store")
    recipe = small_recipe(epochs=2)
    row = bench_train.waiting_row(recipe, tmp_path / "store", tmp_path / "run")
    assert 0 <= row["share of time waiting"] <= 1
    assert row["samples/s"] > 0
    row = bench_train.timeline_row(tmp_path / "run", tmp_path / "store", torch.device("cpu"))
    assert row["windows"] > 1
    assert 0 < row["clips through the trunk"] < row["their clips"]
