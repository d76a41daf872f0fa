"""ELAN files as ELAN writes them: dependent tiers, slots without a time, links; pympi agrees."""

from __future__ import annotations

from pathlib import Path

import pympi
import pytest

from videofer.annotations.elan import path_of_url, read_elan
from videofer.annotations.intervals import AnnotationError

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-03-02T10:00:00+01:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///D:/study/talk%201.wav" MIME_TYPE="audio/x-wav"
            RELATIVE_MEDIA_URL="./talk%201.wav"/>
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///D:/study/talk%201.mp4" MIME_TYPE="video/mp4"
            RELATIVE_MEDIA_URL="./talk%201.mp4"{origin}/>
        <PROPERTY NAME="lastUsedAnnotationId">12</PROPERTY>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/>
        <TIME_SLOT TIME_SLOT_ID="ts2"/>
        <TIME_SLOT TIME_SLOT_ID="ts3"/>
        <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="2500"/>
        <TIME_SLOT TIME_SLOT_ID="ts5" TIME_VALUE="4000"/>
        <TIME_SLOT TIME_SLOT_ID="ts6" TIME_VALUE="7000"/>
        <TIME_SLOT TIME_SLOT_ID="ts7" TIME_VALUE="1000"/>
        <TIME_SLOT TIME_SLOT_ID="ts8" TIME_VALUE="2500"/>
    </TIME_ORDER>
"""
TAIL = """
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" LINGUISTIC_TYPE_ID="assoc" TIME_ALIGNABLE="false"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Subdivision" LINGUISTIC_TYPE_ID="parts" TIME_ALIGNABLE="false"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Time_Subdivision" LINGUISTIC_TYPE_ID="steps" TIME_ALIGNABLE="true"/>
    <CONTROLLED_VOCABULARY CV_ID="emotions">
        <DESCRIPTION LANG_REF="und"/>
        <CV_ENTRY_ML CVE_ID="cveid0"><CVE_VALUE DESCRIPTION="" LANG_REF="und">anger</CVE_VALUE></CV_ENTRY_ML>
    </CONTROLLED_VOCABULARY>
</ANNOTATION_DOCUMENT>
"""
TIERS = """
    <TIER TIER_ID="talk" PARTICIPANT="Anna" ANNOTATOR="KL" LINGUISTIC_TYPE_REF="default-lt">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts7" TIME_SLOT_REF2="ts8">
            <ANNOTATION_VALUE>well &amp; then</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts5" TIME_SLOT_REF2="ts6">
            <ANNOTATION_VALUE>no</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER TIER_ID="steps" PARENT_REF="talk" LINGUISTIC_TYPE_REF="steps">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
            <ANNOTATION_VALUE>neutral</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a4" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
            <ANNOTATION_VALUE>happiness</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a5" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
            <ANNOTATION_VALUE>surprise</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER TIER_ID="emotion" PARENT_REF="talk" PARTICIPANT="Anna" LINGUISTIC_TYPE_REF="assoc">
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a6" ANNOTATION_REF="a1" CVE_REF="cveid0">
            <ANNOTATION_VALUE></ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER TIER_ID="parts" PARENT_REF="talk" LINGUISTIC_TYPE_REF="parts">
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a9" ANNOTATION_REF="a2" PREVIOUS_ANNOTATION="a8">
            <ANNOTATION_VALUE>fear</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a7" ANNOTATION_REF="a2">
            <ANNOTATION_VALUE>anger</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a8" ANNOTATION_REF="a2" PREVIOUS_ANNOTATION="a7">
            <ANNOTATION_VALUE>disgust</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER TIER_ID="note on a part" PARENT_REF="parts" LINGUISTIC_TYPE_REF="assoc">
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a10" ANNOTATION_REF="a8">
            <ANNOTATION_VALUE>calm</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a11" ANNOTATION_REF="a7">
            <ANNOTATION_VALUE> </ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    </TIER>
