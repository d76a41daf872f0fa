"""The benchmark of the GPU: what limits a run, its tables and their page, and a dry run without a GPU."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from preprocessing.spec import PreprocessSpec
from tests.videofer.training_store import make_training_store, small_recipe
from tools import bench_gpu
from tools.gpu_bench import training
from tools.gpu_bench.busy import GpuSamples, cpu_seconds, gpu_samples, read_sample
from tools.gpu_bench.pipeline import Case, Figures
from tools.gpu_bench.text import BEGIN, END, page_text, write_into
from tools.gpu_bench.training import TrainingFigures

ON_GPU = Figures(
    case=Case("faces yunet", PreprocessSpec(), "cuda:0", 32),
    num_frames=240_000,
    frames_per_second=12_345.6,
    busy_share=0.4,
    gpu_share=0.31,
    mean_batch=7.5,
    cpu_ms_a_frame={"workers": 1.2, "device process": 0.3, "driver": 0.05, "Ray": 0.15, "other": 9.0},
    worker_share=0.98,
    stages={"decode": 5.0, "detect": 2.0, "align": 1.0},
)
ON_CORES = replace(
    ON_GPU,
    case=Case("faces mtcnn", PreprocessSpec(), None, 16),
    busy_share=None,
    gpu_share=None,
    mean_batch=None,
)


def test_the_bottleneck_is_the_one_that_is_full() -> None:
    assert ON_GPU.bottleneck == "the cores: decode 62%"
    assert replace(ON_GPU, busy_share=0.9).bottleneck == "the device"
    assert replace(ON_GPU, worker_share=0.5).bottleneck == "handing out videos: too few, or too short"
    waiting = {"decode": 2.0, "detect": 5.0, "pose": 1.0}
    assert replace(ON_GPU, stages=waiting).bottleneck == "the networks, waited for: more workers help (75%)"
    assert replace(ON_CORES, stages=waiting).bottleneck == "the networks, on the cores (75%)"


def test_the_tables_stand_on_their_page_and_nothing_else_changes(tmp_path: Path) -> None:
    trained = [TrainingFigures("fused", 812.3, 0.93, 0.88), TrainingFigures("demo", 2000.0, 0.85, None)]
    text = page_text("1 x a GPU, 16 cores", [ON_GPU, ON_CORES], trained)
    line = "| faces yunet | cuda:0 | 32 | **12,346** | 40% | 31% | 7.5 | the cores: decode 62% |"
    assert line in text.splitlines()
    assert "| faces mtcnn | the cores | 16 | **12,346** | - | - | - | the cores: decode 62% |" in text
    assert "| faces yunet | cuda:0 | 1.20 | 0.30 | 0.05 | 0.15 | 1.7 |" in text  # others' time is not ours
    assert "**reached**, 12,346 with faces yunet" in text
    assert "over 90% busy: **missed**, at least 85% (demo)" in text
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        write_into(page, text)
        assert page.read_text() == f"# Page\n{BEGIN}\n{text}\n{END}\nafter\n"
    page.write_text("# Page\n")
    with pytest.raises(ValueError, match="has no lines <!-- bench-gpu: begin -->"):
        write_into(page, text)


def test_the_page_has_its_place() -> None:
    content = bench_gpu.PAGE.read_text(encoding="utf-8")
    assert content.count(BEGIN) == content.count(END) == 1 and content.index(BEGIN) < content.index(END)


def test_samples_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that writes as nvidia-smi does, for as long as the block lasts."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '80, 1000'\necho '[N/A], 7'\necho '40, 3000'\nprintf 9\nsleep 60\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with gpu_samples() as samples:
        time.sleep(0.5)
    assert samples.utilisation == [80, 40] and samples.memory_mib == [1000, 3000]
    assert samples.mean_share == pytest.approx(0.6)


def test_without_a_gpu_there_are_no_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with gpu_samples() as samples:
        pass
    assert samples.mean_share is None
    cut = GpuSamples()
    for line in ("", "12", "12,", "no, 3", "1, 2, 3"):
        read_sample(line, cut)
    assert cut.utilisation == []


def test_cpu_time_of_this_process_grows() -> None:
    before = cpu_seconds()["driver"]
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert cpu_seconds()["driver"] >= before + 0.05


def test_engines_without_weights_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOFER_WEIGHTS", str(tmp_path))
    cases = bench_gpu.cases_of(["faces yunet", "faces mtcnn"], "cuda:0", [4, 8], tmp_path)
    places = [(case.device, case.num_workers) for case in cases]
    assert places == [(None, 4), ("cuda:0", 4), ("cuda:0", 8)]
    assert {case.name for case in cases} == {"faces mtcnn"}
    assert "left out: faces yunet: " in capsys.readouterr().out


def test_unknown_parts_and_engines_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--parts", "sleep"], ["--engines", "faces of clay"]):
        with pytest.raises(SystemExit):
            bench_gpu.main(arguments)
    assert "faces of clay" in capsys.readouterr().err


def test_training_tells_the_share_of_its_steps(tmp_path: Path) -> None:
    make_training_store(tmp_path / "store")
    figures = training.measure(small_recipe(epochs=2), tmp_path / "store", tmp_path / "run")
    assert figures.recipe == "small" and figures.samples_per_second > 0
    assert 0 <= figures.busy_share <= 1


def test_shipped_recipes_are_as_long_as_the_device_can_do() -> None:
    short, long = (training.recipe_of("fused", device).training for device in ("cpu", "cuda:0"))
    assert short.epochs == long.epochs == 2
    assert short.samples_per_epoch is not None and long.samples_per_epoch is not None
    assert 0 < short.samples_per_epoch < long.samples_per_epoch


@pytest.mark.ray
def test_a_dry_run_without_a_gpu(
    tmp_path: Path, shared_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    bench_gpu.main(
        [
            *("--device", "cpu", "--parts", "pipeline", "--engines", "faces yunet", "--workers", "2"),
            *("--frames", "50", "--videos-a-worker", "4", "--weights-dir", str(shared_weights)),
            *("--write", str(page)),
        ]
    )
    text = page.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| faces yunet |")]
    assert [row.split(" | ")[1] for row in rows] == ["the cores", "cpu", "the cores", "cpu"]
    on_device = rows[1].split(" | ")
    assert float(on_device[3].strip("*").replace(",", "")) > 0
    assert on_device[4].endswith("%") and float(on_device[6]) >= 1
    assert "What limits it: " in text
