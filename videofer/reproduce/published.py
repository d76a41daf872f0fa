"""What publications report on the data sets that videofer reads: the numbers to set one's own beside.

Each is a share (0.66, not 66 %), with the place it was read in and the protocol it was made by. Only those of
`official`, `lopo` and `kfold` can be set beside a run of videofer by that protocol; `other` is one that no
run repeats, and `note` says what it is. Many were chosen on the test fold (`on_test`): no run of videofer is,
so it is expected to be lower.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Metric = Literal["war", "uar", "f1", "map", "mra", "r2", "ers", "ccc"]
Protocol = Literal["official", "lopo", "kfold", "other"]
Branch = Literal["face", "body", "whole"]


@dataclass(frozen=True)
class Published:
    """One reported number."""

    system: str
    dataset: str  # name of the adapter
    protocol: Protocol  # official: the folds or the split of the adapter; other: `note` says which
    metric: Metric  # war: accuracy; uar: mean recall over classes; ers: BoLD's score
    value: float  # a share, for ERS and CCC as defined
    source: str  # paper, arXiv number or repository it was read in
    note: str = ""
    labels: str = ""  # label set, where it is not the one of the adapter
    branch: Branch = "face"  # what the system looks at; whole: face and body, or the whole picture
    on_test: bool = False  # known to be the best of several on the test fold

    def __post_init__(self) -> None:
        assert 0 <= self.value <= 1, self
        assert self.note or self.protocol != "other", self


def _table(
    dataset: str,
    protocol: Protocol,
    source: str,
    rows: Mapping[str, Mapping[Metric, float]],
    *,
    note: str = "",
    labels: str = "",
    branch: Branch = "face",
    on_test: bool = False,
) -> Iterable[Published]:
    """The numbers of a table: system -> metric -> value."""
    for system, values in rows.items():
        for metric, value in values.items():
            yield Published(
                system, dataset, protocol, metric, value, source, note, labels, branch, on_test=on_test
            )


_NTUST = "github.com/bernie6401/NTUST_Special_Topic, report"
_BGER = "github.com/Janie1996/FER_BGER123, script of its confusion matrices"
_UNNAMED = "which model is not said"
_BOLD = "github.com/GiannisPikoulis/FG2021-BoLD"
_S2D = "github.com/MSA-LMC/S2D"
_WORDS = "github.com/chiehhsi/Expression_Recognition"
_MEAN = "WAR: mean of the folds; UAR: from its figure"

# fmt: off
PUBLISHED: tuple[Published, ...] = (
    *_table("gemep", "lopo", _NTUST, {"NTUST hybrid": {"war": 0.66, "uar": 0.557}},
            labels="gemep7", branch="face", on_test=True, note=_MEAN),
    *_table("gemep", "lopo", _NTUST, {"NTUST hybrid": {"war": 0.5833, "uar": 0.5}},
            labels="gemep7", branch="body", on_test=True, note=_MEAN),
    *_table("gemep", "lopo", _NTUST, {"NTUST hybrid": {"war": 0.6734, "uar": 0.586}},
            labels="gemep7", branch="whole", on_test=True, note=_MEAN),
    *_table("gemep", "lopo", _NTUST, {"NTUST hybrid": {"war": 0.5083}},
            labels="gemep12", branch="face", on_test=True),
    *_table("gemep", "lopo", _NTUST, {"NTUST hybrid": {"war": 0.525}},
            labels="gemep12", branch="body", on_test=True),
    *_table("gemep", "lopo", _NTUST, {"NTUST hybrid": {"war": 0.6083}},
            labels="gemep12", branch="whole", on_test=True),
    *_table("gemep", "lopo", _NTUST, {"HMT": {"war": 0.43}},
            labels="gemep12", branch="face", note="as quoted there"),
    *_table("gemep", "lopo", _NTUST, {"HMT": {"war": 0.34}},
            labels="gemep12", branch="body", note="as quoted there"),
    *_table("gemep", "lopo", _NTUST, {"HMT": {"war": 0.51}},
            labels="gemep12", branch="whole", note="as quoted there"),
    *_table("ck+", "official", _BGER, {"FER_BGER": {"war": 0.9728, "uar": 0.9649}},
            note=_UNNAMED, on_test=True),
    *_table("enterface", "other", _BGER, {"FER_BGER": {"uar": 0.66}},
            note=f"a subject left out in turn; {_UNNAMED}"),
    *_table("bred", "other", _BGER, {"FER_BGER": {"uar": 0.5}},
            note=f"six classes; folds not found; {_UNNAMED}"),
    *_table("bold", "official", _BOLD, {
        "TSN on RGB": {"ers": 0.2590}, "TSN on flow": {"ers": 0.2408}, "TSN and ST-GCN": {"ers": 0.2882},
    }, branch="whole"),
    *_table("bold", "official", _BOLD, {"ST-GCN": {"ers": 0.2237}}, branch="body"),
    *_table("bold", "other", "arXiv 2010.16396", {"Filntisis et al. 2020": {"ers": 0.26235}},
            branch="whole", note="the hidden test list"),
    *_table("dfew", "official", _S2D, {
        "r3d_18": {"war": 0.5570, "uar": 0.4511},
        "mc3_18": {"war": 0.5702, "uar": 0.4650},
        "I3D": {"war": 0.5924, "uar": 0.4761},
    }),
    *_table("dfew", "official", "arXiv 2307.02227", {"MAE-DFER": {"war": 0.7443, "uar": 0.6341}},
            on_test=True),
    *_table("ferv39k", "official", _S2D, {
        "Former-DFER": {"war": 0.4572, "uar": 0.3688},
        "S2D": {"war": 0.5256, "uar": 0.4128},
    }),
    *_table("fer2013", "other", _WORDS, {
        "CNN": {"war": 0.6255}, "SIFT-CNN": {"war": 0.6124}, "DSIFT-CNN": {"war": 0.5899},
        "VGG": {"war": 0.6675}, "SIFT-VGG": {"war": 0.6666}, "DSIFT-VGG": {"war": 0.6769},
        "CNN and SIFT-CNN": {"war": 0.6489}, "CNN and DSIFT-CNN": {"war": 0.6354},
        "all CNN": {"war": 0.6507}, "VGG and SIFT-VGG": {"war": 0.6920},
        "VGG and DSIFT-VGG": {"war": 0.6945}, "all VGG": {"war": 0.7037},
    }, note="tested on a random fifth of all pictures, no official list"),
    *_table("fer2013", "other", "arXiv 2103.10189 v1", {"ARM": {"war": 0.7138}}, on_test=True,
            note="which list is not found; the batch mixes into each picture's score"),
)
# fmt: on
"""All numbers."""


def published(dataset: str, system: str | None = None) -> tuple[Published, ...]:
    """The numbers on a data set (name of its adapter), of one system or of all; empty where none is known."""
    return tuple(one for one in PUBLISHED if one.dataset == dataset and system in (None, one.system))
