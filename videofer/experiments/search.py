"""The search space of a recipe: which keys `videofer tune` varies, and the values of each trial."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from preprocessing.config_file import ConfigError, nearest, validate
from videofer.recipe import Recipe, SearchRange

Values = Mapping[str, Any]
"""Key of the recipe, like "training.lr", to value."""

_EXAMPLE = "search: {training.lr: {low: 0.0003, high: 0.01, log: true}}"
_MEASURING = (
    "data.classes",
    "training.monitor",
    "training.seed",
    "training.val_fraction",
    "training.val_subjects",
)
_INNER = 0.381966  # a place inside a range that is no round number


def check_search(recipe: Recipe) -> dict[str, SearchRange]:
    """The recipe's search section, if trials can be made of it. ConfigError in one line."""
    if not recipe.search:
        raise ConfigError(f"the recipe has no section 'search', for example {_EXAMPLE}")
    known = dict(_leaves(recipe.model_dump(mode="json", exclude={"search"})))
    for key, scope in recipe.search.items():
        if key in _MEASURING:
            raise ConfigError(
                f"search: '{key}' decides what is measured, so trials with other values of it could not be "
                "compared"
            )
        if key not in known:
            raise ConfigError(f"search: the recipe has no key '{key}'{_hint(key, list(known))}")
        if scope.integer and any(end is not None and end % 1 for end in (scope.low, scope.high)):
            raise ConfigError(f"search: '{key}' is integer, but not from {scope.low:g} to {scope.high:g}")
        ends = scope.values if scope.values is not None else [at(scope, u) for u in (0.0, _INNER, 1.0)]
        for value in ends:
            recipe_with(recipe, {key: value}, source="search")
    return recipe.search


def draw_trials(search: Mapping[str, SearchRange], num: int, seed: int) -> list[Values]:
    """Values of each trial. The first is the recipe as it stands: {}.

    The others are a Latin hypercube: however few they are, each key's range is covered evenly.
    """
    rng = np.random.default_rng(seed)
    num_drawn = num - 1
    columns = {
        key: [at(scope, u) for u in (rng.permutation(num_drawn) + rng.random(num_drawn)) / max(num_drawn, 1)]
        for key, scope in search.items()
    }
    return [{}, *({key: column[place] for key, column in columns.items()} for place in range(num_drawn))]


def at(scope: SearchRange, u: float) -> Any:
    """The value at the share u in [0, 1] of a range; equal shares are equally probable."""
    if scope.values is not None:
        return scope.values[min(int(u * len(scope.values)), len(scope.values) - 1)]
    assert scope.low is not None and scope.high is not None
    # Whole numbers own the interval of 1 around them, so that both ends are as probable as the others.
    margin = 0.5 if scope.integer else 0.0
    low, high = scope.low - margin, scope.high + margin
    value = math.exp(math.log(low) + u * math.log(high / low)) if scope.log else low + u * (high - low)
    rounded = round(value) if scope.integer else float(f"{value:.5g}")
    return type(rounded)(min(max(rounded, scope.low), scope.high))


def recipe_with(recipe: Recipe, values: Values, *, source: str) -> Recipe:
    """The recipe with other values. source: named in the ConfigError where they make no recipe."""
    table = copy.deepcopy(recipe.model_dump(mode="json"))
    for key, value in values.items():
        *sections, last = key.split(".")
        inner = table
        for section in sections:
            inner = inner[section]
        inner[last] = value
    shown = ", ".join(f"{key}={value}" for key, value in values.items())
    return validate(table, Recipe, source=f"{source}: {shown}" if shown else source)


def value_of(recipe: Recipe, key: str) -> Any:
    """The value of a key as it stands in the recipe."""
    return dict(_leaves(recipe.model_dump(mode="json", exclude={"search"})))[key]


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _hint(key: str, known: Sequence[str]) -> str:
    last = key.rpartition(".")[2]
    namesakes = [name for name in known if name.rpartition(".")[2] == last]
    guess = namesakes[0] if namesakes else nearest(key, known)
    return f"; did you mean '{guess}'?" if guess else ""
