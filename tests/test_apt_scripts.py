"""tools/browser.sh and tools/ffmpeg.sh: what they say on each kind of machine. They never fail a build."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[1] / "tools"
NEEDED = ("bash", "chmod", "dirname", "grep", "mktemp", "rm", "sort", "tail")
ROOT, USER = "echo 0", "echo 1000"
FAILS = 'echo "E: no network"; exit 1'
BRINGS = (
    'if [ "$1" = install ]; then printf "#!/bin/bash" >"${0%/*}/chromium"; chmod +x "${0%/*}/chromium"; fi'
)


def said_by(script: str, folder: Path, **commands: str) -> str:
    """What a script says where PATH has no more than these commands."""
    folder.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    for name, code in commands.items():
        file = folder / name.replace("_", "-")
        file.write_text(f"#!/bin/bash\n{code}\n")
        file.chmod(0o755)
    variables = {"PATH": os.fspath(folder), "TMPDIR": os.fspath(folder)}
    done = subprocess.run(
        ["bash", TOOLS / script], env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, "a machine without it builds all the same"
    assert not list(folder.glob("tmp.*")), "no log is left"
    return done.stdout + done.stderr


@pytest.mark.parametrize(("script", "package"), [("browser.sh", "chromium"), ("ffmpeg.sh", "ffmpeg")])
def test_where_it_cannot_be_had(tmp_path: Path, script: str, package: str) -> None:
    assert "SKIPPED: install " in said_by(script, tmp_path / "a")
    assert f"run 'sudo apt-get install {package}'" in said_by(script, tmp_path / "b", id=USER, apt_get="")
    text = said_by(script, tmp_path / "c", id=ROOT, apt_get=FAILS)
    assert f"apt-get could not install {package} (E: no network)" in text
    assert f"apt-get installed {package}, but " in said_by(script, tmp_path / "d", id=ROOT, apt_get="")


def test_what_is_there_is_used_and_what_is_brought_is_found(tmp_path: Path) -> None:
    libraries = "echo '  libavcodec.so.59 (libc6,x86-64) => /usr/lib/libavcodec.so.59'"
    assert said_by("ffmpeg.sh", tmp_path / "a", ldconfig=libraries) == "ffmpeg: libavcodec.so.59\n"
    text = said_by("browser.sh", tmp_path / "b", id=ROOT, apt_get=BRINGS)
    assert text.splitlines()[0] == f"browser: {tmp_path}/b/chromium"
