"""Reads ELAN's .eaf files (EAF 2.x and 3.0).

Times are in TIME_SLOTs. A slot may have none: then ELAN spreads the annotations of that stretch evenly
between the neighbours that have one, and so do we. Annotations of a dependent tier refer to their parent:
one takes its time, several (a symbolic subdivision) share it evenly in their order.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from videofer.annotations.intervals import AnnotationError, Annotations, Interval, make_table, person_of_tier

Span = tuple[float, float]
"""Start and end, in milliseconds of ELAN's clock."""


def read_elan(path: Path) -> Annotations:
    """Annotations of all tiers; empty ones are left out.

    person is the tier's PARTICIPANT, else by its name; rater its ANNOTATOR; media the first video linked.
    AnnotationError where the file is not of ELAN or refers to what is not in it.
    """
    try:
        root = ET.fromstring(path.read_bytes(), parser=ET.XMLParser(target=_PlainTree()))  # noqa: S314 (no DTDs)
        if root.tag != "ANNOTATION_DOCUMENT":
            raise ValueError(f"not an ELAN file: it begins with <{root.tag}>")
        return Annotations(path, make_table(_intervals(root)))
    except (ET.ParseError, LookupError) as error:  # the latter for an encoding nobody knows
        raise AnnotationError(f"{path}: not a whole XML file: {error}") from None
    except ValueError as error:
        raise AnnotationError(f"{path}: {error}") from None


class _PlainTree(ET.TreeBuilder):
    """Refuses document types: they are of no use here and may swell or read other files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("an ELAN file has no DOCTYPE")


def _intervals(root: ET.Element) -> list[Interval]:
    header = root.find("HEADER")
    units = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if units != "milliseconds":
        raise ValueError(f"its times are in {units}, must be in milliseconds")
    media, origin = _media(header)
    slots = {
        _need(slot, "TIME_SLOT_ID"): _milliseconds(slot) for slot in root.iterfind("TIME_ORDER/TIME_SLOT")
    }
    entries = {
        entry.get("CVE_ID", ""): (entry.findtext("CVE_VALUE") or "")
        for entry in root.iterfind("CONTROLLED_VOCABULARY/CV_ENTRY_ML")
    }
    spans = _aligned_spans(root, slots)
    spans |= _referring_spans(root, spans)
    found = []
    for tier in root.iterfind("TIER"):
        for annotation in tier.iterfind("ANNOTATION/*"):
            label = annotation.findtext("ANNOTATION_VALUE") or entries.get(annotation.get("CVE_REF", ""), "")
            identity = _need(annotation, "ANNOTATION_ID")
            if identity not in spans:
                raise ValueError(f"annotation {identity!r} is a {annotation.tag}, which is unknown")
            start, end = spans[identity]
            seconds = ((start + origin) / 1000, (end + origin) / 1000)
            name = _need(tier, "TIER_ID")
            person = tier.get("PARTICIPANT") or person_of_tier(name)
            found.append(Interval(label, *seconds, person, tier.get("ANNOTATOR"), name, media))
    return found


def _media(header: ET.Element | None) -> tuple[str | None, float]:
    """The first video linked, else the first file, and its TIME_ORIGIN: its own time at ELAN's 0, in ms."""
    linked = [] if header is None else header.findall("MEDIA_DESCRIPTOR")
    if not linked:
        return None, 0.0
    first = next((one for one in linked if one.get("MIME_TYPE", "").startswith("video/")), linked[0])
    url = first.get("MEDIA_URL") or first.get("RELATIVE_MEDIA_URL") or ""
    return path_of_url(url) or None, float(first.get("TIME_ORIGIN") or 0)


def path_of_url(url: str) -> str:
    """`file:///C:/my%20videos/a.mp4` -> `C:/my videos/a.mp4`. A plain path stays, backslashes become `/`.

    ELAN writes names as they are, so `#` and `?` are letters of a name here.
    """
    url = url.strip().replace("\\", "/")
    if not url.lower().startswith("file:"):
        return url
    path = unquote(url[len("file:") :])
    if path.startswith("//"):  # then a host, mostly none
        path = "/" + path[2:].partition("/")[2]
    return path[1:] if path[2:3] == ":" else path  # a drive of Windows


