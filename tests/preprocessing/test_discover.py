"""Kinds, names and accounts of files and folders, and the keys of their content."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocessing.discover import content_key, discover
from preprocessing.types import InputError, Source


def make(root: Path, *names: str, content: bytes | None = None) -> Path:
    """Files whose content is their own name; a name that ends with a slash is a folder."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content if content is not None else os.fsencode(name))
    return root


def kinds(*inputs: Path, sidecars: bool = True, frames_fps: float | None = None) -> dict[str, str]:
    """Names and kinds of what is found; nothing may fail."""
    sources, failures = discover(list(inputs), sidecars=sidecars, frames_fps=frames_fps)
    assert failures == []
    assert len({source.name for source in sources}) == len(sources)
    return {source.name: source.kind for source in sources}


def test_walks_a_folder(tmp_path: Path) -> None:
    make(
        tmp_path,
        "b/2.mp4",
        "b/10.MOV",
        "a.mkv",
        "notes.txt",
        "labels.csv",
        "sound.mp3",
        ".hidden.mp4",
        "b/.git/x.mp4",
    )
    assert kinds(tmp_path) == {
        "a.mkv": "video",
        "b/2.mp4": "video",
        "b/10.MOV": "video",
        "sound.mp3": "video",
    }


def test_order_does_not_depend_on_the_file_system(tmp_path: Path) -> None:
    make(tmp_path, *(f"{number}.mp4" for number in (10, 9, 1, 100, 2)))
    assert list(kinds(tmp_path)) == ["1.mp4", "2.mp4", "9.mp4", "10.mp4", "100.mp4"]


def test_ignored_files_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, "a.txt", "b.txt", "c.csv", "README")
    with caplog.at_level(logging.INFO):
        assert kinds(tmp_path) == {}
    assert "ignored 4 files that are no media: 1 .csv, 2 .txt, 1 without a suffix" in caplog.text


def test_given_file_is_always_tried(tmp_path: Path) -> None:
    make(tmp_path, "a.dat", "b", "c.txt")
    assert kinds(tmp_path / "a.dat", tmp_path / "b", tmp_path / "c.txt") == {
        "a.dat": "video",
        "b": "video",
        "c.txt": "video",
    }


