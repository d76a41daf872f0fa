from __future__ import annotations

from pathlib import Path

import pytest

from cache import atomic
from cache.atomic import atomic_write, atomic_write_all, finish_writing, sweep_temps, write_together


def test_atomic_write_replaces(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    target.write_bytes(b"old")
    with atomic_write(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_interrupted_atomic_write_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "x.json"
    target.write_bytes(b"old")
    with pytest.raises(error), atomic_write(target) as file:
        file.write(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(tmp_path / "x.csv"):
        Path("/dev/full").write_bytes(b"x")
    assert caught.value.filename == str(tmp_path / "x.csv")
    with pytest.raises(OSError, match="No such file") as caught, atomic_write(tmp_path / "no" / "x.csv"):
        pass
    assert caught.value.filename == str(tmp_path / "no" / "x.csv")
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "x.csv"):
        (tmp_path / "other").read_bytes()
    assert caught.value.filename == str(tmp_path / "other")  # what was not the writing is left alone


def test_interrupted_atomic_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "x.json"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_atomic_write_takes_the_longest_name(tmp_path: Path) -> None:
    with atomic_write(tmp_path / ("n" * 255)) as file:
        file.write(b"x")


def test_write_all(tmp_path: Path) -> None:
    contents = {tmp_path / f"{i}": bytes([i]) for i in range(50)}
    atomic_write_all(contents)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == contents


def test_write_all_fails_without_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cache.atomic.fsync_file", disk_full)
    with pytest.raises(OSError, match="No space"):
        atomic_write_all({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert list(tmp_path.iterdir()) == []


def test_sweep_removes_only_temps(tmp_path: Path) -> None:
    for name in (".dead.tmp", "x.json", "y.tmp"):
        (tmp_path / name).touch()
    assert sweep_temps(tmp_path) == [".dead.tmp"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "y.tmp"]


def test_files_of_several_folders_appear_together(tmp_path: Path) -> None:
    contents = {tmp_path / "a" / "1": b"one", tmp_path / "b" / "2": "zwölf".encode()}
    write_together(tmp_path / "intent", contents)
    assert {path: path.read_bytes() for path in contents} == contents
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("num_written", [0, 1, 2])
def test_a_kill_in_between_is_made_good(
    tmp_path: Path, num_written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {tmp_path / "a" / "1": b"one", tmp_path / "b" / "2": b"two"}

    def killed(_contents: object) -> None:
        for path in list(contents)[:num_written]:
            path.write_bytes(b"first wins" if num_written == 1 else contents[path])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(atomic, "atomic_write_all", killed)
        write_together(tmp_path / "intent", contents)
    finish_writing(tmp_path / "intent")
    assert (tmp_path / "b" / "2").read_bytes() == b"two"
    assert (tmp_path / "a" / "1").read_bytes() == (b"first wins" if num_written == 1 else b"one")
    finish_writing(tmp_path / "intent")  # nothing to do
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
