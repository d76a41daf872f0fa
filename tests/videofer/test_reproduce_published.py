"""Published numbers: of sets and classes that exist, none twice, and right where their parts are known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from videofer.datasets.adapters import ADAPTERS
from videofer.emotions.label_sets import LABEL_SETS
from videofer.reproduce.published import PUBLISHED, Published, published

# Per performer, from the report of the hybrid: face, body, whole.
PERFORMERS = {
    "face": [66.7, 60, 50, 80, 80, 66.7, 66.7, 50, 80, 60],
    "body": [50, 60, 66.7, 60, 40, 50, 50, 66.7, 80, 60],
    "whole": [66.7, 60, 66.7, 80, 60, 66.7, 66.7, 66.7, 80, 60],
}
# Per fold: UAR and WAR, from the READMEs of MAE-DFER and S2D.
FOLDS = {
    ("dfew", "MAE-DFER"): ([62.59, 61.96, 64.00, 63.07, 65.42], [74.88, 72.49, 74.91, 74.05, 75.81]),
    ("dfew", "S2D"): ([61.56, 59.93, 61.33, 62.75, 63.51], [76.16, 73.99, 76.41, 76.31, 77.27]),
    ("mafw", "S2D"): ([32.78, 40.43, 47.01, 45.66, 43.45], [46.76, 55.96, 62.08, 62.61, 59.42]),
    ("mafw", "S2D, oversampled"): ([36.16, 41.94, 48.08, 47.67, 43.16], [44.21, 51.22, 61.48, 60.64, 58.55]),
}
# The confusion matrix in MAE-DFER's log of FERV39k: rows are the truth.
FERV39K = np.array([
    [1076, 57, 201, 59, 40, 33, 7], [91, 752, 228, 183, 51, 45, 43], [180, 205, 1158, 245, 71, 63, 36],
    [56, 197, 310, 750, 81, 54, 39], [78, 63, 138, 116, 192, 17, 34], [56, 75, 98, 114, 27, 84, 13],
    [26, 113, 89, 70, 39, 20, 74],
])  # fmt: skip


def value(dataset: str, system: str, metric: str, **more: str) -> float:
    found = [
        one.value
        for one in published(dataset, system)
        if one.metric == metric and all(getattr(one, key) == wanted for key, wanted in more.items())
    ]
    (only,) = found
    return only


def test_they_are_of_data_sets_and_labels_that_exist() -> None:
    assert {one.dataset for one in PUBLISHED} <= set(ADAPTERS)
    assert {one.labels for one in PUBLISHED} <= {"", *LABEL_SETS}


def test_none_is_there_twice() -> None:
    seen = Counter((one.system, one.dataset, one.labels, one.branch, one.metric) for one in PUBLISHED)
    assert [key for key, count in seen.items() if count > 1] == []


def test_each_has_a_source_and_is_no_percentage() -> None:
    assert all(one.source and 0 < one.value < 1 for one in PUBLISHED)


def test_a_protocol_that_nobody_repeats_is_explained() -> None:
    assert all(one.note for one in PUBLISHED if one.protocol == "other")
    with pytest.raises(AssertionError):
        Published("x", "dfew", "other", "war", 0.5, "somewhere")


def test_a_percentage_is_refused() -> None:
    with pytest.raises(AssertionError):
        Published("x", "dfew", "official", "war", 66.0, "somewhere")


@pytest.mark.parametrize("branch", PERFORMERS)
def test_the_hybrids_numbers_are_the_means_of_its_performers(branch: str) -> None:
    mean = float(np.mean(PERFORMERS[branch])) / 100
    assert value("gemep", "NTUST hybrid", "war", labels="gemep7", branch=branch) == pytest.approx(
        mean, abs=2e-4
    )


@pytest.mark.parametrize(("dataset", "system"), FOLDS)
def test_a_number_of_folds_is_their_mean(dataset: str, system: str) -> None:
    uar, war = (float(np.mean(values)) / 100 for values in FOLDS[dataset, system])
    assert value(dataset, system, "uar") == pytest.approx(uar, abs=1e-4)
    assert value(dataset, system, "war") == pytest.approx(war, abs=1e-4)


def test_mae_dfer_on_ferv39k_is_what_its_confusion_matrix_says() -> None:
    hits, truth, said = np.diag(FERV39K), FERV39K.sum(axis=1), FERV39K.sum(axis=0)
    assert value("ferv39k", "MAE-DFER", "war") == pytest.approx(hits.sum() / truth.sum(), abs=1e-4)
    assert value("ferv39k", "MAE-DFER", "uar") == pytest.approx(float(np.mean(hits / truth)), abs=1e-4)
    assert value("ferv39k", "MAE-DFER", "f1") == pytest.approx(
        float(np.mean(2 * hits / (truth + said))), abs=1e-4
    )


def test_a_system_is_picked_and_an_unknown_one_has_no_numbers() -> None:
    assert {one.system for one in published("mafw", "S2D")} == {"S2D"}
    assert published("mafw", "nobody") == published("emilya") == ()
