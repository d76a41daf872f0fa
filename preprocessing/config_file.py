"""Reads a YAML file into a pydantic model; errors are one line and name file, key and allowed values."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cache.errors import UserError

Model = TypeVar("Model", bound=BaseModel)
_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")  # of a model, of a dataclass


class ConfigError(UserError, ValueError):
    """A configuration is wrong. The message is one line for the user."""


def load_yaml(path: Path, model: type[Model], overrides: Sequence[str] = ()) -> Model:
    """Reads and checks a whole file. overrides: "a.b=3", values in YAML, applied before the check."""
    return validate(read_yaml(path), model, source=str(path), overrides=overrides)


def read_yaml(path: Path) -> dict[str, Any]:
    """The table of a file, unchecked; an empty file is an empty table."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    values = _parse(text, str(path))
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a table of keys and values, not a {type(values).__name__}")
    return values


def validate(
    values: dict[str, Any], model: type[Model], *, source: str, overrides: Sequence[str] = ()
) -> Model:
    """Checks a table. source: named in errors, usually the file."""
    for override in overrides:
        _apply_override(values, override)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # A misspelled key often causes a missing one: it is the better first word.
        problems = sorted(error.errors(include_url=False), key=lambda e: e["type"] not in _UNKNOWN_KEY)
        first = _explain(problems[0], model)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigError(f"{source}: {first}{more}") from None


def dump_yaml(config: BaseModel) -> str:
    """The complete configuration as YAML text that `load_yaml` reads back to an equal model."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)


def nearest(word: str, allowed: Sequence[str], *, cutoff: float = 0.6) -> str | None:
    """The allowed word that was probably meant, None where nothing is near. cutoff: 1 is equality."""
    by_lower = {candidate.lower(): candidate for candidate in allowed}
    found = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


class _Loader(yaml.SafeLoader):
    """Safe, and refuses a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key is no word", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = " ".join((error.problem or "not YAML").split())
        raise ConfigError(f"{source}{line}: {problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{source}: not YAML: {' '.join(str(error).split())}") from None


def _apply_override(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"{override!r} must have the form key.subkey=value")
    table = values
    for depth, key in enumerate(keys[:-1]):
        # A section that the file leaves out, or sets to null, begins empty and takes its defaults.
        inner = table.get(key)
        if inner is None:
            inner = table[key] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"{override!r}: {'.'.join(keys[: depth + 1])} is a value without keys")
        table = inner
    table[keys[-1]] = _parse(text, f"value of {name.strip()}")


def _explain(problem: ErrorDetails, model: type[BaseModel]) -> str:
    location = [
        part for part in problem["loc"] if not (isinstance(part, str) and part.startswith("function-"))
    ]
    name = ".".join(str(part) for part in location)
    value = problem["input"]
    kind = problem["type"]
    if kind in _UNKNOWN_KEY:
        allowed = _field_names(model, location[:-1])
        guess = nearest(str(location[-1]), allowed)
        hint = f"; did you mean {guess!r}?" if guess else ""
        return f"unknown key {name!r}{hint} (allowed here: {', '.join(allowed) or 'none'})"
    if kind == "missing":
        return f"the key {name!r} is missing"
    if kind == "literal_error":
        expected = str(problem["ctx"]["expected"])
        words = [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
        guess = nearest(value, words) if isinstance(value, str) else None
        hint = f"; did you mean {guess!r}?" if guess else ""
        return f"{name} must be {expected}, not {value!r}{hint}"
    if kind in ("model_type", "model_attributes_type", "dataclass_type", "dict_type"):
        return f"{name} must be a section with keys, not {_short(value)}"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind in ("value_error", "assertion_error"):  # our own validators, which name the value themselves
        return f"{name}: {message}" if name else message
    message = message.removeprefix("Input should be ").removeprefix("Input should have ")
    return f"{name} must be {message}, not {_short(value)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _field_names(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Fields of the model or dataclass that stands at this place of the tree."""
    current: Any = model
    for part in location:
        if isinstance(part, str) and part in _annotations(current):
            current = _table_in(_annotations(current)[part])
        # Otherwise an index into a list or the branch of a union: the table is the one already found.
    return list(_annotations(current))


def _annotations(table: Any) -> dict[str, Any]:
    if isinstance(table, type) and issubclass(table, BaseModel):
        return {name: field.annotation for name, field in table.model_fields.items()}
    if dataclasses.is_dataclass(table):
        hints = typing.get_type_hints(table)
        return {field.name: hints[field.name] for field in dataclasses.fields(table)}
    return {}


def _table_in(annotation: Any) -> Any:
    """The model or dataclass inside X, X | None, list[X] or dict[str, X]."""
    if _annotations(annotation):
        return annotation
    found = (_table_in(argument) for argument in typing.get_args(annotation))
    return next((table for table in found if table is not None), None)
