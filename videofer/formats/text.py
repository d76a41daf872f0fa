"""Names and labels as text that any format can hold, whoever made them up."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videofer.timeline.timeline import Timeline

_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]")
_NOWHERE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # not in XML or UTF-8
_FORMULA = re.compile('(^|;"*)(?=[=+\\-@\uff1d\uff0b\uff0d\uff20])')  # of spreadsheets; full width, too


def one_line(text: str) -> str:
    """Text for one line: line breaks and tabs become spaces, what XML or UTF-8 cannot hold becomes U+FFFD."""
    return _NOWHERE.sub("\ufffd", _BREAKS.sub(" ", text)).strip()


def person_names(timeline: Timeline) -> dict[int, str]:
    """What each person is called in a file: one line, never empty, no two alike ("Anna", "Anna (2)")."""
    names: dict[int, str] = {}
    for person in timeline.persons:
        names[person.id] = unlike(one_line(person.name) or f"person {person.id}", names.values())
    return names


def unlike(name: str, others: Collection[str]) -> str:
    """The name, or with a number, so that it is none of the others: "Anna (2)"."""
    numbered = (f"{name} ({number})" for number in count(2))
    return name if name not in others else next(one for one in numbered if one not in others)


def defused(text: str) -> str:
    """One line for a cell that no spreadsheet runs as a formula: such text gets a leading apostrophe.

    Also after a semicolon, at which spreadsheets of many countries part the cells of a CSV file, and quotes.
    """
    return _FORMULA.sub(r"\1'", one_line(text))
