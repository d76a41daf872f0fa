from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from videofer.formats.names import safe_stem, safe_stems
from videofer.formats.write import EXPORTS, file_names

TEXT = st.text(st.characters(exclude_categories=()), min_size=1, max_size=200)  # lone surrogates, too


def test_stems_are_short_unless_taken_twice() -> None:
    names = ["a/x.mp4", "b/x.mp4", "b/y.mp4", "b/Y.avi", "z.mp4"]
    assert safe_stems(names) == ["a__x.mp4", "b__x.mp4", "b__y.mp4", "b__Y.avi", "z"]


@settings(max_examples=300)
@given(st.lists(TEXT, min_size=1, max_size=6, unique=True))
def test_stems_are_distinct_safe_names_that_stay_in_the_folder(names: list[str]) -> None:
    stems = safe_stems(names)
    assert len({stem.casefold() for stem in stems}) == len(names)
    for stem in stems:
        assert safe_stem(stem) == stem
        assert len(stem.encode()) <= 120
        assert not set(stem) & set('/\\:*?"<>|\n\0')
        assert stem not in ("", ".", "..")
        assert stem[0] not in ".-"


def test_no_video_gets_a_file_of_another_or_of_the_study() -> None:
    names = [
        "a.mp4",
        "a_segments.mp4",
        "A_EVENTS.mp4",
        "b/a_openface.mov",
        "index.mp4",
        "rows.mp4",
        "Videos.mp4",
    ]
    stems = safe_stems([*names, "a_annotated.mp4", "a_summary.avi"])
    assert stems[:2] == ["a", "a_segments_"]
    products = [name.casefold() for stem in stems for export in EXPORTS for name in file_names(stem, export)]
    products += [f"{stem}{ending}".casefold() for stem in stems for ending in (".html", "_annotated.mp4")]
    assert len(set(products)) == len(products)
    assert not {"index.html", "rows.parquet", "videos.csv"} & set(products)


def test_devices_of_windows_are_no_names() -> None:
    assert safe_stems(["con.mp4", "NUL.x.mp4", "console.mp4"]) == ["_con", "_NUL.x", "console"]


def test_no_product_takes_the_name_of_an_input_beside_it() -> None:
    names = ["a.mp4", "b.mp4", "c.png"]
    assert safe_stems(names, ["A_annotated.mp4", "c.png", "b.mp4"]) == ["a.mp4", "b", "c.png"]
    assert safe_stems(names) == ["a", "b", "c"]
