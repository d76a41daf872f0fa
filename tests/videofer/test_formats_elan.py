from __future__ import annotations

import io
import re
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pympi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.videofer.timeline_examples import CLASSES, example_timeline
from videofer.formats.elan import write_eaf
from videofer.formats.marks import marks_of
from videofer.formats.text import one_line, person_names
from videofer.timeline.segments import find_segments
from videofer.timeline.timeline import Timeline

# Elements of EAF 3.0 in the order that its schema demands, with attributes: required, optional.
CHILDREN = {
    "ANNOTATION_DOCUMENT": [
        "LICENSE", "HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LOCALE", "LANGUAGE", "CONSTRAINT",
        "CONTROLLED_VOCABULARY", "LEXICON_REF", "REF_LINK_SET", "EXTERNAL_REF",
    ],
    "HEADER": ["MEDIA_DESCRIPTOR", "LINKED_FILE_DESCRIPTOR", "PROPERTY"],
    "TIME_ORDER": ["TIME_SLOT"],
    "TIER": ["ANNOTATION"],
    "ANNOTATION": ["ALIGNABLE_ANNOTATION"],
    "ALIGNABLE_ANNOTATION": ["ANNOTATION_VALUE"],
    "CONTROLLED_VOCABULARY": ["DESCRIPTION", "CV_ENTRY_ML"],
    "CV_ENTRY_ML": ["CVE_VALUE"],
}  # fmt: skip
ATTRIBUTES = {
    "ANNOTATION_DOCUMENT": ("AUTHOR DATE VERSION", "FORMAT {xsi}noNamespaceSchemaLocation"),
    "HEADER": ("", "MEDIA_FILE TIME_UNITS"),
    "MEDIA_DESCRIPTOR": ("MEDIA_URL MIME_TYPE", "RELATIVE_MEDIA_URL TIME_ORIGIN EXTRACTED_FROM"),
    "PROPERTY": ("", "NAME"),
    "TIME_ORDER": ("", ""),
    "TIME_SLOT": ("TIME_SLOT_ID", "TIME_VALUE"),
    "TIER": (
        "TIER_ID LINGUISTIC_TYPE_REF",
        "PARTICIPANT ANNOTATOR DEFAULT_LOCALE PARENT_REF EXT_REF LANG_REF",
    ),
    "ANNOTATION": ("", ""),
    "ALIGNABLE_ANNOTATION": (
        "ANNOTATION_ID TIME_SLOT_REF1 TIME_SLOT_REF2",
        "SVG_REF EXT_REF LANG_REF CVE_REF",
    ),
    "ANNOTATION_VALUE": ("", ""),
    "LINGUISTIC_TYPE": (
        "LINGUISTIC_TYPE_ID",
        "TIME_ALIGNABLE CONSTRAINTS GRAPHIC_REFERENCES CONTROLLED_VOCABULARY_REF EXT_REF LEXICON_REF",
    ),
    "LANGUAGE": ("LANG_ID", "LANG_DEF LANG_LABEL"),
    "CONTROLLED_VOCABULARY": ("CV_ID", "EXT_REF"),
    "DESCRIPTION": ("LANG_REF", ""),
    "CV_ENTRY_ML": ("CVE_ID", "EXT_REF"),
    "CVE_VALUE": ("LANG_REF", "DESCRIPTION"),
}
XSI = "http://www.w3.org/2001/XMLSchema-instance"
IDS = {"TIME_SLOT_ID", "ANNOTATION_ID", "LANG_ID", "CVE_ID"}  # of type xsd:ID, distinct in the document
ID_REFS = {"TIME_SLOT_REF1", "TIME_SLOT_REF2", "LANG_REF", "CVE_REF"}


def eaf_of(timeline: Timeline, media: Path | None = None, folder: Path = Path()) -> bytes:
    file = io.BytesIO()
    marks = marks_of(find_segments(timeline))
    names = person_names(timeline)
    write_eaf(marks, names, timeline.classes, file, annotator="a & b", media=media, folder=folder)
    return file.getvalue()


def check_structure(content: bytes) -> ET.Element:
    """Fail where the file is not as schema and handbook of ELAN say."""
    root = ET.fromstring(content)
    assert root.tag == "ANNOTATION_DOCUMENT"
    ids: list[str] = []
    references: list[str] = []
    for element in root.iter():
        order = CHILDREN.get(element.tag, [])
        places = [order.index(child.tag) for child in element]
        assert places == sorted(places), f"children of {element.tag}"
        required, optional = (set(names.split()) for names in ATTRIBUTES[element.tag])
        present = {name.replace(XSI, "xsi") for name in element.attrib}
        assert required <= present <= required | optional, element.tag
        ids += [value for name, value in element.items() if name in IDS]
        references += [value for name, value in element.items() if name in ID_REFS]
    assert len(ids) == len(set(ids))
    assert set(references) <= set(ids)
    assert all(re.fullmatch(r"[A-Za-z_][\w.-]*", value) for value in ids)  # NCName

    assert datetime.fromisoformat(root.attrib["DATE"]).tzinfo is not None
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    assert min(slots.values(), default=0) >= 0
    types = {kind.attrib["LINGUISTIC_TYPE_ID"]: kind for kind in root.iter("LINGUISTIC_TYPE")}
    entries = {entry.attrib["CVE_ID"]: entry.findtext("CVE_VALUE") for entry in root.iter("CV_ENTRY_ML")}
    names = [tier.attrib["TIER_ID"] for tier in root.iter("TIER")]
    assert len(names) == len(set(names))
    for tier in root.iter("TIER"):
        assert types[tier.attrib["LINGUISTIC_TYPE_REF"]].attrib["TIME_ALIGNABLE"] == "true"
        until = 0
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            start, end = (slots[annotation.attrib[f"TIME_SLOT_REF{i}"]] for i in (1, 2))
            assert until <= start < end  # annotations of one tier do not overlap
            until = end
            assert annotation.findtext("ANNOTATION_VALUE") == entries[annotation.attrib["CVE_REF"]]
    last = root.find("HEADER/PROPERTY[@NAME='lastUsedAnnotationId']")
    assert last is not None
    assert int(last.text or -1) == len(list(root.iter("ALIGNABLE_ANNOTATION")))
    return root


