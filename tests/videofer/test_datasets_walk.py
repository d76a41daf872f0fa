"""Finding a set's root and files, whatever links, hidden files and huge trees there are; what is no video."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.videofer.miniatures.media import LFS_POINTER, Media, text
from videofer.datasets.adapter import DatasetError, label_of_code, what_is_in, why_no_video
from videofer.datasets.fold_lists import Labels, Official, combine
from videofer.datasets.walk import (
    below,
    below_by_name,
    files_below,
    files_of,
    folder_matching,
    folders_of,
    videos_below,
)


def test_videos_below_in_natural_order_without_hidden_ones(tmp_path: Path, media: Media) -> None:
    for name in ("b/10.mp4", "b/9.MP4", "a/x.avi", ".hidden/y.mp4", "b/._9.mp4"):
        media.video(tmp_path / name)
    text(tmp_path / "b/notes.txt", "")
    found = [path.relative_to(tmp_path).as_posix() for path in videos_below(tmp_path)]
    assert found == ["a/x.avi", "b/9.MP4", "b/10.mp4"]


def test_links_are_followed_and_loops_end(tmp_path: Path, media: Media) -> None:
    media.video(tmp_path / "real" / "x.mp4")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "copy").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real" / "again").symlink_to(tmp_path / "set", target_is_directory=True)
    assert [path.name for path in videos_below(tmp_path / "set")] == ["x.mp4"]
    assert below(tmp_path / "set", "x.mp4") == tmp_path / "set" / "copy"


def test_a_search_in_a_huge_tree_ends(tmp_path: Path) -> None:
    for number in range(50):
        text(tmp_path / f"{number:03}" / "a.txt", "")
    assert len(list(files_below(tmp_path, {".txt"}, max_folders=11))) == 10
    assert len(list(files_below(tmp_path, {".txt"}))) == 50


def test_the_nearest_root_is_taken(tmp_path: Path) -> None:
    text(tmp_path / "a" / "b" / "c" / "d" / "labels.csv", "")
    text(tmp_path / "z" / "labels.csv", "")
    assert below(tmp_path, "labels.csv") == tmp_path / "z"
    assert below(tmp_path / "a", "labels.csv") == tmp_path / "a" / "b" / "c" / "d"
    assert below(tmp_path / "nowhere", "labels.csv") is None
    assert folder_matching(tmp_path, "D") == tmp_path / "a" / "b" / "c"
    assert folder_matching(tmp_path, "x") is None


def test_what_is_no_video(tmp_path: Path, media: Media) -> None:
    assert why_no_video(media.video(tmp_path / "x.mp4")) is None
    assert why_no_video(text(tmp_path / "empty.mp4", "")) == "an empty file: the download broke off"
    assert "run `git lfs pull`" in str(why_no_video(text(tmp_path / "lfs.mp4", LFS_POINTER)))
    (tmp_path / "frames").mkdir()
    text(tmp_path / "frames" / ".DS_Store", "")
    assert why_no_video(tmp_path / "frames") == "an empty folder"
    assert why_no_video(tmp_path / "none.mp4") == "cannot be read: No such file or directory"


def test_messages_say_what_is_there(tmp_path: Path) -> None:
    assert (
        what_is_in(tmp_path / "none") == "there is no such folder" and what_is_in(tmp_path) == "it is empty"
    )
    for name in "fedcba":
        (tmp_path / name).mkdir()
    assert what_is_in(tmp_path) == "there is a/, b/, c/, d/ and 2 more"
    assert label_of_code(("x", "y"), " 2", "f", first=1) == "y"
    for code in ("0", "3", "-1", "one", "1.0", ""):
        with pytest.raises(DatasetError, match=r"^f: the label must be a code from 1 to 2, not "):
            label_of_code(("x", "y"), code, "f", first=1)


def test_folds_without_any_whole_list(tmp_path: Path) -> None:
    own = Official("folds", 2, "own", "--protocol official")
    names = {1: "set_1", 2: "set_2"}
    some = Labels(tmp_path / "a", {"1": "fear"})
    with pytest.raises(DatasetError, match="no fold has both its lists: expected set_1, set_2"):
        combine({1: some}, {2: some}, own, names)
    train = {1: Labels(tmp_path / "a", {"2": "fear", "9": "anger"}), 2: Labels(tmp_path / "b", {"1": "fear"})}
    test = {1: Labels(tmp_path / "c", {"1": "fear"}), 2: Labels(tmp_path / "d", {"2": "fear"})}
    folds = combine(train, test, own, names)
    assert {video: member.fold for video, member in folds.members.items()} == {"1": 1, "2": 2}
    assert folds.notes == ("1 videos are tested by no fold and left out: 9",)


def test_of_several_names_the_nearest_then_the_first_is_taken(tmp_path: Path) -> None:
    text(tmp_path / "a" / "b" / "first.csv", "")
    text(tmp_path / "z" / "second.csv", "")
    assert below_by_name(tmp_path, "first.csv", "second.csv") == (tmp_path / "z", "second.csv")
    text(tmp_path / "y" / "first.csv", "")
    assert below_by_name(tmp_path, "first.csv", "second.csv") == (tmp_path / "y", "first.csv")
    assert below_by_name(tmp_path, "third.csv", "x" * 300) is None


def test_a_link_to_itself_is_neither_a_file_nor_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").symlink_to(tmp_path / "x.mp4")
    text(tmp_path / "y10.mp4", "")
    text(tmp_path / "y9.MP4", "")
    (tmp_path / "folder.mp4").mkdir()
    assert [path.name for path in files_of(tmp_path, {".mp4"})] == ["y9.MP4", "y10.mp4"]
    assert folders_of(tmp_path) == [tmp_path / "folder.mp4"]
    assert files_of(tmp_path / "nowhere") == folders_of(tmp_path / "y10.mp4") == []
