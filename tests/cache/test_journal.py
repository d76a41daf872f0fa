from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.journal import HashCache, Journal


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    entries = [{"n": i, "text": "line\nbreak \udcff ü"} for i in range(5)]
    for entry in entries:
        journal.append(entry)
    assert journal.entries() == entries
    assert Journal(tmp_path / "absent").entries() == []


@given(st.data())
def test_a_torn_line_costs_only_itself(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("j") / "j"
    journal = Journal(path)
    journal.append({"n": 0})
    whole = path.stat().st_size
    journal.append({"n": 1, "text": "x" * 20})
    with path.open("r+b") as file:  # the writer was killed somewhere in its line
        file.truncate(data.draw(st.integers(whole + 1, path.stat().st_size - 2)))
    assert journal.entries() == [{"n": 0}]
    journal.append({"n": 2})
    assert journal.entries() == [{"n": 0}, {"n": 2}]
    assert journal.torn_lines() == [2]


def test_hash_cache(tmp_path: Path) -> None:
    cache = HashCache(tmp_path / "hashes.jsonl")
    cache.put("/a\udcff\n.mp4", 10, 5, "key")
    cache.put("/a\udcff\n.mp4", 10, 5, "key")
    again = HashCache(tmp_path / "hashes.jsonl")
    assert again.get("/a\udcff\n.mp4", 10, 5) == "key"
    assert again.get("/a\udcff\n.mp4", 11, 5) is None
    assert again.get("/a\udcff\n.mp4", 10, 6) is None
    assert len((tmp_path / "hashes.jsonl").read_bytes().splitlines()) == 1