@pytest.mark.parametrize("num_persons", [0, 1, 2, 6])
def test_pympi_reads_every_segment(num_persons: int, tmp_path: Path) -> None:
    timeline = example_timeline(num_persons=num_persons, names=("Anna", "李"))
    segments = find_segments(timeline)
    path = tmp_path / "a.eaf"
    path.write_bytes(eaf_of(timeline))
    check_structure(path.read_bytes())

    eaf = pympi.Eaf(str(path))
    assert list(eaf.get_tier_names()) == [person.name for person in timeline.persons]
    for person in timeline.persons:
        own = segments[segments["person"] == person.id]
        expected = [
            (round(1000 * row.onset), round(1000 * row.offset), row.label) for row in own.itertuples()
        ]
        assert sorted(eaf.get_annotation_data_for_tier(person.name)) == expected
        about = eaf.get_parameters_for_tier(person.name)
        assert (about["PARTICIPANT"], about["ANNOTATOR"]) == (person.name, "a & b")
    (vocabulary,) = eaf.get_controlled_vocabulary_names()
    _, entries, _ = eaf.controlled_vocabularies[vocabulary]
    assert [values[0][0] for values, _ in entries.values()] == list(CLASSES)
    for kind in eaf.get_linguistic_type_names():
        assert eaf.get_parameters_for_linguistic_type(kind)["CONTROLLED_VOCABULARY_REF"] == vocabulary


def test_the_video_is_linked_absolutely_and_relatively(tmp_path: Path) -> None:
    media = tmp_path / "my videos" / "talk & more.MP4"
    root = check_structure(eaf_of(example_timeline(), media, tmp_path / "out" / "eaf"))
    descriptor = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert descriptor is not None
    assert descriptor.attrib == {
        "MEDIA_URL": f"file://{tmp_path}/my videos/talk & more.MP4",
        "MIME_TYPE": "video/mp4",
        "RELATIVE_MEDIA_URL": "../../my videos/talk & more.MP4",
    }
    beside = check_structure(eaf_of(example_timeline(), tmp_path / "a.mkv", tmp_path))
    descriptor = beside.find("HEADER/MEDIA_DESCRIPTOR")
    assert descriptor is not None
    assert descriptor.attrib["RELATIVE_MEDIA_URL"] == "./a.mkv"
    assert check_structure(eaf_of(example_timeline())).find("HEADER/MEDIA_DESCRIPTOR") is None


def test_a_link_to_the_video_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "MD5-1").write_bytes(b"")
    (tmp_path / "talk.mp4").symlink_to(tmp_path / "objects" / "MD5-1")
    (tmp_path / "out").symlink_to(tmp_path / "objects")  # relative to where the file really lies
    root = check_structure(eaf_of(example_timeline(), tmp_path / "talk.mp4", tmp_path / "out"))
    descriptor = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert descriptor is not None
    assert descriptor.attrib["MEDIA_URL"] == f"file://{tmp_path}/talk.mp4"
    assert descriptor.attrib["RELATIVE_MEDIA_URL"] == "../talk.mp4"


@settings(max_examples=60)
@given(
    name=st.text(st.characters(exclude_categories=()), max_size=40),
    label=st.text(min_size=1, max_size=20).filter(lambda label: label not in CLASSES),
)
def test_any_name_and_label_stays_a_text(name: str, label: str) -> None:
    timeline = example_timeline(
        num_persons=2, names=(name, name), classes=(label, *CLASSES[1:]), duration_seconds=6.0
    )
    root = check_structure(eaf_of(timeline, Path(name.replace("\0", "") or "x")))
    tiers = [tier.attrib["TIER_ID"] for tier in root.iter("TIER")]
    assert tiers == list(person_names(timeline).values())
    values = {value.text or "" for value in root.iter("ANNOTATION_VALUE")}
    assert values <= {one_line(label), *CLASSES}


def test_marks_last_a_millisecond_at_least_and_never_overlap() -> None:
    segments = pd.DataFrame(
        {
            "person": [0, 0, 1, 0],
            "label": ["a", "b", "a", "c"],
            "onset": [0.0004, 0.0006, 0.0006, 1.0],
            "offset": [0.0006, 0.0014, 7200.0, 2.0004],
            "mean_probability": 0.5,
        }
    )
    marks = [(mark.person, mark.label, mark.start_ms, mark.end_ms) for mark in marks_of(segments)]
    assert marks == [(0, "a", 0, 1), (0, "b", 1, 2), (1, "a", 1, 7_200_000), (0, "c", 1000, 2000)]
