"""The official lists of FER2013 as a manifest: who is trained on, validated and tested with, and copies.

Of the 35,887 pictures 34,034 are distinct, and some occur in two lists. So pictures are grouped by their
pixels: what is in the test split is not trained on, and equal pictures of Training stay on one side. The
validation split is a tenth of the pictures of Training, never a test split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from preprocessing.stills import pixel_key
from videofer.datasets.fer2013 import LABELS, USAGES, Fer2013, Fer2013Error
from videofer.datasets.ferplus import EMOTIONS, majority, soft_labels

LabelSet = Literal["fer2013", "ferplus"]
TestList = Literal["publictest", "privatetest"]

VAL_SHARE = 0.1  # of the distinct pictures of each class of Training


@dataclass(frozen=True, eq=False)
class Lists:
    """A manifest, and which of the pictures its rows are."""

    table: pd.DataFrame  # see `make_lists`
    place: np.ndarray  # (rows,) int64: index into the pictures
    num_dropped: int  # rows of Training whose picture is in the test split


def make_lists(
    data: Fer2013,
    *,
    labels: LabelSet = "fer2013",
    test: TestList = "publictest",
    official_lists: bool = False,
) -> Lists:
    """The manifest of Training and of the list that is the test split; the other list is in neither.

    Columns: name, label, split (train, val, test), key; usage, row (NA where not known), copy (whether a
    picture of a test list occurs in the official Training list; NA where that list is not there), fer2013
    and ferplus (the two labels; NA where there are no votes or no majority); with labels "ferplus" the votes'
    shares `p_<emotion>` too, and `label` is the majority.

    official_lists: nothing is dropped from Training. A picture that is in both lists then is two videos, or
    training would refuse it.
    """
    chosen = data.of("training", test)
    if not len(chosen):
        raise Fer2013Error(f"there are no pictures of Training or of {test}")
    if labels == "ferplus" and chosen.votes is None:
        raise Fer2013Error("labels 'ferplus' need the votes: fer2013new.csv, beside the CSV file or given")
    is_test = chosen.usage != USAGES.index("training")
    pixels = np.array([pixel_key(image) for image in chosen.images])
    keys = pixels
    if official_lists:
        salted = zip(chosen.images, chosen.usage.tolist(), strict=True)
        keys = np.array([pixel_key(image, USAGES[usage]) for image, usage in salted])
    in_training = np.isin(pixels, pixels[~is_test])
    dropped = ~is_test & np.isin(keys, keys[is_test])
    split = np.where(is_test, "test", "train").astype(object)
    trained = np.flatnonzero(split == "train")
    split[trained[_is_val(keys[trained], chosen.label[trained])]] = "val"
    best = [None] * len(chosen) if chosen.votes is None else majority(chosen.votes)
    own = [LABELS[label] for label in chosen.label.tolist()]
    table = pd.DataFrame(
        {
            "name": chosen.names,
            "label": pd.Series(own if labels == "fer2013" else best, dtype=object),
            "subject": pd.Series([None] * len(chosen), dtype=object),
            "split": split,
            "usage": [USAGES[usage] for usage in chosen.usage.tolist()],
            "row": pd.array(np.where(chosen.row < 0, 0, chosen.row), dtype="Int64"),
            "copy": pd.array(is_test & in_training, dtype="boolean"),
            "fer2013": own,
            "ferplus": pd.Series(best, dtype=object),
            "key": keys,
        }
    )
    table.loc[chosen.row < 0, "row"] = pd.NA
    if is_test.all():
        table["copy"] = pd.NA
    if labels == "ferplus" and chosen.votes is not None:
        shares = soft_labels(chosen.votes)
        shares[shares.sum(axis=1) == 0] = np.nan
        for place, name in enumerate(EMOTIONS):
            table[f"p_{name}"] = shares[:, place]
    kept = np.flatnonzero(~dropped)
    places = np.flatnonzero(np.isin(data.usage, [0, USAGES.index(test)]))
    return Lists(table.iloc[kept].reset_index(drop=True), places[kept], int(dropped.sum()))


def _is_val(keys: np.ndarray, label: np.ndarray) -> np.ndarray:
    """keys (n,), label (n,) -> (n,) bool: a tenth of the distinct pictures of each class, the same each time.

    Those with the lowest keys: a key is a hash, so this is a draw, and it depends on no generator.
    """
    distinct, first = np.unique(keys, return_index=True)  # sorted; a picture with two labels counts by one
    chosen = []
    for each in np.unique(label):
        mine = distinct[label[first] == each]
        chosen.append(mine[: round(VAL_SHARE * len(mine))])
    return np.isin(keys, np.concatenate([distinct[:0], *chosen]))
