"""Copies of data sets that are damaged in any way: a reading that a manifest can hold, or one line."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cache.errors import UserError
from tests.videofer.miniatures import bold, bred, emilya, gemep, own
from tests.videofer.miniatures.every import build_all
from tests.videofer.miniatures.media import Media, text
from videofer.datasets.adapter import DatasetError, Reading
from videofer.datasets.adapters import ADAPTERS, read, recognise
from videofer.datasets.adapters.bred import Bred
from videofer.datasets.adapters.emilya import Emilya
from videofer.datasets.adapters.gemep import Gemep
from videofer.datasets.fer2013 import Fer2013Error
from videofer.datasets.manifest import ManifestError, read_manifest, write_manifest
from videofer.datasets.workbook import WorkbookError, read_sheet

TABLES = (".csv", ".txt", ".json", ".jsonl", ".xlsx")
NAMES = (
    "x", " x", "a\nb", "a\rb", "a\\b", "é漢", os.fsdecode(b"\xff\xfe"), "٣", "²", "9" * 200, "[bold]", "joy",
    "train", "Actor_99", "subject 1", "00001", ".hidden", "\u2028", "\x1b[31m",
)  # fmt: skip
CELLS = (
    "", "nan", "-1", "1e999", "9" * 5000, "../../etc/passwd", "/etc/passwd", "a" * 300, "a/" * 2100, "\u2028",
    "²", '"', "~nobody", "\0", "x\ny", "True", "joy",
)  # fmt: skip
MAX_LINE = 1500  # characters of an error: the folder and the allowed words, and no cell without an end


def pick(paths: list[Path], place: float) -> Path:
    return sorted(paths)[min(int(place * len(paths)), len(paths) - 1)]


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[Path, str], None]:
    return lambda file, _word: (file.write_bytes(change(file.read_bytes())), None)[1]


def become(make: Callable[[Path], object]) -> Callable[[Path, str], None]:
    def change(file: Path, _word: str) -> None:
        file.unlink()
        make(file)

    return change


def rename(file: Path, name: str) -> None:
    file.rename(file.with_name(name + file.suffix))


def set_cell(file: Path, cell: str) -> None:
    """The cell in the middle of the middle row."""
    lines = file.read_bytes().split(b"\n")
    cells = lines[len(lines) // 2].split(b",")
    cells[len(cells) // 2] = cell.encode()
    lines[len(lines) // 2] = b",".join(cells)
    file.write_bytes(b"\n".join(lines))


def recode(encoding: str) -> Callable[[bytes], bytes]:
    return lambda content: content.decode("utf-8", "replace").encode(encoding, "replace")


def without_column(content: bytes) -> bytes:
    rows = [line.split(b",") for line in content.split(b"\n")]
    return b"\n".join(b",".join(cells[:1] + cells[2:]) for cells in rows)


DAMAGES: dict[str, Callable[[Path, str], None]] = {
    "emptied": rewrite(lambda content: b""),
    "cut off": rewrite(lambda content: content[: len(content) // 2]),
    "gone": lambda file, _word: file.unlink(),
    "a folder": become(Path.mkdir),
    "a dangling link": become(lambda file: file.symlink_to("nowhere")),
    "a link to itself": become(lambda file: file.symlink_to(file)),
    "a link to its folder": become(lambda file: file.symlink_to(file.parent)),
    "a pipe": become(os.mkfifo),
    "renamed": rename,
    "in another folder": lambda file, _word: (file.rename(file.parent.parent / file.name), None)[1],
    "UTF-16": rewrite(recode("utf-16")),
    "Latin-1": rewrite(recode("latin-1")),
    "lines of old Macs": rewrite(lambda content: content.replace(b"\n", b"\r")),
    "semicolons": rewrite(lambda content: content.replace(b",", b";")),
    "without a column": rewrite(without_column),
    "without a header": rewrite(lambda content: content.partition(b"\n")[2]),
    "twice": rewrite(lambda content: content + content),
    "another cell": set_cell,
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory, media: Media) -> dict[str, Path]:
    return build_all(tmp_path_factory.mktemp("sets"), media)


@pytest.mark.parametrize("name", ADAPTERS)
@settings(max_examples=8)
@example(damage="another cell", of_table=True, place=0.0, word=CELLS[8], by_name=True, suffix=".csv")
@example(damage="a pipe", of_table=True, place=0.0, word="", by_name=True, suffix=".csv")
@example(damage="a link to its folder", of_table=False, place=0.5, word="", by_name=False, suffix=".jsonl")
@given(
    damage=st.sampled_from(sorted(DAMAGES)),
    of_table=st.booleans(),
    place=st.floats(0, 1),
    word=st.sampled_from(NAMES) | st.sampled_from(CELLS),
    by_name=st.booleans(),
    suffix=st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet"]),
)
def test_any_damage_is_a_reading_or_one_line(
    sets: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    damage: str,
    of_table: bool,
    place: float,
    word: str,
    by_name: bool,
    suffix: str,
) -> None:
    if damage == "renamed" and word not in NAMES:
        word = NAMES[0]
    if damage == "another cell" and word not in CELLS:
        word = CELLS[0]
    given_path = sets[name]
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(given_path if given_path.is_dir() else given_path.parent, copy, dirs_exist_ok=True)
    files = [Path(folder) / file for folder, _, names in os.walk(copy) for file in names]
    tables = [file for file in files if file.suffix in TABLES]
    DAMAGES[damage](pick(tables if of_table and tables else files, place), word)
    path = copy if given_path.is_dir() else copy / given_path.name
    try:
        recognise(path)
        reading = read(path, name if by_name else None)
    except UserError as error:
        assert str(error) and len(str(error).splitlines()) == 1 and len(str(error)) < MAX_LINE
    else:
        require_usable(reading, copy / f"out{suffix}")
    finally:
        shutil.rmtree(copy)


def require_usable(reading: Reading, manifest: Path) -> None:
    """What it names is there, and a manifest says the same."""
    names = reading.table["name"].tolist()
    if reading.dataset == "fer2013":
        return
    for name in names:
        assert (reading.root / name).exists() or "\\" in name, name  # bytes that are no UTF-8 are escaped
    write_manifest(reading.table, manifest)
    assert read_manifest(manifest)["name"].tolist() == names


# --- what was found so -------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [" x", "x\r"])
def test_a_video_that_no_manifest_can_name_is_left_out(tmp_path: Path, media: Media, folder: str) -> None:
    gemep.build(tmp_path, media, performers=range(1, 2))
    num_named = len(read(tmp_path, "gemep").table)
    media.video(tmp_path / folder / "01joy_GEMEP.mp4")
    reading = read(tmp_path, "gemep")
    assert [(each.path, each.why) for each in reading.coverage.odd] == [
        (f"{folder}/01joy_GEMEP.mp4", "left out: no manifest can hold such a name")
    ]
    assert len(reading.table) == num_named


def test_a_name_that_is_no_utf_8_is_that_of_the_store(tmp_path: Path, media: Media) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    gemep.build(folder, media, performers=range(1, 2))
    names = set(read(tmp_path, "gemep").table["name"])
    assert "caf\\xe9/GEMEP/video/01joy_GEMEP.mp4" in names


def test_a_pipe_is_not_waited_for(tmp_path: Path, media: Media) -> None:
    root = bold.build(tmp_path / "bold", media)
    table = root / "BOLD_public" / "annotations" / "train.csv"
    table.unlink()
    os.mkfifo(table)
    assert finds_missing(read(root, "bold"), "train.csv")
    emilya.build(tmp_path / "emilya", actions=("BS",))
    book = tmp_path / "emilya" / "BS" / "Joy" / "take1.xlsx"
    book.unlink()
    os.mkfifo(book)
    with pytest.raises(WorkbookError, match=r"take1\.xlsx: no file to be read$"):
        read_sheet(book, 2)
    with pytest.raises(DatasetError, match="neither a file nor a folder"):
        read(book, "table")


def finds_missing(reading: Reading, name: str) -> bool:
    return any(each.endswith(name) for each in reading.coverage.missing)


def test_numbers_and_names_without_an_end(tmp_path: Path, media: Media) -> None:
    path = own.build_list(tmp_path, media, frames=False)
    text(path, f"clips/0.mp4 {'9' * 5000}\n")
    with pytest.raises(DatasetError, match=r"from 0 to 1, not '9{99}\.\.\.$") as caught:
        read_list(path)
    assert len(str(caught.value)) < MAX_LINE
    text(path, f"{'a' * 300}.mp4 1\nclips/0.mp4 0\n")
    assert len(read_list(path).coverage.missing) == 1


def read_list(path: Path) -> Reading:
    from videofer.datasets.adapters.generic import ListFile

    return ListFile(codes=("anger", "fear")).read(path)


@pytest.mark.parametrize("cell", ["", "/", ".", "..", "x"])
def test_paths_that_are_none(tmp_path: Path, cell: str) -> None:
    root = bred.build(tmp_path / "bred")
    table = root / "BRED_dataset" / "annotations.csv"
    header, first, *_ = table.read_text().splitlines()
    text(table, f"{header}\n{cell},{first.partition(',')[2]}\n")
    with pytest.raises(DatasetError, match="line 2: expected BRED_dataset/<game>/<child>/<clip>, not "):
        read(root, "bred")


def test_joints_that_are_none(tmp_path: Path) -> None:
    root = bred.build(tmp_path / "bred")
    broken = sorted((root / "BRED_dataset").rglob("*_keypoints.json"))[0]
    broken.write_text('{"people": [')
    with pytest.raises(DatasetError, match=rf"json: {broken.name} is not OpenPose output: "):
        Bred(joints_to=str(tmp_path / "joints"), fps=25.0, size="640x480").read(root)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_rates_that_are_none(tmp_path: Path, fps: float) -> None:
    root, joints = emilya.build(tmp_path / "emilya", actions=("BS",)), str(tmp_path / "joints")
    with pytest.raises(DatasetError, match="give fps"):
        Emilya(joints_to=joints, fps=fps).read(root)
    with pytest.raises(DatasetError, match="give fps"):
        Bred(joints_to=joints, fps=fps, size="640x480").read(bred.build(tmp_path / "bred"))


def test_patterns_that_are_none(tmp_path: Path, media: Media) -> None:
    root = emilya.build(tmp_path / "emilya", actions=("BS",))
    with pytest.raises(DatasetError, match=r"the pattern '\(' is no regular expression"):
        Emilya(pattern="(").read(root)
    with pytest.raises(DatasetError, match="finds no emotion in its path"):
        Emilya(pattern="(?P<emotion>zzz)?").read(root)
    portrayals = gemep.build(tmp_path / "gemep", media, performers=range(1, 2))
    with pytest.raises(DatasetError, match="the name tells no performer and emotion"):
        Gemep(pattern="(?P<performer>zzz)?(?P<emotion>zzz)?.*").read(portrayals)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_packed_files_that_are_cut_off_or_hold_words(tmp_path: Path, share: float) -> None:
    whole = {"residual": np.zeros((2, 48, 48), np.uint8), "label": [0, 1], "votes": np.zeros((2, 10), int)}
    path = tmp_path / "fer2013.npz"
    np.savez(path, **whole, row=[0, 1])
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[int(share * len(content))] ^= 0xFF
    for broken in (content[: int(share * len(content))], bytes(damaged)):
        path.write_bytes(broken)
        try:
            assert len(read(tmp_path, "fer2013").table) == 2  # where it hit what nobody looks at
        except Fer2013Error as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    np.savez(path, **whole, row=["first", "second"])
    with pytest.raises(Fer2013Error, match="not packed FER2013: "):
        read(tmp_path, "fer2013")


def test_json_of_any_depth_and_with_any_character(tmp_path: Path, media: Media) -> None:
    path = own.build_table(tmp_path, media, ".jsonl")
    lines = path.read_text()
    text(path, "[" * 100_000 + "\n")
    with pytest.raises(ManifestError, match="too deep"):
        read_manifest(path)
    row = {**json.loads(lines.splitlines()[0]), "note": "one\u2028line\x85of\x1c one"}
    text(path, json.dumps(row, ensure_ascii=False) + "\n")
    assert read_manifest(path)["note"].tolist() == [row["note"]]


def test_a_workbook_declares_no_type_in_any_encoding(tmp_path: Path) -> None:
    path = tmp_path / "take.xlsx"
    for encoding in ("utf-8", "utf-16"):
        book = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("xl/workbook.xml", book.encode(encoding))
        with pytest.raises(WorkbookError, match="declares a document type"):
            read_sheet(path, 0)
