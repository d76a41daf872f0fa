"""The data sets that are known: by name, and by what a folder looks like."""

from __future__ import annotations

from pathlib import Path

from preprocessing.config_file import nearest
from videofer.datasets.adapter import Adapter, DatasetError, Reading, what_is_in
from videofer.datasets.adapters.afew import Afew
from videofer.datasets.adapters.bold import Bold
from videofer.datasets.adapters.bred import Bred
from videofer.datasets.adapters.caer import Caer
from videofer.datasets.adapters.ck_plus import CkPlus
from videofer.datasets.adapters.crema_d import CremaD
from videofer.datasets.adapters.dfew import Dfew
from videofer.datasets.adapters.emilya import Emilya
from videofer.datasets.adapters.enterface import Enterface
from videofer.datasets.adapters.fer2013 import Fer2013Adapter
from videofer.datasets.adapters.ferv39k import Ferv39k
from videofer.datasets.adapters.gemep import Gemep
from videofer.datasets.adapters.generic import Folders, ListFile, Table
from videofer.datasets.adapters.iemocap import Iemocap
from videofer.datasets.adapters.mafw import Mafw
from videofer.datasets.adapters.meld import Meld
from videofer.datasets.adapters.ravdess import Ravdess
from videofer.datasets.walk import files_of

_TABLES = (".csv", ".tsv", ".parquet", ".jsonl", ".txt", ".lst", ".list")
_ALL: tuple[Adapter, ...] = (
    Ravdess(), CremaD(), Enterface(), CkPlus(), Dfew(), Ferv39k(), Mafw(), Afew(), Caer(), Meld(), Iemocap(),
    Bold(), Bred(), Gemep(), Emilya(), Fer2013Adapter(), Folders(), Table(), ListFile(),
)  # fmt: skip

ADAPTERS: dict[str, Adapter] = {adapter.name: adapter for adapter in _ALL}
"""Name -> adapter. Of those that recognise a folder the first is taken, so the general ones are last."""


def recognise(path: Path) -> list[tuple[Adapter, str]]:
    """The adapters that take a folder or file for theirs, and why; the best first."""
    found = ((adapter, adapter.recognise(path)) for adapter in ADAPTERS.values())
    return [(adapter, why) for adapter, why in found if why is not None]


def adapter_of(path: Path, name: str | None = None) -> Adapter:
    """The adapter of that name, else the one that recognises the path. DatasetError in one line."""
    if not path.exists():
        raise DatasetError(f"{path}: no such file or folder")
    if not (path.is_file() or path.is_dir()):
        raise DatasetError(f"{path}: neither a file nor a folder")
    if name is not None:
        if name in ADAPTERS:
            return ADAPTERS[name]
        guess = nearest(name.lower(), list(ADAPTERS))
        hint = f"; did you mean {guess!r}?" if guess else ""
        raise DatasetError(f"no data set is called {name!r}{hint} (known: {', '.join(ADAPTERS)})")
    found = recognise(path)
    if not found:
        tables = files_of(path, _TABLES) if path.is_dir() else []
        hint = f"is {tables[0]} a table or list of videos? then give that; else " if tables else ""
        raise DatasetError(
            f"{path}: no known data set is recognised; {what_is_in(path)}; {hint}name it with --name "
            f"({', '.join(ADAPTERS)})"
        )
    return found[0][0]


def read(path: Path, name: str | None = None) -> Reading:
    """A copy of a data set as a manifest, with its report. DatasetError, ManifestError in one line."""
    return adapter_of(path, name).read(path)
