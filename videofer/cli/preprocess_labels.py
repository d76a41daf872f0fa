"""The labels that `videofer preprocess` is given, by a table or by names of folders; where they are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from preprocessing.spec import PreprocessSpec


def labels_of(manifest: Path | None) -> pd.DataFrame | None:
    """The table of labels, read before the work so that a mistake in it shows at once."""
    if manifest is None:
        return None
    from videofer.datasets.manifest import read_manifest

    return read_manifest(manifest)


def others_than(
    table: pd.DataFrame | None, inputs: list[Path], manifest: Path | None
) -> Callable[[Path], bool]:
    """Says of what is in the inputs that the table does not name it. ManifestError if none of it is there."""
    from videofer.datasets.manifest import ManifestError
    from videofer.reproduce.inputs import all_but

    assert table is not None
    names = table["name"].unique().tolist()
    if not any((folder / name).exists() for name in names for folder in inputs):
        shown = ", ".join(str(folder) for folder in inputs[:3])
        raise ManifestError(
            f"{manifest}: none of its {len(names):,} videos is in {shown}: {names[0]!r} and the others "
            "must be relative to the folder given"
        )
    skips = [all_but(folder, names) for folder in inputs]
    return lambda path: all(skip(path) for skip in skips)


def labels_in_folders(inputs: list[Path], spec: PreprocessSpec) -> pd.DataFrame:
    """The table of labels from the names of folders, also before the work."""
    from preprocessing.discover import discover
    from videofer.datasets.manifest import labels_from_folders

    sources, _ = discover(inputs, sidecars=spec.pose == "sidecar", frames_fps=spec.frames_fps)
    return labels_from_folders(sources)


def save_manifest(out: Path, table: pd.DataFrame) -> list[str]:
    """Join labels with the store and keep them there; rows of other videos stay. Returns what is missing."""
    import pandas as pd

    from cache.store import Store
    from videofer.datasets.manifest import join_store

    store = Store.open(out)
    joined, missing = join_store(table, store.videos())
    with store.lock():
        old = store.manifest()
        if old is not None and len(old):
            joined = pd.concat([old[~old["name"].isin(joined["name"])], joined], ignore_index=True)
        store.write_manifest(joined)
    return missing
