"""FER2013 in its forms: the same pictures from each, and what is wrong is said with its file and row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from fer2013_set import make_set, official_rows, write_csv, write_folder, write_pack
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from videofer.datasets.fer2013 import LABELS, USAGES, Fer2013, Fer2013Error, read_fer2013, unpack

PLAIN = {"training": "train", "publictest": "PublicTest", "privatetest": "PrivateTest"}


@pytest.fixture(scope="module")
def data() -> Fer2013:
    return make_set(21, 7, 7)


def by_pixels(data: Fer2013) -> dict[bytes, tuple[int, int]]:
    """Label and usage of each picture; all pictures of `make_set` differ."""
    return {
        image.tobytes(): (int(label), int(usage))
        for image, label, usage in zip(data.images, data.label, data.usage, strict=True)
    }


def test_the_csv_file(data: Fer2013, tmp_path: Path) -> None:
    write_csv(data, tmp_path)
    for path in (tmp_path, tmp_path / "fer2013.csv"):
        read = read_fer2013(path)
        np.testing.assert_array_equal(read.images, data.images)
        np.testing.assert_array_equal(read.label, data.label)
        np.testing.assert_array_equal(read.usage, data.usage)
        np.testing.assert_array_equal(read.row, np.arange(len(data)))
        np.testing.assert_array_equal(read.votes, data.votes)
        assert read.names == data.names and read.names[22] == "fer2013/publictest/00022"
    (tmp_path / "fer2013new.csv").unlink()
    assert read_fer2013(tmp_path).votes is None


def test_the_csv_file_with_columns_in_another_order(data: Fer2013, tmp_path: Path) -> None:
    write_csv(data, tmp_path, votes=False)
    lines = [line.split(",") for line in (tmp_path / "fer2013.csv").read_text().splitlines()]
    text = "\n".join(f"{emotion}, {usage}, {pixels}" for emotion, pixels, usage in lines)
    (tmp_path / "fer2013.csv").rename(tmp_path / "icml_face_data.csv")
    (tmp_path / "icml_face_data.csv").write_text("﻿" + text + "\n", encoding="utf-8")
    assert by_pixels(read_fer2013(tmp_path)) == by_pixels(data)


def test_packed_files(data: Fer2013, tmp_path: Path) -> None:
    """A part beside the whole changes nothing."""
    write_pack(data.of("training"), tmp_path / "a.npz")
    write_pack(data.of("publictest", "privatetest"), tmp_path / "b.npz")
    write_pack(data.of("privatetest"), tmp_path / "c.npz")
    read = read_fer2013(tmp_path)
    np.testing.assert_array_equal(read.images, data.images)
    np.testing.assert_array_equal(read.votes, data.votes)
    np.testing.assert_array_equal(read.row, official_rows(data))
    assert read.names[0] == "fer2013/training/00000" and read.names[-1] == "fer2013/privatetest/32304"
    one = read_fer2013(tmp_path / "c.npz")
    assert by_pixels(one) == by_pixels(data.of("privatetest"))


@given(arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))))
@settings(max_examples=50)
def test_unpacking_undoes_the_prediction(images: np.ndarray) -> None:
    """Packed here pixel by pixel, by LOCO-I's rule as it is printed."""
    residual = np.empty_like(images)
    for n, y, x in np.ndindex(images.shape):
        a = int(images[n, y, x - 1]) if x else 0
        b = int(images[n, y - 1, x]) if y else 0
        c = int(images[n, y - 1, x - 1]) if x and y else 0
        predicted = min(a, b) if c >= max(a, b) else max(a, b) if c <= min(a, b) else a + b - c
        residual[n, y, x] = (int(images[n, y, x]) - predicted) % 256
    np.testing.assert_array_equal(unpack(residual), images)


