"""Evaluates a model on one of FER2013's lists: what `videofer evaluate --fer2013` does.

OUT/store/                    the list as the model takes it, kept for the next time
    fer2013/                  an evaluation (see `report`) by FER2013's own labels
    ferplus/                  by the majority of FER+ votes, of a model of the eight classes of FER+
    <labels>_without_copies/  the same without the pictures that the official Training list has as well
    figures.json              accuracy, UAR and the rest of all of these

A model of eight classes never says contempt where it is measured by FER2013's labels, which have none: its
probability is left out and the others are scaled to sum to 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from cache.atomic import atomic_write_text
from cache.reader import StoreReader
from cache.store import Store
from preprocessing.spec import ALIGNMENT, PreprocessSpec
from preprocessing.stills import Progress, pixel_key
from videofer.checkpoint import TrainedModel
from videofer.data.examples import make_examples
from videofer.datasets import ferplus
from videofer.datasets.fer2013 import LABELS, Fer2013, read_fer2013
from videofer.datasets.fer2013_lists import Lists, make_lists
from videofer.datasets.fer2013_store import import_fer2013
from videofer.datasets.manifest import normalise
from videofer.evaluation.metrics import Metrics
from videofer.evaluation.predict import predict_examples
from videofer.evaluation.report import write_report
from videofer.evaluation.results import with_tta
from videofer.evaluation.table import EvaluationError, prob_columns, tta_columns
from videofer.evaluation.tta import WORDS, Views, predict_views

List = Literal["publictest", "privatetest", "val", "training"]
LISTS: tuple[List, ...] = get_args(List)
CONTEMPT = "contempt"

_TITLES = {
    "training": "FER2013, Training without a tenth",
    "val": "FER2013, a tenth of Training",
    "publictest": "FER2013, PublicTest",
    "privatetest": "FER2013, PrivateTest",
}
_LABEL_WORDS = {"fer2013": "FER2013's labels", "ferplus": "majority of FER+ votes"}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The figures by one set of labels, on all pictures or without copies."""

    words: str  # which labels, for people
    labels: tuple[str, ...]
    metrics: dict[str, Metrics]  # per head, the answer last
    tta: dict[str, Metrics] | None  # the same with test-time augmentation, where it was asked for

    @property
    def answer(self) -> str:
        return list(self.metrics)[-1]


@dataclass(frozen=True, kw_only=True)
class Fer2013Report:
    """What an evaluation found."""

    path: Path
    title: str
    evaluations: dict[str, Evaluation]  # named as their folders; first that by the labels the model learned
    notes: list[str]


