"""Makes a run the built-in model: weights in half precision, measured, with its card, tests and docs.

    python -m tools.release_builtin RUN --fer2013 PATH [--version 1.0] [--store STORE] [--weights-dir DIR]

RUN: a model of single frames, see `tools/train_builtin.py`. PATH: FER2013 with the votes of FER+, in any form
that `videofer datasets fer2013` takes; only its PublicTest is measured. STORE: an aligned store of it whose
test split is PublicTest (default: `store` beside RUN); where there is none, it is made. Writes

    videofer/builtin/model/           the model folder that is shipped, with figures.json
    docs/builtin-model.md             its card, and docs/images/builtin_confusion.png
    tests/videofer/builtin_faces.json what it says of the synthetic faces, to which tests hold it

Run it on an idle machine: the card states the time that a batch takes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

from cache.atomic import atomic_write
from tools.builtin.card import card, docs_page
from tools.builtin.faces import faces_of
from tools.builtin.measure import Faces, against_ferplus, figures_of, probabilities, public_test
from tools.builtin.pack import pack
from videofer.builtin import FOLDER
from videofer.checkpoint import LoadedModel, json_text, load_checkpoint, read_json

PAGE, PICTURE = Path("docs/builtin-model.md"), Path("docs/images/builtin_confusion.png")
EXPECTED = Path("tests/videofer/builtin_faces.json")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--fer2013", type=Path, required=True)
    parser.add_argument("--version", default="1.0")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--weights-dir", type=Path)
    given = parser.parse_args()
    print(release(given.run, given.version, given.fer2013, store=given.store, weights_dir=given.weights_dir))


def release(
    run: Path, version: str, fer2013: Path, *, store: Path | None = None, weights_dir: Path | None = None
) -> str:
    """Does all of it, from the root of the repository, and returns the card."""
    with tempfile.TemporaryDirectory() as temp:
        made = Path(temp) / "model"
        pack(run, made, version)
        store = store or run.parent / "store"
        if not (store / "store.json").exists():
            store = Path(temp) / "store"
            store_public_test(fer2013, store, weights_dir)
        model = load_checkpoint(made)
        faces = public_test(store)
        (made / "figures.json").write_text(json_text(figures_of(model, faces)), "utf-8")
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(made, FOLDER)
        text = write_card()
        draw_confusion(model, probabilities(model, faces.crops), faces)
    said = probabilities(load_checkpoint(FOLDER), faces_of())
    rows = ",\n  ".join(json.dumps([round(value, 6) for value in row]) for row in said.tolist())
    EXPECTED.write_text(
        f'{{"classes": {json.dumps(list(model.labels))}, "probabilities": [\n  {rows}\n]}}\n', "utf-8"
    )
    return text


def store_public_test(data: Path, store: Path, weights_dir: Path | None) -> None:
    """The aligned faces of PublicTest in a new store; which of them are copies, Training tells."""
    from videofer.datasets.fer2013 import read_fer2013
    from videofer.datasets.fer2013_lists import Lists, make_lists
    from videofer.datasets.fer2013_store import aligned_spec, import_fer2013

    found = read_fer2013(data)
    lists = make_lists(found, labels="ferplus", test="publictest")
    test = (lists.table["split"] == "test").to_numpy()
    lists = Lists(lists.table[test].reset_index(drop=True), lists.place[test], lists.num_dropped)
    import_fer2013(found, lists, store, aligned_spec(), weights_dir=weights_dir)


def write_card() -> str:
    """The card of the built-in model and its page, anew from the figures that were measured."""
    text = card_of(load_checkpoint(FOLDER), FOLDER)
    (FOLDER / "README.md").write_text(text, "utf-8")
    PAGE.write_text(docs_page(text), "utf-8")
    return text


def card_of(model: LoadedModel, folder: Path) -> str:
    """The card of a model folder, from all the others of its files."""
    assert model.release is not None
    return card(
        model.recipe,
        model.release,
        read_json(folder / "metrics.json"),
        read_json(folder / "figures.json"),
        num_parameters=sum(parameter.numel() for parameter in model.model.parameters()),
        num_bytes=sum(path.stat().st_size for path in folder.iterdir() if path.name != "README.md"),
    )


def draw_confusion(model: LoadedModel, probs: np.ndarray, faces: Faces) -> None:
    from videofer.evaluation.charts import save_confusion

    metrics = against_ferplus(probs, model.labels, faces)
    with atomic_write(PICTURE) as file:
        save_confusion(metrics, file, f"The built-in model on PublicTest ({metrics.num_samples:,} pictures)")


if __name__ == "__main__":
    main()