@pytest.mark.parametrize(
    ("folders", "prefixed"),
    [
        (PLAIN, False),
        ({"training": "Training", "publictest": "val", "privatetest": "test"}, False),
        ({"training": "train", "publictest": "test", "privatetest": "test"}, True),
    ],
)
def test_folders_of_pictures(
    data: Fer2013, tmp_path: Path, folders: dict[str, str], *, prefixed: bool
) -> None:
    write_folder(data, tmp_path, folders, prefixed=prefixed)
    read = read_fer2013(tmp_path)
    assert by_pixels(read) == by_pixels(data)
    assert (read.row == -1).all() and len(set(read.names)) == len(data)
    assert all(n.startswith(f"fer2013/{USAGES[u]}/") for n, u in zip(read.names, read.usage, strict=True))


def test_folders_called_by_number_or_otherwise(data: Fer2013, tmp_path: Path) -> None:
    write_folder(data, tmp_path, PLAIN)
    for place, name in enumerate(LABELS):
        (tmp_path / "train" / name).rename(tmp_path / "train" / str(place))
    (tmp_path / "PublicTest" / "happiness").rename(tmp_path / "PublicTest" / "Happy")
    assert by_pixels(read_fer2013(tmp_path)) == by_pixels(data)


def spoil_line(number: int, change: Callable[[str], str]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        lines = (path / "fer2013.csv").read_text().splitlines()
        lines[number - 1] = change(lines[number - 1])
        (path / "fer2013.csv").write_text("\n".join(lines))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (spoil_line(1, lambda line: line.replace("Usage", "List")), "no column 'usage'"),
        (spoil_line(3, lambda line: "7" + line[1:]), "line 3: emotion must be 0 to 6, not '7'"),
        (spoil_line(3, lambda line: "-" + line), "line 3: emotion must be 0 to 6, not '-1'"),
        (spoil_line(4, lambda line: line.replace("Training", "Test")), "line 4: Usage must be .*'Test'"),
        (spoil_line(5, lambda line: line.replace(" ", " 1 ", 1)), "line 5: 2305 pixels, not 48x48"),
        (spoil_line(5, lambda line: line.replace(" ", " 256 1", 1)), "line 5: (2305 pixels|pixels must)"),
        (spoil_line(6, lambda line: line.replace(" ", " x", 1)), "line 6: its pixels are not all whole"),
        (spoil_line(6, lambda line: line.replace(",", ",1.5 ", 1)), "line 6: its pixels are not all whole"),
        (spoil_line(7, lambda line: line + ",1"), "line 7: 4 cells, but 3 columns"),
        (lambda path: (path / "fer2013.csv").write_text("emotion,pixels,Usage\n"), "there are no rows"),
        (lambda path: (path / "fer2013.csv").write_bytes(b"\xff\xfe\x00"), "not a CSV table"),
    ],
)
def test_a_wrong_csv_file_is_told_with_its_line(
    data: Fer2013, tmp_path: Path, spoil: Callable[[Path], None], match: str
) -> None:
    write_csv(data, tmp_path)
    spoil(tmp_path)
    with pytest.raises(Fer2013Error, match=match) as caught:
        read_fer2013(tmp_path)
    assert "fer2013.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_wrong_votes_are_told(data: Fer2013, tmp_path: Path) -> None:
    write_csv(data, tmp_path)
    votes = tmp_path / "fer2013new.csv"
    good = votes.read_text()
    votes.write_text(good.replace(",6,", ",x,", 1))
    with pytest.raises(Fer2013Error, match=r"fer2013new\.csv, line \d: votes must be whole"):
        read_fer2013(tmp_path)
    votes.write_text("\n".join(good.splitlines()[:10]))
    with pytest.raises(Fer2013Error, match="9 rows, but the pictures go up to row 34"):
        read_fer2013(tmp_path)
    votes.write_text(good)
    write_folder(data, tmp_path / "pictures", PLAIN)
    with pytest.raises(Fer2013Error, match="official rows, which pictures in folders do not have"):
        read_fer2013(tmp_path / "pictures", votes)


