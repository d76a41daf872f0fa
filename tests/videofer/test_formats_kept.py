from __future__ import annotations

from pathlib import Path

import pytest

from tests.videofer.timeline_examples import example_timeline
from videofer.formats.kept import EDITED_BY_PEOPLE, keep_foreign, keep_old
from videofer.formats.write import write_exports
from videofer.timeline.ours import is_ours

FORMATS = ["csv", "eaf", "textgrid", "vtt", "srt"]


def test_the_same_again_keeps_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        paths = write_exports(example_timeline(), tmp_path, "a", FORMATS)
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_what_people_wrote_is_kept_each_time(tmp_path: Path) -> None:
    paths = write_exports(example_timeline(), tmp_path, "a", FORMATS)
    for path in paths:
        assert path.suffix in EDITED_BY_PEOPLE
        path.write_bytes(b"written by hand")
    write_exports(example_timeline(), tmp_path, "a", FORMATS)
    write_exports(example_timeline(names=("Anna",)), tmp_path, "a", FORMATS)
    for path in paths:
        assert path.with_name(path.name + ".1").read_bytes() == b"written by hand"
        assert b"Anna" in path.read_bytes()
        if path.suffix != ".csv":
            assert b"person 0" in path.with_name(path.name + ".2").read_bytes()
    assert not (tmp_path / "a.csv.2").exists()  # our own tables are made anew
    assert len(list(tmp_path.iterdir())) == 3 * len(paths) - 1


@pytest.mark.parametrize("content", [b"", b'<A DATE="1" B="x">\n<C DATE="2"/>', b"\xff\xfe"])
def test_only_the_date_of_writing_may_differ(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.eaf"
    path.write_bytes(b'<A DATE="0" B="x">\n<C DATE="2"/>')
    copy = keep_old(path, content)
    same = b"<A" in content
    assert copy == (None if same else tmp_path / "a.eaf.1")
    assert keep_old(tmp_path / "b.eaf", content) is None


def test_pictures_of_others_are_kept_and_ours_made_anew(tmp_path: Path) -> None:
    theirs = tmp_path / "a.png"
    theirs.write_bytes(b"a photograph")
    for _ in range(2):
        write_exports(example_timeline(), tmp_path, "a", ["png"])
    assert (tmp_path / "a.png.1").read_bytes() == b"a photograph"
    assert len(list(tmp_path.iterdir())) == 2 and is_ours(theirs)
    assert keep_foreign(tmp_path / "none.png") is None
