"""A copy of a data set, read as a command's options say: which set, which labels, what it lets choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from videofer.datasets.adapter import DatasetError, Reading, with_labels
from videofer.datasets.adapters import adapter_of
from videofer.emotions.label_sets import label_set


def read_copy(
    path: Path,
    name: str | None = None,
    labels: str | None = None,
    codes: str | None = None,
    options: Sequence[str] = (),
) -> tuple[Reading, dict[str, int]]:
    """Reads a copy; and how many rows of which class are left out, where `labels` is another label set.

    name: of the adapter; None: the one that recognises the path. codes: what the numbers of a list mean,
    divided by commas. options: KEY=VALUE of what the set lets choose. DatasetError, LabelError in one line.
    """
    adapter: Any = adapter_of(path, name)
    target = label_set(labels) if labels is not None else None
    known = {field.name for field in fields(adapter)} - {"by", "codes"}
    given: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or key not in known:
            can = f"{', '.join(sorted(known))} can be set" if known else "nothing can be set"
            raise DatasetError(f"--set {option}: of {adapter.name} {can}, as KEY=VALUE")
        given[key] = _value(adapter, key, value)
    if codes is not None:
        if "codes" not in {field.name for field in fields(adapter)}:
            raise DatasetError(f"--codes is for lists, and this is {adapter.name}")
        given["codes"] = tuple(word.strip() for word in codes.split(","))
    reads_by = "by" in {field.name for field in fields(adapter)}
    if reads_by and target is not None:
        given["by"] = target
    reading: Reading = replace(adapter, **given).read(path)
    if target is None or reads_by or target == reading.labels:
        return reading, {}
    return with_labels(reading, target)


def _value(adapter: Any, key: str, value: str) -> Any:
    """The value of a data set's option in its type. DatasetError where it is none."""
    allowed = get_args(get_type_hints(type(adapter))[key])
    if allowed and value not in allowed:
        raise DatasetError(f"--set {key}={value}: {key} is one of {', '.join(allowed)}")
    if isinstance(getattr(adapter, key), float):
        try:
            return float(value)
        except ValueError:
            raise DatasetError(f"--set {key}={value}: {key} is a number") from None
    return value