def test_missing_path_fails_and_the_others_go_on(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4")
    sources, failures = discover([tmp_path / "no\nsuch.mp4", tmp_path / "a.mp4", tmp_path / "nor" / "this"])
    assert [source.name for source in sources] == ["a.mp4"]
    assert [(failure.name, failure.stage, failure.reason) for failure in failures] == [
        ("no\nsuch.mp4", "discover", "no such file or folder"),
        ("this", "discover", "no such file or folder"),
    ]


def test_unreadable_folder_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root every folder is readable, so the refusal is simulated where the folder is listed."""
    make(tmp_path, "data/ok/a.mp4", "data/closed/b.mp4")
    original = Path.iterdir

    def guarded(folder: Path) -> object:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return original(folder)

    monkeypatch.setattr(Path, "iterdir", guarded)
    sources, failures = discover([tmp_path / "data"])
    assert [source.name for source in sources] == ["ok/a.mp4"]
    assert [(failure.name, failure.reason) for failure in failures] == [
        ("closed", "unreadable folder: Permission denied")
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_folder_without_permission_fails(tmp_path: Path) -> None:
    make(tmp_path, "closed/b.mp4")
    (tmp_path / "closed").chmod(0)
    try:
        _, failures = discover([tmp_path])
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert len(failures) == 1


def test_links(tmp_path: Path) -> None:
    make(tmp_path, "data/a/x.mp4")
    (tmp_path / "data/a/loop").symlink_to(tmp_path / "data")
    (tmp_path / "data/gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    sources, failures = discover([tmp_path / "data"])
    assert [source.name for source in sources] == ["a/x.mp4"]
    assert [(failure.name, failure.reason) for failure in failures] == [("gone.mp4", "dangling link")]


def test_same_name_in_two_folders(tmp_path: Path) -> None:
    make(tmp_path, "one/clip.mp4", "two/clip.mp4", "two/other.mp4")
    assert set(kinds(tmp_path / "one", tmp_path / "two")) == {"one/clip.mp4", "two/clip.mp4", "other.mp4"}
    assert set(kinds(tmp_path / "one/clip.mp4", tmp_path / "two/clip.mp4")) == {
        "one/clip.mp4",
        "two/clip.mp4",
    }
    assert set(kinds(tmp_path)) == {"one/clip.mp4", "two/clip.mp4", "two/other.mp4"}


def test_same_path_twice_counts_once(tmp_path: Path) -> None:
    make(tmp_path, "one/clip.mp4")
    assert kinds(tmp_path / "one", tmp_path / "one/clip.mp4", tmp_path / "one/../one") == {
        "clip.mp4": "video"
    }


@settings(max_examples=30)
@given(data=st.data())
def test_names_are_always_distinct(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("names")
    part = st.sampled_from(["a", "b", "c"])
    paths = data.draw(st.lists(st.tuples(part, part, part), min_size=1, max_size=8, unique=True))
    files = [make(root, "/".join(parts) + ".mp4") / ("/".join(parts) + ".mp4") for parts in paths]
    assert len(kinds(*files)) == len(files)


def test_odd_names_become_valid_text(tmp_path: Path) -> None:
    odd = [b"sp ace.mp4", b"quo'te\".mp4", b"new\nline.mp4", "é映.mp4".encode(), b"bad\xff.mp4", b"..a..mp4"]
    for name in odd:
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    names = set(kinds(tmp_path))
    assert names == {
        "sp ace.mp4",
        "quo'te\".mp4",
        "new\nline.mp4",
        "é映.mp4",
        "bad\\xff.mp4",
    }  # ..a is hidden
    assert all(name.encode("utf-8") for name in names)
    missing, failures = discover([tmp_path / os.fsdecode(b"gone\xff.mp4")])
    assert missing == []
    failures[0].path.encode("utf-8")


# Kinds


def test_numbered_pictures_are_frames(tmp_path: Path) -> None:
    make(tmp_path, *(f"clip/frame_{number:04d}.png" for number in range(1, 5)))
    assert kinds(tmp_path) == {"clip": "frames"}
    assert kinds(tmp_path / "clip") == {"clip": "frames"}
    assert kinds(tmp_path / "clip", frames_fps=25) == {"clip": "frames"}


@pytest.mark.parametrize(
    "names",
    [
        ["happy.png", "sad.png"],
        ["Training_12.png", "Training_77.png", "Training_80.png"],  # a data set of stills, numbered with gaps
        ["a1.png"],
        ["a1.png", "b2.png"],
        ["a1.png", "a2.png", "film.mp4"],
    ],
)
def test_other_pictures_are_stills(tmp_path: Path, names: list[str]) -> None:
    make(tmp_path, *(f"clip/{name}" for name in names))
    assert kinds(tmp_path) == {f"clip/{name}": "image" if name.endswith("png") else "video" for name in names}


def test_declared_rate_makes_frames(tmp_path: Path) -> None:
    make(tmp_path, "clip/a.png", "clip/b.png")
    (source,), _ = discover([tmp_path], frames_fps=12.5)
    assert (source.kind, source.fps) == ("frames", 12.5)
    (tmp_path / "clip/frames.txt").write_text("fps: 30000/1001\n")
    (source,), _ = discover([tmp_path])
    assert source.kind == "frames"
    assert source.fps == pytest.approx(29.97, abs=1e-3)


@pytest.mark.parametrize("text", ["", "many", "0", "-25", "25/0", "\x00"])
def test_declared_rate_fails(tmp_path: Path, text: str) -> None:
    make(tmp_path, "clip/a.png", "clip/b.png")
    (tmp_path / "clip/frames.txt").write_text(text)
    sources, failures = discover([tmp_path])
    assert sources == []
    assert "frames.txt does not begin with a frame rate" in failures[0].reason


def test_store_inside_the_input_is_not_walked(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "store/store.json", "store/shards/x.h5", "store/leftover.mp4")
    assert kinds(tmp_path) == {"a.mp4": "video"}


# Sidecars


def test_keypoint_file_belongs_to_its_video(tmp_path: Path) -> None:
    make(tmp_path, "x.mp4", "x.keypoints.npz", "alone.keypoints.npz", "y.mp4")
    sources, _ = discover([tmp_path])
    found = {source.name: (source.kind, source.sidecar and source.sidecar.name) for source in sources}
    assert found == {
        "x.mp4": ("video", "x.keypoints.npz"),
        "alone.keypoints.npz": ("keypoints", None),
        "y.mp4": ("video", None),
    }
    sources, _ = discover([tmp_path / "x.mp4"])
    assert sources[0].sidecar == tmp_path / "x.keypoints.npz"


def test_sidecars_can_be_left_out(tmp_path: Path) -> None:
    make(tmp_path, "x.mp4", "x.keypoints.npz")
    sources, _ = discover([tmp_path], sidecars=False)
    assert [(source.name, source.sidecar) for source in sources] == [("x.mp4", None)]


@pytest.mark.parametrize("folder", ["x_keypoints", "x.openpose"])
def test_openpose_folder_belongs_to_its_video(tmp_path: Path, folder: str) -> None:
    make(tmp_path, "x.mp4", f"{folder}/x_000_keypoints.json", "z/z_000_keypoints.json")
    sources, _ = discover([tmp_path], frames_fps=25)
    found = {
        source.name: (source.kind, source.sidecar and source.sidecar.name, source.fps) for source in sources
    }
    assert found == {"x.mp4": ("video", folder, None), "z": ("keypoints", None, 25)}
    sources, _ = discover([tmp_path / "z"], frames_fps=25)
    assert [(source.name, source.kind) for source in sources] == [("z", "keypoints")]


def test_folder_of_frames_has_a_sidecar_too(tmp_path: Path) -> None:
    make(tmp_path, "clip/1.png", "clip/2.png", "clip.keypoints.npz")
    sources, _ = discover([tmp_path])
    assert [(source.name, source.kind, source.sidecar is not None) for source in sources] == [
        ("clip", "frames", True)
    ]


# Keys


def test_key_is_the_hash_of_the_content(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", content=b"content")
    make(tmp_path, "b.mp4", content=b"content")
    make(tmp_path, "c.mp4", content=b"other")
    first, second, third = (Source(tmp_path / name, name, "video") for name in ("a.mp4", "b.mp4", "c.mp4"))
    assert content_key(first) == hashlib.sha256(b"content").hexdigest()[:32] == content_key(second)
    assert content_key(third) != content_key(first)


def test_key_covers_the_sidecar(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "a.keypoints.npz")
    source = Source(tmp_path / "a.mp4", "a", "video", tmp_path / "a.keypoints.npz")
    with_sidecar = content_key(source)
    assert with_sidecar != content_key(Source(tmp_path / "a.mp4", "a", "video"))
    make(tmp_path, "a.keypoints.npz", content=b"changed")
    assert content_key(source) != with_sidecar


def test_key_covers_names_contents_and_rate_of_frames(tmp_path: Path) -> None:
    make(tmp_path, "clip/1.png", "clip/2.png")
    keys = {content_key(Source(tmp_path / "clip", "clip", "frames", fps=fps)) for fps in (None, 25.0, 30.0)}
    assert len(keys) == 3
    (tmp_path / "clip/notes.txt").write_text("not a frame")
    assert content_key(Source(tmp_path / "clip", "clip", "frames")) in keys
    (tmp_path / "clip/2.png").rename(tmp_path / "clip/3.png")
    assert content_key(Source(tmp_path / "clip", "clip", "frames")) not in keys


def test_key_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        content_key(Source(tmp_path / "gone.mp4", "gone", "video"))


def test_key_of_what_never_ends(tmp_path: Path) -> None:
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "zero.mp4", tmp_path / "pipe.mp4"):
        with pytest.raises(InputError, match="not a regular file"):
            content_key(Source(path, path.name, "video"))


def test_real_collection_is_accounted_for(shared_data: Path) -> None:
    sources, failures = discover([shared_data / "videos"])
    files = [path for path in (shared_data / "videos").rglob("*") if path.is_file()]
    assert len(sources) == len(files) > 30
    assert failures == []
    assert len({content_key(source) for source in sources}) == len(sources)
    assert {source.kind for source in sources} == {"video"}