def evaluate_fer2013(
    model: str | Path | TrainedModel,
    data: Path,
    out: Path,
    *,
    split: List = "publictest",
    device: str | None = None,
    tta: Views | None = None,
    votes: Path | None = None,
    weights_dir: Path | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Fer2013Report:
    """Evaluates a run folder, an exported model or "builtin" on FER2013 in any form (`read_fer2013`).

    split: training and val are the rows that `make_lists` gives. Pictures of a test list that the model was
    trained or validated with must be copies, which the official Training list has as well: the figures
    without copies leave them out. With others it is refused, as everywhere. tta, device: see
    `report.evaluate`. votes: see `read_fer2013`. weights_dir: of the face detector, for models that take
    aligned faces. Raises UserErrors in one line.
    """
    from videofer.export import load_model

    loaded = model if isinstance(model, TrainedModel) else load_model(model, device)
    if loaded.thresholds is not None:
        raise EvaluationError(
            f"{loaded.path} is of data.targets multi, but a picture of FER2013 has one class"
        )
    _check_classes(loaded)
    pictures = read_fer2013(data, votes)
    lists = _rows_of(pictures, split, data)
    seen = _has_seen(loaded, pictures, lists)
    if split in ("publictest", "privatetest"):
        lists = replace(lists, table=_with_what_was_trained_on(lists.table, seen, loaded, split))
    spec = _spec_for(loaded)
    store = Path(out) / "store"
    import_fer2013(pictures, lists, store, spec, weights_dir=weights_dir, progress=progress)
    predictions = _predict(loaded, store, lists.table, tta)
    notes = [*_notes(loaded, lists.table, split, int(seen.sum())), *_placement_notes(store, lists.table)]
    source = {
        "model": loaded.title if loaded.release else str(loaded.path),
        "recipe": loaded.recipe.name,
        "FER2013": str(data),
        "split": split,
        **({} if tta is None else {"test-time augmentation": WORDS[tta]}),
        "date": date.today().isoformat(),
    }
    title = f"{loaded.recipe.name}: {_TITLES[split]}"
    evaluations: dict[str, Evaluation] = {}
    for name, table, labels in _tables(predictions, loaded):
        words = _LABEL_WORDS[name.split("_")[0]] + (", without copies" if name.endswith("copies") else "")
        evaluations[name] = Evaluation(
            words=words,
            labels=tuple(labels),
            metrics=write_report(
                table,
                labels,
                loaded.heads,
                Path(out) / name,
                title=f"{title}, {words}",
                source={**source, "labels": words},
                notes=notes,
            ),
            tta=with_tta(table, labels, loaded.heads),
        )
    figures = {
        "title": title,
        "source": source,
        "notes": notes,
        "evaluations": {name: _to_json(one.metrics) for name, one in evaluations.items()},
        "test_time_augmentation": {
            name: _to_json(one.tta) for name, one in evaluations.items() if one.tta is not None
        },
    }
    text = json.dumps(figures, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    atomic_write_text(Path(out) / "figures.json", text)
    return Fer2013Report(path=Path(out), title=title, evaluations=evaluations, notes=notes)


def _to_json(metrics: Mapping[str, Metrics]) -> dict[str, Any]:
    return {head: one.to_json() for head, one in metrics.items()}


def _check_classes(loaded: TrainedModel) -> None:
    if set(loaded.labels) not in (set(LABELS), set(ferplus.EMOTIONS)):
        raise EvaluationError(
            f"model {loaded.path} has the classes {', '.join(loaded.labels)}; FER2013 measures "
            f"{', '.join(ferplus.EMOTIONS)}, with or without contempt"
        )


def _rows_of(pictures: Fer2013, split: List, data: Path) -> Lists:
    """The rows of one list."""
    lists = make_lists(pictures, test="privatetest" if split == "privatetest" else "publictest")
    wanted = {"training": "train", "val": "val"}.get(split, "test")
    chosen = np.flatnonzero(lists.table["split"] == wanted)
    if not len(chosen):
        raise EvaluationError(f"{data} holds no picture of the list '{split}'")
    return replace(lists, table=lists.table.iloc[chosen].reset_index(drop=True), place=lists.place[chosen])


def _spec_for(loaded: TrainedModel) -> PreprocessSpec:
    """Under which the pictures are what the model takes. EvaluationError where no form of them is."""
    contract = loaded.contract
    shared = {"crop_size": contract["crop_size"], "max_fps": contract["max_fps"]}
    if contract["alignment"] == "precropped":
        return PreprocessSpec.model_validate({**shared, "faces": "precropped", "codec": "plain"})
    if contract["alignment"] == ALIGNMENT:
        return PreprocessSpec.model_validate(shared)
    raise EvaluationError(
        f"model {loaded.path} takes faces aligned as '{contract['alignment']}'; pictures of FER2013 can be "
        f"had as precropped and as {ALIGNMENT}"
    )


def _predict(loaded: TrainedModel, store: Path, rows: pd.DataFrame, tta: Views | None) -> pd.DataFrame:
    """The prediction table of the rows; its labels are FER2013's own."""
    reader = StoreReader(store)
    loaded.check_contract(reader.store.contract, f"store {store}")
    table = normalise(rows.assign(label=rows["fer2013"]), source="FER2013", classes=loaded.labels)
    examples, _ = make_examples(table, reader.videos(), loaded.labels)
    predictions = predict_examples(loaded, reader, examples, manifest=table)
    if tta is not None:
        predictions = predictions.assign(**predict_views(loaded, reader, examples, tta))
    return predictions


def _with_what_was_trained_on(
    rows: pd.DataFrame, seen: np.ndarray, loaded: TrainedModel, split: List
) -> pd.DataFrame:
    """The rows of a test list; `copy` also says so of pictures that only the model knows to be in Training.

    seen: (rows,) bool, see `_has_seen`. A model is trained without the copies of one test list, so that it
    has seen those of the other one; by the official lists, those of both. EvaluationError where pictures
    that it has seen are no copies, or are most of the list.
    """
    copy = rows["copy"].astype("boolean")
    if (seen & ~copy.fillna(value=True)).any() or 2 * seen.sum() > len(rows):
        raise EvaluationError(
            f"model {loaded.path} was trained or validated with {seen.sum()} pictures of '{split}' "
            f"({rows['name'][seen].iloc[0]} first), and they are not just copies of Training's"
        )
    return rows.assign(copy=copy.mask(seen, other=True))


def _has_seen(loaded: TrainedModel, pictures: Fer2013, lists: Lists) -> np.ndarray:
    """(rows,) bool: whether the model was trained or validated with the picture.

    By the official lists a picture of a test list and its copy in Training are two videos, of two keys.
    """
    used = {*loaded.used["keys"]["train"], *loaded.used["keys"]["val"]}
    twins = [pixel_key(image, "training") for image in pictures.images[lists.place]]
    seen = lists.table["key"].isin(used) | pd.Series(twins, index=lists.table.index).isin(used)
    return seen.to_numpy(dtype=bool)


def _notes(loaded: TrainedModel, rows: pd.DataFrame, split: List, num_seen: int) -> list[str]:
    notes = []
    if split == "training":
        notes.append(
            "The model may have been trained on these pictures: the figures say nothing of new ones."
        )
    if split == "val":
        what = loaded.chosen_by_validation.capitalize()
        notes.append(f"{what} may have been chosen on these pictures: on new ones expect less.")
    if CONTEMPT in loaded.labels:
        notes.append("By FER2013's labels, contempt is left out of what the model says: the set has no such.")
        if rows["ferplus"].isna().all():
            notes.append("There are no FER+ votes beside these pictures.")
    if split in ("publictest", "privatetest"):
        if rows["copy"].isna().any():
            notes.append("Copies of training pictures are not known: the Training list is not there.")
        if num_seen:
            notes.append(
                f"The model was trained or validated with {num_seen} of these pictures, as Training has "
                "copies of them: what it is worth on new ones, the figures without copies say."
            )
    return notes


def _placement_notes(store: Path, rows: pd.DataFrame) -> list[str]:
    """What aligned the faces: another detector gives other crops, and so other figures."""
    keys = set(rows["key"])
    videos = [video for video in Store.open(store).videos() if video.key in keys]
    named = {video.provenance["detector"]["name"]: video.provenance["detector"]["reason"] for video in videos}
    if set(named) == {"precropped"}:
        return []
    num_missed = sum(video.persons[0].confidence == 0 for video in videos)
    return [
        f"Faces were aligned by {'; '.join(named[name] for name in sorted(named))}. None was found in "
        f"{num_missed} of {len(videos)} pictures, which are placed like the others."
    ]


def _tables(predictions: pd.DataFrame, loaded: TrainedModel) -> list[tuple[str, pd.DataFrame, Sequence[str]]]:
    """Name of the folder, prediction table and classes of each evaluation, the main one first."""
    found: list[tuple[str, pd.DataFrame, Sequence[str]]] = []
    if CONTEMPT in loaded.labels:
        with_majority = predictions[predictions["ferplus"].notna()]
        if len(with_majority):
            found.append(("ferplus", with_majority.assign(label=with_majority["ferplus"]), loaded.labels))
        found.append(("fer2013", *without_class(predictions, loaded.labels, loaded.heads, CONTEMPT)))
    else:
        found.append(("fer2013", predictions, loaded.labels))
    for name, table, labels in found.copy():
        is_copy = table["copy"].fillna(value=False).astype(bool)
        if is_copy.any():
            found.append((f"{name}_without_copies", table[~is_copy], labels))
    return found


def without_class(
    table: pd.DataFrame, labels: Sequence[str], heads: Sequence[str], left_out: str
) -> tuple[pd.DataFrame, list[str]]:
    """A prediction table, see `table`, whose model never says one class, and the other classes.

    The other probabilities keep their proportions; where they are all 0 they become equal.
    """
    kept = [name for name in labels if name != left_out]
    changed: dict[str, Any] = {}
    dropped: list[str] = []
    for head in heads:
        for columns_of in (prob_columns, partial(prob_columns, raw=True), tta_columns):
            columns, gone = columns_of(head, kept), columns_of(head, [left_out])[0]
            if gone not in table:
                continue
            probs = table[columns].to_numpy(dtype=np.float64)
            total = probs.sum(axis=1, keepdims=True)
            probs = np.where(total > 0, probs / np.where(total > 0, total, 1), 1 / len(kept))
            changed |= dict(zip(columns, probs.T, strict=True))
            dropped.append(gone)
        best = np.stack([changed[name] for name in prob_columns(head, kept)], axis=1).argmax(axis=1)
        changed[f"{head}_label"] = [kept[place] for place in best.tolist()]
    return table.assign(**changed).drop(columns=dropped), kept
