"""What one video needs is loaded for one video, in the command and in its child process, and nothing more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.videos import write_video

NOT_NEEDED = {"torch", "torchvision", "ray", "pandas", "scipy", "sklearn", "matplotlib", "facenet_pytorch"}
"""Each takes a tenth of a second to several seconds to load."""

PROGRAM = "import sys; from videofer.cli import main; sys.exit(main())"


def loaded_by(*arguments: str | Path, folder: Path) -> set[str]:
    """Top-level modules that the command and its children import: children inherit `-X importtime`."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        timeout=120,
    )
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines[1:]}


def test_one_video_with_yunet(tmp_path: Path, shared_weights: Path) -> None:
    video = write_video(tmp_path / "a.mp4", pts=range(12))
    loaded = loaded_by(
        "preprocess", video, "--out", tmp_path / "store", "--weights-dir", shared_weights, folder=tmp_path
    )
    assert {"av", "cv2", "h5py", "onnxruntime"} <= loaded, "the child's imports are seen"
    assert loaded & NOT_NEEDED == set()


def test_the_other_detector_does_need_torch(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", pts=range(3))
    loaded = loaded_by("preprocess", video, "--out", tmp_path / "store", "--faces", "mtcnn", folder=tmp_path)
    assert "torch" in loaded
    assert "ray" not in loaded