"""


def write(path: Path, tiers: str = TIERS, origin: str = "", head: str = HEAD) -> Path:
    path.write_text(head.replace("{origin}", origin) + tiers + TAIL, encoding="utf-8")
    return path


def spans(path: Path) -> dict[tuple[str, str], tuple[float, float]]:
    table = read_elan(path).table
    return {(row.tier, row.label): (row.t_start, row.t_end) for row in table.itertuples()}


def test_times_of_every_kind_of_tier(tmp_path: Path) -> None:
    found = spans(write(tmp_path / "talk.eaf"))
    assert found == {
        ("talk", "well & then"): (1.0, 2.5),
        ("talk", "no"): (4.0, 7.0),
        # ts2 and ts3 have no time: even steps from 1.0 to 2.5
        ("steps", "neutral"): (1.0, 1.5),
        ("steps", "happiness"): (1.5, 2.0),
        ("steps", "surprise"): (2.0, 2.5),
        ("emotion", "anger"): (1.0, 2.5),  # by its entry in the vocabulary
        ("parts", "anger"): (4.0, 5.0),
        ("parts", "disgust"): (5.0, 6.0),
        ("parts", "fear"): (6.0, 7.0),
        ("note on a part", "calm"): (5.0, 6.0),
    }


def test_who_what_and_where(tmp_path: Path) -> None:
    table = read_elan(write(tmp_path / "talk.eaf")).table
    talk = table[table["tier"] == "talk"].iloc[0]
    assert (talk["person"], talk["rater"]) == ("Anna", "KL")
    assert set(table["media"]) == {"D:/study/talk 1.mp4"}
    steps = table[table["tier"] == "steps"].iloc[0]
    assert steps["person"] == "steps" and steps["rater"] is None


def test_pympi_reads_the_same_times(tmp_path: Path) -> None:
    path = write(tmp_path / "talk.eaf")
    other = pympi.Elan.Eaf(str(path))
    found = spans(path)
    for tier in ("talk", "emotion"):
        for start, end, value, *_ in other.get_annotation_data_for_tier(tier):
            label = value or "anger"
            assert found[tier, label] == (start / 1000, end / 1000)


def test_a_file_that_pympi_wrote(tmp_path: Path) -> None:
    eaf = pympi.Elan.Eaf()
    eaf.add_linked_file("/videos/a b.mp4", mimetype="video/mp4")
    eaf.add_tier("emotion@Ben", part="Ben", ann="rater 2")
    eaf.add_annotation("emotion@Ben", 120, 980, "Ärger <&>")
    eaf.add_annotation("emotion@Ben", 980, 1400, "joy")
    eaf.to_file(str(tmp_path / "b.eaf"))
    table = read_elan(tmp_path / "b.eaf").table
    assert table[["label", "t_start", "t_end"]].to_numpy().tolist() == [
        ["Ärger <&>", 0.12, 0.98],
        ["joy", 0.98, 1.4],
    ]
    assert set(table["person"]) == {"Ben"} and set(table["rater"]) == {"rater 2"}
    assert set(table["media"]) == {"/videos/a b.mp4"}


def test_the_time_origin_of_the_video_counts(tmp_path: Path) -> None:
    """A video that was shifted in ELAN: its own time at ELAN's zero is TIME_ORIGIN."""
    found = spans(write(tmp_path / "talk.eaf", origin=' TIME_ORIGIN="12500"'))
    assert found["talk", "no"] == (16.5, 19.5)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///D:/study/a%20b.mp4", "D:/study/a b.mp4"),
        ("file:///home/me/%C3%BC.mp4", "/home/me/ü.mp4"),
        ("file:///home/me/talk #2?.mp4", "/home/me/talk #2?.mp4"),
        ("file://localhost/home/me/a.mp4", "/home/me/a.mp4"),
        ("file:/./a.mp4", "/./a.mp4"),
        ("./a.mp4", "./a.mp4"),
        (r"C:\study\a.mp4", "C:/study/a.mp4"),
    ],
)
def test_links_to_media(url: str, path: str) -> None:
    assert path_of_url(url) == path


def no_slot(text: str) -> str:
    return text.replace('TIME_SLOT_REF1="ts7"', 'TIME_SLOT_REF1="ts99"')


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_slot, "'ts99', which is not there"),
        (lambda text: text.replace('ANNOTATION_REF="a1"', 'ANNOTATION_REF="a77"'), "'a77', without a time"),
        (lambda text: text.replace('ANNOTATION_REF="a1"', 'ANNOTATION_REF="a6"'), "'a6', without a time"),
        (lambda text: text.replace(' TIME_VALUE="2500"/>', "/>"), "nor have the ones it touches"),
        (lambda text: text.replace("milliseconds", "PAL-frames"), "PAL-frames"),
        (lambda text: text.replace('TIME_VALUE="4000"', 'TIME_VALUE="4 s"'), "'4 s'"),
        (lambda text: text.replace('TIME_VALUE="4000"', 'TIME_VALUE="9000"'), "ends before it starts"),
        (lambda text: text.replace('PREVIOUS_ANNOTATION="a7"', 'PREVIOUS_ANNOTATION="a9"'), "come before"),
        (lambda text: text.replace(' ANNOTATION_ID="a1"', ""), "has no ANNOTATION_ID"),
        (lambda text: text[: len(text) // 2], "not a whole XML file"),
        (lambda text: text.replace("ANNOTATION_DOCUMENT", "html"), "begins with <html>"),
        (lambda text: text.replace("?>\n", '?>\n<!DOCTYPE a [<!ENTITY b "c">]>\n', 1), "no DOCTYPE"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, change, words: str) -> None:  # type: ignore[no-untyped-def]
    path = write(tmp_path / "talk.eaf")
    path.write_text(change(path.read_text()))
    with pytest.raises(AnnotationError, match=r"talk\.eaf: ") as caught:
        read_elan(path)
    assert words in str(caught.value) and "\n" not in str(caught.value)