def test_wrong_packed_files_are_told(data: Fer2013, tmp_path: Path) -> None:
    write_pack(data, tmp_path / "good.npz")
    arrays_of = dict(np.load(tmp_path / "good.npz"))
    wrongs: list[tuple[dict[str, np.ndarray], str]] = [
        ({name: value for name, value in arrays_of.items() if name != "votes"}, "it lacks votes"),
        ({**arrays_of, "label": arrays_of["label"] + 7}, "label of shape"),
        ({**arrays_of, "row": arrays_of["row"] + 40_000}, "row of shape"),
        ({**arrays_of, "votes": arrays_of["votes"][:, :8]}, r"votes of shape \(35, 8\)"),
        ({**arrays_of, "residual": arrays_of["residual"][:, :40]}, "residual of shape"),
    ]
    (tmp_path / "wrong").mkdir()
    for values, match in wrongs:
        np.savez(tmp_path / "wrong" / "a.npz", **values)  # type: ignore[arg-type]
        with pytest.raises(Fer2013Error, match=match):
            read_fer2013(tmp_path / "wrong")
    (tmp_path / "wrong" / "a.npz").write_bytes(b"no archive")
    with pytest.raises(Fer2013Error, match=r"a\.npz: not packed FER2013"):
        read_fer2013(tmp_path / "wrong")
    np.savez(tmp_path / "other.npz", **{**arrays_of, "label": (arrays_of["label"] + 1) % 7})
    (tmp_path / "wrong" / "a.npz").unlink()
    with pytest.raises(Fer2013Error, match="do not agree on row 0"):
        read_fer2013(tmp_path)


def test_wrong_folders_are_told(data: Fer2013, tmp_path: Path) -> None:
    with pytest.raises(Fer2013Error, match="no such file or folder"):
        read_fer2013(tmp_path / "nowhere")
    with pytest.raises(Fer2013Error, match=r"neither fer2013\.csv, nor packed files, nor pictures"):
        read_fer2013(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(Fer2013Error, match=r"is a \.csv file, a packed \.npz file or a folder"):
        read_fer2013(tmp_path / "notes.txt")
    write_folder(data, tmp_path, {**PLAIN, "privatetest": "test"})
    (tmp_path / "PublicTest").rename(tmp_path / "validation")
    assert len(read_fer2013(tmp_path)) == len(data)
    (tmp_path / "validation").rename(tmp_path / "elsewhere")
    with pytest.raises(Fer2013Error, match=r"elsewhere/.* lies in no folder called train"):
        read_fer2013(tmp_path)
    (tmp_path / "elsewhere").rename(tmp_path / "train" / "disgust" / "more")
    with pytest.raises(Fer2013Error, match="of one of two test lists"):
        read_fer2013(tmp_path)
    (tmp_path / "test").rename(tmp_path / "PrivateTest")
    (tmp_path / "train" / "fear").rename(tmp_path / "train" / "contempt")
    with pytest.raises(Fer2013Error, match="lies in no folder called like one of anger"):
        read_fer2013(tmp_path)


def test_pictures_that_are_none_or_of_another_size_are_told(data: Fer2013, tmp_path: Path) -> None:
    write_folder(data, tmp_path, PLAIN)
    file = next((tmp_path / "train" / "anger").iterdir())
    cv2.imwrite(str(file), np.zeros((50, 40), np.uint8))
    with pytest.raises(Fer2013Error, match=f"{file.name}: 40x50 pixels"):
        read_fer2013(tmp_path)
    for content in (b"", b"no picture"):
        file.write_bytes(content)
        with pytest.raises(Fer2013Error, match=f"{file.name}: not a picture"):
            read_fer2013(tmp_path)


def test_the_real_set(shared_fer2013: Path) -> None:
    """The lists as they were published: sizes, and pictures of each class."""
    data = read_fer2013(shared_fer2013)
    training, public = data.of("training"), data.of("publictest")
    assert (len(training), len(public)) == (28_709, 3_589)
    assert np.bincount(training.label).tolist() == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    assert np.bincount(public.label).tolist() == [467, 56, 496, 895, 653, 415, 607]
    assert training.votes is not None and set(training.votes.sum(axis=1).tolist()) == {9, 10}
    mini = read_fer2013(shared_fer2013 / "fer2013_mini_test.npz")
    found = np.searchsorted(data.row, mini.row)
    np.testing.assert_array_equal(mini.images, data.images[found])
