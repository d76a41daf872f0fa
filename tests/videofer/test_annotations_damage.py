"""Damaged annotation files: every reader ends in a table or in one line, whatever was done to the bytes."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.videofer import test_annotations_boris as boris
from tests.videofer import test_annotations_elan as elan
from tests.videofer import test_annotations_textgrid as textgrid
from videofer.annotations.intervals import AnnotationError
from videofer.annotations.read import read_annotations

PROJECT = json.dumps(boris.project(first=boris.observation(list(boris.MEDIA), boris.EVENTS)), indent=1)
FILES = {
    "a.eaf": (elan.HEAD.replace("{origin}", "") + elan.TIERS + elan.TAIL).encode(),
    "a.TextGrid": textgrid.LONG.encode("utf-16"),
    "b.TextGrid": textgrid.SHORT.encode(),
    "a.boris": PROJECT.encode(),
    "a.boris.gz": gzip.compress(PROJECT.encode(), mtime=0),
    "a.csv": boris.AGGREGATED_9.encode(),
    "b.csv": b"start;end;label\n0,5;1,5;happy\n2;3;sad\n",
    "a.tsv": boris.TABULAR_7.encode(),
}
PIECES = st.sampled_from(
    [
        b"",
        b"\0",
        b"-1",
        b"1e400",
        b"NaN",
        b'"',
        b"<",
        b"\xff\xfe",
        b"9" * 40,
        b"[" * 50,
        b"\n",
        b"null",
        b"{}",
        b"\x80",
    ]
)


@settings(max_examples=150)
@given(
    name=st.sampled_from(sorted(FILES)),
    cuts=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), PIECES), min_size=1, max_size=4),
)
def test_a_damaged_file_is_one_line(name: str, cuts: list[tuple[float, int, bytes]]) -> None:
    data = FILES[name]
    for place, length, piece in cuts:
        at = int(place * len(data))
        data = data[:at] + piece + data[at + length :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            table = read_annotations(path).table
        except AnnotationError as error:
            assert "\n" not in str(error) and name in str(error)
        else:
            assert (table["t_end"] >= table["t_start"]).all() and (table["t_start"] >= 0).all()


@pytest.mark.parametrize("name", sorted(FILES))
def test_half_a_file_and_none(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for data in (b"", FILES[name][: len(FILES[name]) // 2]):
        path.write_bytes(data)
        try:
            read_annotations(path)
        except AnnotationError as error:
            assert name in str(error)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.eaf", b'<?xml version="1.0" encoding="klingon"?><ANNOTATION_DOCUMENT/>'),
        ("a.boris", b"[" * 200_000),
        ("a.boris", b'{"observations": {"a": {"type": "MEDIA", "file": {"1": [3]}, "events": []}},'
                    b' "behaviors_conf": {}}'),
        ("a.boris", b'{"observations": {"a": {"type": "LIVE", "file": [], "events": [[1' + b"0" * 400
                    + b', "", "x", ""]]}}, "behaviors_conf": {}}'),
        ("a.csv", b'start,end,label\n1,2,"' + b"x" * 200_000 + b'"\n'),
    ],
    ids=["encoding", "deep", "file", "large", "long cell"],
)  # fmt: skip
def test_what_breaks_parsers(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(AnnotationError, match=name.replace(".", r"\.")):
        read_annotations(tmp_path / name)
