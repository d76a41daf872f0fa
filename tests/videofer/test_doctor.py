"""`videofer doctor`: what it says of machines, packages and engines that are whole, missing and broken."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

from videofer.doctor import examine, gpu, machine, packages, text
from videofer.doctor.children import run_probes
from videofer.doctor.findings import Finding, Report
from videofer.doctor.plan import DECODERS, FACES, LANDMARKS, NEEDED, labels
from videofer.doctor.probes import split_line

ROOT = Path(__file__).resolve().parents[2]


def probe(*names: str, quick: bool = True, timeout_seconds: float = 120.0) -> list[Finding]:
    return [f for _, f in run_probes(names, quick=quick, timeout_seconds=timeout_seconds)]


# --- the machine ---


def test_a_machine_without_limits(tmp_path: Path) -> None:
    found = machine.cores(tmp_path)
    assert (found.state, found.seen) == ("ok", str(len(os.sched_getaffinity(0))))
    (tmp_path / "meminfo").write_text("MemTotal:  16000000 kB\nMemFree: 1 kB\nMemAvailable:  8000000 kB\n")
    found = machine.memory(tmp_path / "meminfo", tmp_path)
    assert found.state == "ok"
    assert found.figures == {"total_bytes": 16_384_000_000, "free_bytes": 8_192_000_000}


def test_the_limits_of_a_container_count(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    found = machine.cores(tmp_path)
    assert found.state == "note" and found.figures["granted"] == 0.5
    assert found.mend.startswith("--workers 1 ")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.cores(tmp_path).state == "ok"
    (tmp_path / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    (tmp_path / "memory.max").write_text("2000000000\n")
    (tmp_path / "memory.current").write_text("1500000000\n")
    found = machine.memory(tmp_path / "meminfo", tmp_path)
    assert found.state == "note" and found.mend
    assert found.figures == {"total_bytes": 2_000_000_000, "free_bytes": 500_000_000}
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.memory(tmp_path / "meminfo", tmp_path).state == "ok"


def test_what_a_system_does_not_tell_is_no_error(tmp_path: Path) -> None:
    assert machine.memory(tmp_path / "none", tmp_path).state == "note"
    assert machine.shared_memory(tmp_path / "none").state == "note"
    found = machine.disk("disk here", tmp_path / "none")
    assert found.state == "broken" and str(tmp_path / "none") in found.seen


def test_a_busy_machine_is_said_to_be_one() -> None:
    assert machine.load(0.4, 4).state == "ok"
    busy = machine.load(8.0, 4)
    assert busy.state == "note" and "too low" in busy.seen


def test_little_room_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"total": 64_000_000, "free": 60_000_000})
    monkeypatch.setattr("videofer.doctor.machine.shutil.disk_usage", lambda folder: usage)
    found = machine.shared_memory(tmp_path)
    assert found.state == "note" and "--shm-size" in found.mend and "64 MB" in found.seen.replace(".0", "")
    assert machine.disk("disk here", tmp_path).state == "note"


@pytest.mark.parametrize(
    ("script", "state", "seen"),
    [
        ("echo 'ffmpeg version 7.1.2-static Copyright'", "ok", "7.1.2-static"),
        ("echo 'not found: libavdevice.so' >&2; exit 127", "broken", "does not say its version"),
        (None, "absent", "none in the system"),
    ],
)
def test_ffmpeg(
    script: str | None, state: str, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script is not None:
        program = tmp_path / "ffmpeg"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = machine.ffmpeg()
    assert found.state == state and seen in found.seen
    assert (found.mend == "") == (state == "ok")


# --- packages ---


def test_installed_packages_are_compared_with_what_is_asked() -> None:
    assert packages.check("numpy>=2.0") is None
    assert packages.check("ray[train,tune]>=2.43") is None
    old = packages.check("numpy>=99")
    assert old is not None and old.state == "broken" and old.needed
    assert old.mend == "pip install 'numpy>=99'" and "numpy>=99" in old.seen
    none = packages.check("no-such-package-of-ours>=1")
    assert none is not None and none.seen == "not installed"


def add_package(folder: Path, name: str) -> None:
    info = folder / f"{name.replace('-', '_')}-9.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.0\n")


def test_twins_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert packages.twins() == []
    add_package(tmp_path, "opencv-python")
    add_package(tmp_path, "onnxruntime-gpu")
    monkeypatch.syspath_prepend(tmp_path)
    opencv, runtime = packages.twins()
    assert opencv.mend == (
        "pip uninstall --yes opencv-python && pip install --force-reinstall --no-deps opencv-python-headless"
    )
    assert "uninstall --yes onnxruntime &&" in runtime.mend


def test_a_twin_stands_for_the_package_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_package(tmp_path, "onnxruntime-gpu")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert packages.check("onnxruntime>=1.20") is None
    assert packages.check("opencv-python-headless>=4") is not None


def test_without_metadata_versions_are_not_compared() -> None:
    (found,) = packages.examine_packages("no-such-package-of-ours")
    assert found.state == "note" and found.mend == "pip install ."


# --- the GPU ---


def test_the_version_of_the_driver(tmp_path: Path) -> None:
    said = tmp_path / "version"
    said.write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23\nGCC version: 12\n"
    )
    assert gpu.driver_version(said) == "580.95.05"
    said.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.1  Release\n")
    assert gpu.driver_version(said) == "570.1"
    assert gpu.driver_version(tmp_path / "none") is None


def test_why_there_is_no_gpu() -> None:
    assert gpu.without_gpu(None, "13.0", []).state == "absent"
    no_cuda = gpu.without_gpu("580.1", None, [])
    assert no_cuda.state == "broken" and "pip install" in no_cuda.mend
    too_old = gpu.without_gpu("470.1", "13.0", ["CUDA initialization: the driver is\ntoo old (found 11040)"])
    assert "too old" in too_old.seen and "\n" not in too_old.seen
    assert "--gpus all" in gpu.without_gpu("580.1", "13.0", []).mend


# --- engines, in a child process ---


def test_lines_of_errors_are_taken_apart() -> None:
    line = (
        "weights of fan are missing: `videofer weights fetch fan` gets a.pth (1 MB) from https://x/a.pth; or"
    )
    assert split_line(line) == ("weights of fan are missing", "videofer weights fetch fan")
    line = "torchcodec is not installed: pip install 'torchcodec>=0.12'"
    assert split_line(line) == ("torchcodec is not installed", "pip install 'torchcodec>=0.12'")
    line = "no cuda:0: torch finds no GPU (see `videofer doctor`)"
    assert split_line(line) == ("no cuda:0: torch finds no GPU", "")
    assert split_line("unknown decoder 'x'; known: pyav") == ("unknown decoder 'x'; known: pyav", "")


def test_every_engine_of_the_seams_is_tried() -> None:
    from preprocessing.decode import DECODERS as DECODE_ENGINES
    from preprocessing.faces import FACE_DETECTORS
    from preprocessing.landmarks import LANDMARK_ENGINES

    assert set(DECODERS) == set(DECODE_ENGINES)
    assert set(FACES) == {"auto", *FACE_DETECTORS} - {"precropped"}
    assert set(LANDMARKS) >= set(LANDMARK_ENGINES) - {"mesh468"}  # the same network as mesh
    assert set(labels()) >= NEEDED


def test_engines_work_and_are_timed(shared_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOFER_WEIGHTS", str(shared_weights))
    names = ("decoders/pyav", "faces/mtcnn", "faces/yunet", "landmarks/mesh", "skeletons/onnx")
    found = probe(*names, quick=False)
    assert [(f.name, f.state) for f in found] == [(name.partition("/")[2], "ok") for name in names]
    assert all(float(f.figures["per_second"]) > 0 and "/s" in f.seen for f in found)


def test_missing_weights_name_the_command() -> None:
    yunet, rtmlib, auto = probe("faces/yunet", "skeletons/rtmlib", "faces/auto")
    assert yunet.state == rtmlib.state == "absent"
    assert rtmlib.mend.startswith("videofer weights fetch ")
    assert auto.figures == {"takes": "mtcnn"}


def test_a_wrong_file_of_weights_is_broken_and_not_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "face_detection_yunet_2023mar.onnx"
    path.write_bytes(b"another")
    monkeypatch.setenv("VIDEOFER_WEIGHTS", str(tmp_path))
    (found,) = probe("faces/yunet")
    assert (found.state, found.mend) == ("broken", f"rm {path}")
    assert found.seen.startswith(f"{path} is not the published file: SHA-256")


def test_a_library_that_crashes_or_hangs_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cv2.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    (tmp_path / "torch.py").write_text("import time\ntime.sleep(60)\n")
    (tmp_path / "onnxruntime.py").write_text(
        "print('hello')\n__version__ = '0'\nget_available_providers = list\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    names = ("libraries/OpenCV", "libraries/PyTorch", "libraries/ONNX Runtime")
    start = time.monotonic()
    opencv, torch, runtime = probe(*names, timeout_seconds=4.0)
    assert time.monotonic() - start < 45
    assert opencv.state == "broken" and "crashed with SIGSEGV" in opencv.seen
    assert torch.state == "broken" and "no answer in 4 s" in torch.seen
    assert runtime.state == "ok"  # what it printed is not taken for an answer


def test_a_second_opencv_that_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (found,) = probe("libraries/OpenCV")
    assert found.state == "broken" and "libGL" in found.seen
    assert found.mend.endswith("--no-deps opencv-python-headless")


def test_a_detector_that_sees_nothing_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from preprocessing.faces.mtcnn import MTCNN
    from preprocessing.types import Faces
    from videofer.doctor.probes import run

    nothing = Faces(np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0))
    monkeypatch.setattr(MTCNN, "detect", lambda self, images: [nothing])
    assert run("faces/mtcnn", quick=False).state == "broken"


# --- the whole ---


def in_an_empty_environment(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with nothing but its standard library."""
    venv.create(folder, symlinks=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [str(folder / "bin" / "python"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)


def test_it_works_where_nothing_is_installed(tmp_path: Path) -> None:
    result = in_an_empty_environment(tmp_path / "venv", "-m", "videofer.doctor", "--json")
    assert result.returncode == 3, result.stderr
    report = json.loads(result.stdout)
    assert report["healthy"] is False
    found = {f["name"]: f for section in report["sections"].values() for f in section}
    assert found["PyTorch"]["state"] == "broken" and "torch" in found["PyTorch"]["seen"]
    assert found["cores"]["state"] in ("ok", "note")


def test_the_command_names_the_doctor_where_a_package_is_missing(tmp_path: Path) -> None:
    code = "from videofer.cli import main; main()"
    result = in_an_empty_environment(tmp_path / "venv", "-c", code, "--help")
    assert result.returncode == 2
    assert result.stderr == (
        "videofer: error: No module named 'typer'; `python -m videofer.doctor` says what mends it\n"
    )
    result = in_an_empty_environment(tmp_path / "venv", "-c", code, "--debug")
    assert "Traceback" in result.stderr


@pytest.mark.slow
def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    from videofer.cli import app
    from videofer.cli.errors import one_line_errors

    code = one_line_errors(app, ["doctor", "--quick", "--json"])
    report = json.loads(capsys.readouterr().out)
    broken = [f for section in report["sections"].values() for f in section if f["state"] == "broken"]
    assert (code, report["healthy"]) == (0, True), broken
    assert report["python"] == sys.version.split()[0]
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    keys = {*report, *report["sections"], *report["sections"]["machine"][0]}
    assert [key for key in keys if f"`{key}`" not in page] == []


def example() -> Report:
    long = "word " * 40
    sections = {
        "machine": [Finding("cores", "ok", "4"), Finding("memory", "note", long, "do something about it")],
        "faces": [Finding("face-alignment:retinaface", "absent", long, "videofer weights fetch " + "x" * 90)],
        "libraries": [Finding("PyTorch", "broken", "No module named 'torch'", needed=True)],
    }
    return Report({"videofer": "1", "python": "3", "system": "Linux"}, sections)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_text_fits_80_columns_and_any_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    text.show(example(), out)
    out.seek(0)
    lines = out.read().splitlines()
    assert [line for line in lines if len(line) > 80 and "xxx" not in line] == []
    assert any(line.endswith("x" * 90) for line in lines)  # a command stays on one line, to be copied
    assert not any("\033" in line for line in lines)
    assert lines[-1] == "videofer does not work here: PyTorch. What mends it stands above."


def test_a_whole_machine_is_said_to_be_one() -> None:
    report = Report({}, {"machine": [Finding("cores", "ok", "4")]})
    assert report.healthy and text.summary(report) == "All works here."
    without = Report({}, {"faces": [Finding("yunet", "absent", "no weights")]})
    assert without.healthy and text.summary(without).startswith("videofer works here; 1 choice ")


def test_examine_says_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videofer.doctor.labels", lambda: ["libraries/OpenCV"])
    heard: list[str] = []
    report = examine(quick=True, on_start=heard.append)
    assert heard == ["libraries/OpenCV"]
    assert [f.name for f in report.sections["libraries"]][-1] == "OpenCV"
