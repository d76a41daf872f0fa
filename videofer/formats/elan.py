"""Segments as an ELAN file (EAF 3.0): tiers of persons, labels of a vocabulary, linked media.

After the schema http://www.mpi.nl/tools/elan/EAFv3.0.xsd and the description "EAF Annotation Format".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree as ET

from videofer.formats.marks import Mark
from videofer.formats.text import one_line
from videofer.formats.tiers import tiers_of

SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
VOCABULARY = "perceived expression"
TIER_TYPE = "expression"
_LANGUAGE = "und"  # labels are names, of no language that we know of

_MIME_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".avi": "video/x-msvideo",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
}


def write_eaf(
    marks: Sequence[Mark],
    names: Mapping[int, str],
    classes: Sequence[str],
    file: BinaryIO,
    *,
    annotator: str,
    media: Path | None,
    folder: Path,
    by_class: bool = False,
) -> None:
    """marks: in order of time. names: of the persons, tiers in their order. by_class: a tier for each class
    of a person, where several may hold at once, see `tiers_of`. annotator: who watched; also a property of
    the file, which ELAN keeps.

    media: the video, linked by its absolute path and relative to `folder`, where the file lies; None: ELAN
    asks for it.
    """
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "videofer",
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": SCHEMA,
        },
    )
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if media is not None:
        ET.SubElement(header, "MEDIA_DESCRIPTOR", _media(media, folder))
    ET.SubElement(header, "PROPERTY", NAME="annotator").text = one_line(annotator)
    ET.SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId").text = str(len(marks))
    slots = _time_slots(marks, ET.SubElement(root, "TIME_ORDER"))
    entry_ids = {one_line(label): f"cveid{number}" for number, label in enumerate(classes, 1)}
    shown = {(mark.person, mark.label) for mark in marks}
    tiers = {
        (tier.person, tier.label): ET.SubElement(
            root,
            "TIER",
            TIER_ID=tier.name,
            PARTICIPANT=names[tier.person],
            ANNOTATOR=one_line(annotator),
            LINGUISTIC_TYPE_REF=TIER_TYPE,
        )
        for tier in tiers_of(names, classes if by_class else (), shown)
    }
    for number, (mark, (start, end)) in enumerate(zip(marks, slots, strict=True), 1):
        label = one_line(mark.label)
        annotation = ET.SubElement(
            ET.SubElement(tiers[mark.person, mark.label if by_class else None], "ANNOTATION"),
            "ALIGNABLE_ANNOTATION",
            ANNOTATION_ID=f"a{number}",
            TIME_SLOT_REF1=start,
            TIME_SLOT_REF2=end,
            CVE_REF=entry_ids[label],
        )
        ET.SubElement(annotation, "ANNOTATION_VALUE").text = label
    _definitions(entry_ids, root)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    file.write(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode())


def _media(media: Path, folder: Path) -> dict[str, str]:
    """Attributes of the linked video. Paths stand as they are, spaces too: so ELAN writes and reads them."""
    whole = media.parent.resolve() / media.name  # a link to the video itself keeps its name
    relative = Path(os.path.relpath(whole, folder.resolve())).as_posix()
    return {
        "MEDIA_URL": "file:///" + one_line(whole.as_posix().lstrip("/")),
        "MIME_TYPE": _MIME_TYPES.get(media.suffix.lower(), "unknown"),
        "RELATIVE_MEDIA_URL": one_line(relative if relative.startswith("../") else f"./{relative}"),
    }


def _time_slots(marks: Sequence[Mark], order: ET.Element) -> list[tuple[str, str]]:
    """Fill TIME_ORDER, rising; the ids of each mark's start and end. No two marks share one, so that moving
    an edge in ELAN moves one annotation.
    """
    edges = [ms for mark in marks for ms in (mark.start_ms, mark.end_ms)]
    ids = [""] * len(edges)
    for number, place in enumerate(sorted(range(len(edges)), key=edges.__getitem__), 1):
        ids[place] = f"ts{number}"
        ET.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=ids[place], TIME_VALUE=str(edges[place]))
    return list(zip(ids[::2], ids[1::2], strict=True))


def _definitions(entry_ids: Mapping[str, str], root: ET.Element) -> None:
    """The kind of all tiers, the language of the labels, and their vocabulary: label -> id of its entry."""
    ET.SubElement(
        root,
        "LINGUISTIC_TYPE",
        LINGUISTIC_TYPE_ID=TIER_TYPE,
        TIME_ALIGNABLE="true",
        GRAPHIC_REFERENCES="false",
        CONTROLLED_VOCABULARY_REF=VOCABULARY,
    )
    ET.SubElement(
        root,
        "LANGUAGE",
        LANG_ID=_LANGUAGE,
        LANG_DEF="http://cdb.iso.org/lg/CDB-00130975-001",
        LANG_LABEL="undetermined (und)",
    )
    vocabulary = ET.SubElement(root, "CONTROLLED_VOCABULARY", CV_ID=VOCABULARY)
    ET.SubElement(vocabulary, "DESCRIPTION", LANG_REF=_LANGUAGE).text = "classes of the model"
    for label, entry_id in entry_ids.items():
        entry = ET.SubElement(vocabulary, "CV_ENTRY_ML", CVE_ID=entry_id)
        ET.SubElement(entry, "CVE_VALUE", LANG_REF=_LANGUAGE, DESCRIPTION="").text = label
