"""The corpus: a folder of cases. The same seed and number damage the same files in the same way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.fuzzing import hostile
from tools.fuzzing.damage import DAMAGES
from tools.fuzzing.lies import Crafted, lies

SOUND = "sound file"


@dataclass(frozen=True)
class Case:
    """One file, or what stands in its place."""

    kind: str
    path: Path
    seed: Path | None = None  # the sound video it was made from


def write_corpus(folder: Path, seeds: list[Path], num_cases: int, seed: int = 0) -> list[Case]:
    """Writes at least the sound seeds and, beside them, `num_cases` broken or hostile ones.

    Half of them at most are crafted; of more than fit every n-th is taken. The rest is damage by chance.
    """
    folder.mkdir(parents=True)
    by_name = {path.name: path for path in seeds}
    shutil.copy(by_name["faces.mp4"], folder / hostile.NAMED)
    cases = [Case(SOUND, folder / hostile.NAMED, by_name["faces.mp4"])]
    for path in seeds:
        shutil.copy(path, folder / f"sound_{path.name}")
        cases.append(Case(SOUND, folder / f"sound_{path.name}", path))
    crafted = list(_crafted(by_name, folder))
    placed = list(hostile.places(folder)) if num_cases >= 20 else []
    step = max(1, -(-len(crafted) // max(1, num_cases // 2 - len(placed))))
    broken: list[Case] = [Case(kind, path) for kind, path in placed]
    for number, (kind, name, data) in enumerate(crafted[::step]):
        path = folder / f"c{number:04d}_{name}"
        path.write_bytes(data() if callable(data) else data)
        broken.append(Case(kind, path, by_name.get(name)))
    num_left = num_cases - len(broken)
    broken += [_by_chance(folder, seeds, seed, number) for number in range(num_left)]
    return cases + broken[:num_cases]


def _crafted(seeds: dict[str, Path], folder: Path) -> Iterator[Crafted]:
    yield from hostile.texts(folder)
    yield from hostile.pictures()
    yield from hostile.containers(seeds["b_frames.mp4"].read_bytes())
    yield from lies(seeds)


def _by_chance(folder: Path, seeds: list[Path], seed: int, number: int) -> Case:
    """Kinds in turn; seeds by chance."""
    rng = np.random.default_rng([seed, number])
    kinds = list(DAMAGES)
    kind = kinds[number % len(kinds)]
    source, other = (seeds[int(rng.integers(len(seeds)))] for _ in range(2))
    if kind == "lying MP4 field":
        boxed = [path for path in seeds if path.suffix in (".mp4", ".mov", ".3gp")]
        source = boxed[int(rng.integers(len(boxed)))]
    path = folder / f"d{number:04d}_{source.name}"
    path.write_bytes(DAMAGES[kind](rng, source.read_bytes(), other.read_bytes()))
    return Case(kind, path, source)
