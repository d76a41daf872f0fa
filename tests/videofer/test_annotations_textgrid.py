"""TextGrids in every form that Praat reads; Praat itself (parselmouth) is the judge."""

from __future__ import annotations

import tempfile
from pathlib import Path

import parselmouth
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videofer.annotations.intervals import AnnotationError
from videofer.annotations.textgrid import read_textgrid

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.3
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "Mary ""M"" 2"
        xmin = 0
        xmax = 2.3
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.7
            text = ""
        intervals [2]:
            xmin = 0.7
            xmax = 1.1e0
            text = "happy = 3 <exists>
! ""so""
"
        intervals [3]:
            xmin = 1.1
            xmax = 2.3
            text = "sad"
    item [2]:
        class = "TextTier"
        name = "bell"
        xmin = 0
        xmax = 2.3
        points: size = 1
        points [1]:
            number = 0.5
            mark = "ding"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
2.3
<exists>
2
"IntervalTier"
"Mary ""M"" 2"
0
2.3
3
0
0.7
""
0.7
1.1
"happy = 3 <exists>
! ""so""
"
1.1
2.3
"sad"
"TextTier"
"bell"
0
2.3
1
0.5
"ding"
"""
FREE = """"ooTextFile"
"TextGrid"
0 2.3 ! time domain of TextGrid "not a text" 7
<exists>
2 tiers
"IntervalTier" "Mary ""M"" 2" ! type and name of tier 1
0 2.3 ! time domain of tier 1
3 intervals coming
0 0.7 ""
0.7 1.1 "happy = 3 <exists>
! ""so""
"
1.1 2.3 "sad"
"TextTier" "bell"
0 2.3
1 point coming
0.5 "ding"
"""
ROWS = [
    ["ding", 0.5, 0.5, "bell"],
    ['happy = 3 <exists>\n! "so"', 0.7, 1.1, 'Mary "M" 2'],
    ["sad", 1.1, 2.3, 'Mary "M" 2'],
]


def rows(path: Path) -> list[list[object]]:
    found: list[list[object]] = (
        read_textgrid(path).table[["label", "t_start", "t_end", "tier"]].to_numpy().tolist()
    )
    return found


@pytest.mark.parametrize("text", [LONG, SHORT, FREE], ids=["long", "short", "free"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_every_form_and_encoding(tmp_path: Path, text: str, encoding: str) -> None:
    data = text.replace("ding", "Glöckchen 鐘").encode(encoding)
    path = tmp_path / "a.TextGrid"
    path.write_bytes(b"\xfe\xff" + data if encoding == "utf-16-be" else data)
    assert rows(path) == [["Glöckchen 鐘", *ROWS[0][1:]], *ROWS[1:]]


def test_latin_1_as_old_versions_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(SHORT.replace("ding", "Gl\xf6ckchen").encode("latin-1"))
    assert rows(path)[0][0] == "Glöckchen"


def test_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(LONG.replace("\n", "\r\n").replace("\r\n! ", "\n! ").encode())
    assert [row[1:] for row in rows(path)] == [row[1:] for row in ROWS]


NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"]), min_size=1, max_size=8).filter(
    lambda text: text.strip() == text and "\\" not in text  # Praat's own letters: \\ae is æ
)


@settings(max_examples=40)
@given(name=NAMES, labels=st.lists(NAMES, min_size=1, max_size=4), short=st.booleans())
def test_files_that_praat_wrote(name: str, labels: list[str], short: bool) -> None:
    """What parselmouth saves, in its long or short form, comes back with its times and texts."""
    grid = parselmouth.praat.call("Create TextGrid", 0.0, float(len(labels)), "x bell", "bell")
    parselmouth.praat.call(grid, "Set tier name", 1, name)
    for i in range(1, len(labels)):
        parselmouth.praat.call(grid, "Insert boundary", 1, i)
    for i, label in enumerate(labels, start=1):
        parselmouth.praat.call(grid, "Set interval text", 1, i, label)
    parselmouth.praat.call(grid, "Insert point", 2, 0.25, "p")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "praat.TextGrid"
        parselmouth.praat.call(grid, "Save as short text file" if short else "Save as text file", str(path))
        found = rows(path)
    assert ["p", 0.25, 0.25, "bell"] in found
    expected = [[label, float(i), float(i + 1), name] for i, label in enumerate(labels)]
    assert [row for row in found if row[3] != "bell" or row[0] != "p"] == expected


def test_a_binary_textgrid_is_named(tmp_path: Path) -> None:
    grid = parselmouth.praat.call("Create TextGrid", 0.0, 1.0, "x", "")
    path = tmp_path / "a.TextGrid"
    parselmouth.praat.call(grid, "Save as binary file", str(path))
    with pytest.raises(AnnotationError, match="a binary TextGrid; save it in Praat"):
        read_textgrid(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"TextGrid"', '"PitchTier"', "not a TextGrid"),
        ("<exists>\nsize", "<absent>\nsize", None),
        ('text = "sad"', "", "expected the name of tier 2"),
        ("size = 3", "size = 3.5", "a whole number"),
        ('"TextTier"', '"OtherTier"', "must be IntervalTier or TextTier"),
        ("xmax = 2.3\n            text", "xmax = 1.0\n            text", "ends before it starts"),
        ('mark = "ding"', "", "breaks off before the text of entry 1 of tier 'bell'"),
        ("xmin = 1.1", "xmin = then", "expected"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, old: str, new: str, words: str | None) -> None:
    path = tmp_path / "a.TextGrid"
    assert old in LONG
    path.write_text(LONG.replace(old, new))
    if words is None:
        assert read_textgrid(path).table.empty
        return
    with pytest.raises(AnnotationError) as caught:
        read_textgrid(path)
    assert (
        words in str(caught.value) and "a.TextGrid: " in str(caught.value) and "\n" not in str(caught.value)
    )