def _milliseconds(slot: ET.Element) -> float | None:
    value = slot.get("TIME_VALUE")
    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"TIME_VALUE {value!r} of {slot.get('TIME_SLOT_ID')!r} is no number") from None


def _aligned_spans(root: ET.Element, slots: dict[str, float | None]) -> dict[str, Span]:
    """ANNOTATION_ID -> span of every annotation with time slots."""
    spans: dict[str, Span] = {}
    for tier in root.iterfind("TIER"):
        found = []
        for one in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION"):
            name = _need(one, "ANNOTATION_ID")
            ends = (_need(one, "TIME_SLOT_REF1"), _need(one, "TIME_SLOT_REF2"))
            for slot in ends:
                if slot not in slots:
                    raise ValueError(f"annotation {name!r} refers to the slot {slot!r}, which is not there")
            found.append((name, *ends))
        times = slots | _spread(slots, {first: last for _, first, last in found})
        for name, first, last in found:
            start, end = times[first], times[last]
            if start is None or end is None:
                raise ValueError(f"annotation {name!r} has no time, nor have the ones it touches")
            spans[name] = (start, end)
    return spans


def _spread(slots: dict[str, float | None], following: dict[str, str]) -> dict[str, float]:
    """Times for slots without one: even steps along chains of touching annotations (slot -> next slot)."""
    found: dict[str, float] = {}
    for first in following:
        start = slots[first]
        if start is None:
            continue
        chain = [following[first]]
        while slots[chain[-1]] is None and following.get(chain[-1], first) not in (first, *chain):
            chain.append(following[chain[-1]])
        end = slots[chain[-1]]
        if end is not None:
            step = (end - start) / len(chain)
            found |= {slot: start + step * place for place, slot in enumerate(chain[:-1], start=1)}
    return found


def _referring_spans(root: ET.Element, aligned: dict[str, Span]) -> dict[str, Span]:
    """ANNOTATION_ID -> span of every annotation that refers to another one, over any number of levels."""
    parents: dict[str, str] = {}
    before: dict[str, str | None] = {}
    sharing: dict[tuple[str, str], list[str]] = {}  # tier, parent -> its annotations there
    for tier in root.iterfind("TIER"):
        for one in tier.iterfind("ANNOTATION/REF_ANNOTATION"):
            name, parent = _need(one, "ANNOTATION_ID"), _need(one, "ANNOTATION_REF")
            parents[name] = parent
            before[name] = one.get("PREVIOUS_ANNOTATION")
            sharing.setdefault((tier.get("TIER_ID", ""), parent), []).append(name)
    ordered = [_in_order(group, before) for group in sharing.values()]
    groups = {name: group for group in ordered for name in group}
    spans = dict(aligned)
    for name in parents:
        above = [name]
        while above[-1] not in spans:
            parent_of = parents.get(above[-1])
            if parent_of is None or parent_of in above:
                raise ValueError(f"annotation {name!r} refers to {parent_of or above[-1]!r}, without a time")
            above.append(parent_of)
        for child, parent in zip(above[-2::-1], above[:0:-1], strict=True):
            start, end = spans[parent]
            step = (end - start) / len(groups[child])
            place = groups[child].index(child)
            spans[child] = (start + place * step, start + (place + 1) * step)
    return {name: spans[name] for name in parents}


def _in_order(group: list[str], before: dict[str, str | None]) -> list[str]:
    """The annotations of one parent, each after its PREVIOUS_ANNOTATION."""
    after = {before[name]: name for name in group}
    ordered: list[str] = []
    for name in group:
        following: str | None = name if before[name] not in group else None
        while following is not None:
            ordered.append(following)
            following = after.get(following)
    if len(ordered) != len(group):
        raise ValueError(f"annotations {', '.join(map(repr, group[:3]))} come before one another")
    return ordered


def _need(element: ET.Element, attribute: str) -> str:
    value = element.get(attribute)
    if not value:
        raise ValueError(f"a {element.tag} has no {attribute}")
    return value
