"""The commands of docs/archive.md, run in their order as they stand (those for a cluster are read only)."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cache.store import Store
from tests.videos import write_video
from videofer.cli import app
from videofer.cli.errors import one_line_errors

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "archive.md").read_text(encoding="utf-8")
CLUSTER = ("--ray-address",)  # needs machines; such a run is in the tests of the stage


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]


def test_only_known_programs() -> None:
    assert {command[0] for command in commands()} == {"videofer", "ray", "export"}
    assert sum(command[0] == "videofer" for command in commands()) >= 15


@pytest.mark.slow
@pytest.mark.ray
def test_the_commands_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("videos/part1", "videos/part2"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("videos/a.mp4", "videos/part1/b.mp4"):  # the same content twice
        write_video(tmp_path / name, pts=range(60))
    write_video(tmp_path / "videos/part2/c.mp4", pts=range(50), first_number=3)
    (tmp_path / "archive.csv").write_text("duration_seconds\n" + "60\n3600\n" * 50)
    monkeypatch.chdir(tmp_path)
    here = {"s3://bucket/store": (tmp_path / "bucket").as_uri(), "/scratch/store": "scratch"}
    for command in commands():
        if command[0] != "videofer" or any(word in command for word in CLUSTER):
            continue
        arguments = [here.get(word, word) for word in command[1:]]
        if arguments[0] == "preprocess":
            arguments += ["--faces", "precropped"]  # the pictures show nobody
        if "--dry-run" in arguments:
            arguments += ["--dry-run-seconds", "1"]
        code = one_line_errors(app, arguments)
        output = capsys.readouterr()
        assert code == 0, f"{command}: {output.out}\n{output.err}"
    assert len(Store.open(tmp_path / "all").videos()) == 2
    assert [video.names for video in Store.open(tmp_path / "store").videos()] == [["part2/c.mp4"]]
    assert len(Store.open(tmp_path / "bucket").videos()) == 2
    for made in ("report.html", "measured.json", "plan.png", "faces", "parts"):
        assert (tmp_path / made).exists(), made
