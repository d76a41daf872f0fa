"""`make mmpose`, as far as it goes without compiling anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tools" / "mmpose-requirements.txt"


def run_with(python: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "tools" / "mmpose.sh", python],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def fake_python(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_without_torch_it_says_what_comes_first(tmp_path: Path) -> None:
    done = run_with(fake_python(tmp_path / "python", "exit 1"))
    assert done.returncode == 1
    assert done.stderr == f"mmpose: {tmp_path / 'python'} has no torch: run 'make setup' first\n"


def test_another_version_is_not_replaced(tmp_path: Path) -> None:
    """An environment that has, say, mmcv for a project of its own keeps it."""
    for name in ("mmcv", "mmengine"):
        folder = tmp_path / "site" / f"{name}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    done = run_with(
        Path(sys.executable), PYTHONPATH=str(tmp_path / "site"), VIDEOFER_WHEELS=str(tmp_path / "w")
    )
    assert done.returncode == 1
    assert done.stderr == "mmpose: mmcv 1.0 is installed, 2.1.0 is needed: pip uninstall mmcv, then again\n"
    assert not (tmp_path / "w").exists()


def test_list_agrees_with_the_lock() -> None:
    """What both install is the same version: neither undoes the other."""
    wanted = dict(
        line.partition("#")[0].strip().split("==") for line in LIST.read_text().splitlines() if "==" in line
    )
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    locked = dict(line.partition(";")[0].strip().split("==") for line in lock if "==" in line)
    assert {"mmpose", "mmcv", "mmdet", "mmengine", "xtcocotools"} <= set(wanted)
    assert {"mmpose", "mmcv"}.isdisjoint(locked), "the core never installs it"
    shared = set(wanted) & set(locked)
    assert {"matplotlib", "scipy"} <= shared
    assert {name: wanted[name] for name in shared} == {name: locked[name] for name in shared}
