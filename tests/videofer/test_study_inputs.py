"""What a run has written is no input of the next, and no product takes the name of an input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preprocessing.discover import discover
from tests.videofer.export_helpers import make_run
from tests.videofer.test_cli import videofer
from tests.videofer.test_study_run import SPEC
from tests.videos import write_video
from videofer.study.inputs import OwnFiles, names_in


def found(folder: Path, out: Path) -> tuple[list[str], int]:
    own = OwnFiles(out)
    sources, failures = discover([folder], skip=own)
    assert not failures
    return [source.name for source in sources], own.num_skipped


def test_the_folder_of_products_is_skipped_below_the_input_but_not_as_the_input(tmp_path: Path) -> None:
    for name in ("a.mp4", "out/b.mp4", "out/notes.txt", "other/c.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert found(tmp_path, tmp_path / "out") == (["a.mp4", "other/c.mp4"], 1)
    assert found(tmp_path / "out", tmp_path / "out") == (["b.mp4"], 0)
    assert found(tmp_path, tmp_path / "nowhere")[1] == 0


def test_accounts_tell_what_is_ours_until_somebody_changes_it(tmp_path: Path) -> None:
    film = tmp_path / "a_annotated.mp4"
    film.write_bytes(b"old, without a mark")
    (tmp_path / "study").mkdir()
    stat = film.stat()
    text = json.dumps({"files": {film.name: [stat.st_size, stat.st_mtime_ns]}})
    (tmp_path / "study" / "1.json").write_text(text)
    (tmp_path / "study" / "2.json").write_text("torn")
    assert found(tmp_path, tmp_path) == ([], 1)
    film.write_bytes(b"somebody's")
    assert found(tmp_path, tmp_path) == (["a_annotated.mp4"], 0)


def test_a_folder_of_frames_stays_one_with_products_below_it(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number:03d}.png").write_bytes(b"x")
    (tmp_path / "out").mkdir()
    assert found(tmp_path, tmp_path / "out")[0] == [tmp_path.name]


def test_names_of_inputs_beside_the_products(tmp_path: Path) -> None:
    paths = [tmp_path / "a.mp4", tmp_path / "b" / "c.mp4"]
    assert names_in(tmp_path / "." / "b" / "..", [paths[0]]) == {"a.mp4"}
    assert names_in(tmp_path, paths) == {"a.mp4"}


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("below", ["out", "."])
def test_a_second_run_finds_what_the_first_one_found(tmp_path: Path, below: str) -> None:
    """Also where a film of the user's has the name that a product would get."""
    model = make_run(tmp_path / "model", "face", contract=SPEC.contract())
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "a.mp4", pts=tuple(range(30)))
    theirs = write_video(folder / "a_annotated.mp4", pts=tuple(range(40)))
    content = theirs.read_bytes()
    arguments = ["timeline", folder, "--model", model, "--out", folder / below, "--formats", "mp4,png,html"]
    first = videofer(*arguments, "--workers", "1")
    assert first.returncode == 0 and "2 videos done" in first.stdout, first.stderr
    made = sorted(folder.rglob("*.[pmh]*"))
    second = videofer(*arguments, "--workers", "1")
    assert second.returncode == 0 and "2 up to date" in second.stdout, second.stderr
    assert "skipped 4 files that a run has written" in second.stderr
    assert sorted(folder.rglob("*.[pmh]*")) == made and theirs.read_bytes() == content
