"""Reads Praat's TextGrid files: long, short and free text forms, UTF-8, UTF-16 or Latin-1.

Praat looks only at free-standing numbers, quoted texts and <flags>; all other words ("xmin =", "[1]:") are
decoration, and `!` begins a comment. One reader of such tokens therefore reads every form
(fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from videofer.annotations.intervals import AnnotationError, Annotations, Interval, make_table, person_of_tier

# A quoted text (a quote in it is doubled), a comment, a flag, or any other run of letters.
_TOKEN = re.compile(r'"((?:[^"]|"")*)"|![^\n]*|<(\w+)>|(\S+)')
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

Token = float | str


def read_textgrid(path: Path) -> Annotations:
    """Intervals and points of all tiers; empty ones are silence. The name of a tier says the person, too.

    AnnotationError where the file is no TextGrid, breaks off, or is binary.
    """
    try:
        return Annotations(path, make_table(_intervals(_Tokens(_decoded(path)))))
    except AnnotationError:
        raise
    except ValueError as error:
        raise AnnotationError(f"{path}: {error}") from None


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith(b"ooBinaryFile"):
        raise AnnotationError(f"{path}: a binary TextGrid; save it in Praat with 'Save as text file...'")
    if data.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # how Praat wrote western texts before it knew Unicode


class _Tokens:
    """The numbers, texts and flags of a file, one after the other."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)

    def number(self, what: str) -> float:
        token = self._next(what)
        if not isinstance(token, float):
            raise ValueError(f"expected {what}, a number, found {token[1:]!r}")
        return token

    def count(self, what: str) -> int:
        number = self.number(what)
        if number < 0 or not number.is_integer():
            raise ValueError(f"expected {what}, a whole number, found {number:g}")
        return int(number)

    def text(self, what: str) -> str:
        token = self._next(what)
        if isinstance(token, float) or token[0] != '"':
            raise ValueError(f"expected {what}, a text in quotes, found {token!r}")
        return token[1:]

    def flag(self, what: str) -> str:
        token = self._next(what)
        if isinstance(token, float) or token[0] != "<":
            raise ValueError(f"expected {what}, a flag in <>, found {token!r}")
        return token[1:]

    def _next(self, what: str) -> Token:
        token = next(self._tokens, None)
        if token is None:
            raise ValueError(f"the TextGrid breaks off before {what}")
        return token


def _tokens(text: str) -> Iterator[Token]:
    """Numbers as float; texts with a leading quote, flags with a leading <."""
    for found in _TOKEN.finditer(text):
        quoted, flag, word = found.groups()
        if quoted is not None:
            yield '"' + quoted.replace('""', '"')
        elif flag is not None:
            yield "<" + flag
        elif word is not None and _NUMBER.fullmatch(word):
            yield float(word)


def _intervals(tokens: _Tokens) -> list[Interval]:
    if not tokens.text("the file type").startswith("ooTextFile") or tokens.text("the class") != "TextGrid":
        raise ValueError("not a TextGrid")
    tokens.number("xmin")
    tokens.number("xmax")
    found: list[Interval] = []
    if tokens.flag("whether there are tiers") != "exists":
        return found
    for tier in range(1, tokens.count("the number of tiers") + 1):
        kind, name = tokens.text(f"the class of tier {tier}"), tokens.text(f"the name of tier {tier}")
        if kind not in ("IntervalTier", "TextTier"):
            raise ValueError(f"tier {tier} {name!r} is of class {kind!r}, must be IntervalTier or TextTier")
        tokens.number(f"xmin of tier {name!r}")
        tokens.number(f"xmax of tier {name!r}")
        for place in range(1, tokens.count(f"the size of tier {name!r}") + 1):
            where = f"of entry {place} of tier {name!r}"
            start = tokens.number(f"the time {where}")
            end = tokens.number(f"the end {where}") if kind == "IntervalTier" else start
            found.append(
                Interval(tokens.text(f"the text {where}"), start, end, person_of_tier(name), tier=name)
            )
    return found
