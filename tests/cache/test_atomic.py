from __future__ import annotations

from pathlib import Path

import pytest

from cache.atomic import atomic_write, atomic_write_all, sweep_temps


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
