"""What was removed from a store for good does not come back, nor does its name."""

from __future__ import annotations

from pathlib import Path

from cache.remove import remove
from cache.store import Store
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.run import preprocess
from tests.videos import write_video


def test_removed_content_is_refused_by_its_reason(tmp_path: Path) -> None:
    inputs, out = tmp_path / "in", tmp_path / "store"
    inputs.mkdir()
    write_video(inputs / "withdrawn.mp4")
    spec = PreprocessSpec(faces="precropped", crop_size=32)
    preprocess([inputs], out, spec)
    store = Store.open(out)
    (video,) = store.videos()
    with store.lock():
        remove(store, [video.key], reason="consent withdrawn")

    (inputs / "withdrawn.mp4").rename(inputs / "again.mp4")  # another name is no way in
    report = preprocess([inputs], out, spec)
    (failure,) = report.failures
    assert failure.stage == "removed" and "consent withdrawn" in failure.reason
    assert store.keys() == set() and store.failures() == []
    for path in out.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"withdrawn.mp4" not in content and b"again.mp4" not in content, path
