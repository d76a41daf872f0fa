"""What publications report on the data sets that videofer reads: the numbers to set one's own beside.

Each is a share (0.66, not 66 %), with the place it was read in and the protocol it was made by. Those of
protocol `other` cannot be set beside a run of videofer, as no run repeats it; `note` says what it is. Some
were chosen on the test fold (`on_test`, where that is known): no run of videofer is, so expect it lower.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Metric = Literal["war", "uar", "f1", "map", "mra", "r2", "ers", "ccc"]
Protocol = Literal["official", "lopo", "loso", "kfold", "other"]
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
_MEAN = "WAR: mean of the folds; UAR: read off its figure"
_BGER = "github.com/Janie1996/FER_BGER123, script of its confusion matrices"
_UNNAMED = "which model is not said"
_LIST = "github.com/zengqunzhao/Awesome-Dynamic-Facial-Expression-Recognition"
_S2D = "github.com/MSA-LMC/S2D"
_S4D = "arXiv 2409.06154"
_LAST = "the last epoch's model, by its log"
_BOLD = "github.com/GiannisPikoulis/FG2021-BoLD"
_WORDS = "github.com/chiehhsi/Expression_Recognition"
_NO_LIST = "on which list is not found"
_BLOG = "a blog on a blend of VGG19 and ResNet-18"

# fmt: off
_ACTED = (
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
            labels="gemep12", branch="face", note="arXiv 1901.01805, as quoted there"),
    *_table("gemep", "lopo", _NTUST, {"HMT": {"war": 0.34}},
            labels="gemep12", branch="body", note="arXiv 1901.01805, as quoted there"),
    *_table("gemep", "lopo", _NTUST, {"HMT": {"war": 0.51}},
            labels="gemep12", branch="whole", note="arXiv 1901.01805, as quoted there"),
    *_table("ck+", "official", _BGER, {"FER_BGER": {"war": 0.9728, "uar": 0.9649}},
            note=_UNNAMED, on_test=True),
    *_table("ck+", "official", "arXiv 1907.00193", {"FAN": {"war": 0.9969}}),
    *_table("ck+", "other", "arXiv 1608.02833", {"CNN-SIFT aggregator": {"war": 0.9935}},
            note="which sequences and folds is not found"),
    *_table("enterface", "loso", _BGER, {"FER_BGER": {"uar": 0.66}}, note=_UNNAMED, on_test=True),
    *_table("ravdess", "other", "doi.org/10.3390/s21227665", {"STN and bi-LSTM": {"war": 0.8008}},
            note="with sound; five folds of whole actors"),
    *_table("ravdess", "other", "CEUR-WS 2744, paper 32", {"landmark distances": {"war": 0.989}},
            note="how actors are divided is not found"),
    *_table("crema-d", "other", "CEUR-WS 2744, paper 32", {"landmark distances": {"war": 0.791}},
            note="how actors are divided is not found"),
    *_table("crema-d", "other", "doi.org/10.1109/TAFFC.2014.2336244", {"2,443 people": {"war": 0.582}},
            note="what raters saw without sound against what the actor meant", branch="whole"),
    *_table("bred", "other", _BGER, {"FER_BGER": {"uar": 0.5}},
            note=f"six classes; folds not found; {_UNNAMED}"),
)

_FOUND = (  # in films, series and on the web
    *_table("dfew", "official", "github.com/jiangxingxun/DFEW", {
        "r3d_18": {"war": 0.5570, "uar": 0.4511},
        "mc3_18": {"war": 0.5702, "uar": 0.4650},
        "I3D": {"war": 0.5924, "uar": 0.4761},
    }),
    *_table("dfew", "official", _LIST, {
        "3D ResNet-18": {"war": 0.5827, "uar": 0.4652},
        "ResNet-18 and LSTM": {"war": 0.6385, "uar": 0.5132},
        "ResNet-18 and GRU": {"war": 0.6402, "uar": 0.5168},
        "EC-STFL": {"war": 0.5651, "uar": 0.4535},
        "Former-DFER": {"war": 0.6570, "uar": 0.5369},
        "EST": {"war": 0.6585, "uar": 0.5343},
        "STT": {"war": 0.6665, "uar": 0.5458},
        "NR-DFERNet": {"war": 0.6819, "uar": 0.5421},
        "GCA and IAL": {"war": 0.6924, "uar": 0.5571},
        "DPCNet": {"war": 0.6632, "uar": 0.5711},
    }),
    *_table("dfew", "official", "github.com/sunlicai/MAE-DFER", {"MAE-DFER": {"war": 0.7443, "uar": 0.6341}}),
    *_table("dfew", "official", _S2D, {"S2D": {"war": 0.7603, "uar": 0.6182}}),
    *_table("dfew", "official", _S2D, {"S2D, oversampled": {"war": 0.7481, "uar": 0.6545}},
            note="the mean of the WAR of its five folds is 75.01"),
    *_table("dfew", "official", _S4D, {"S4D": {"war": 0.7668}}),
    *_table("ferv39k", "official", _LIST, {
        "C3D": {"war": 0.3169, "uar": 0.2268},
        "3D ResNet-18": {"war": 0.3757, "uar": 0.2667},
        "ResNet-18 and LSTM": {"war": 0.4259, "uar": 0.3092},
        "VGG13 and LSTM": {"war": 0.4337, "uar": 0.3242},
        "two VGG13 and LSTM": {"war": 0.4454, "uar": 0.3279},
        "STT": {"war": 0.4811, "uar": 0.3776},
        "NR-DFERNet": {"war": 0.4597, "uar": 0.3399},
        "GCA and IAL": {"war": 0.4854, "uar": 0.3582},
    }),
    *_table("ferv39k", "official", "github.com/zengqunzhao/Former-DFER",
            {"Former-DFER": {"war": 0.4572, "uar": 0.3688}}, note="others quote 46.85 and 37.20"),
    *_table("ferv39k", "official", "github.com/sunlicai/MAE-DFER",
            {"MAE-DFER": {"war": 0.5207, "uar": 0.4312, "f1": 0.4366}}, note=_LAST),
    *_table("ferv39k", "official", _S2D, {
        "S2D": {"war": 0.5256, "uar": 0.4128},
        "S2D, oversampled": {"war": 0.4621, "uar": 0.4397},
    }),
    *_table("ferv39k", "official", _S4D, {"S4D": {"war": 0.5365}}),
    *_table("mafw", "official", _LIST, {
        "ResNet-18": {"war": 0.3665, "uar": 0.2558},
        "ViT": {"war": 0.4504, "uar": 0.3236},
        "C3D": {"war": 0.4225, "uar": 0.3117},
        "ResNet-18 and LSTM": {"war": 0.3938, "uar": 0.2808},
        "ViT and LSTM": {"war": 0.4556, "uar": 0.3267},
        "C3D and LSTM": {"war": 0.4376, "uar": 0.2975},
        "T-ESFL": {"war": 0.4818, "uar": 0.3328},
    }),
    *_table("mafw", "official", "github.com/HumanMLLM/HumanOmni", {
        "DFER-CLIP": {"war": 0.5255, "uar": 0.3889},
        "MAE-DFER": {"war": 0.5431, "uar": 0.4162},
    }, note="as quoted there"),
    *_table("mafw", "official", _S2D, {
        "S2D": {"war": 0.5737, "uar": 0.4186},
        "S2D, oversampled": {"war": 0.5522, "uar": 0.4340},
    }),
    *_table("mafw", "official", _S4D, {"S4D": {"war": 0.5844}}),
    *_table("afew", "official", _LIST, {
        "C3D": {"war": 0.4672, "uar": 0.4375},
        "I3D": {"war": 0.4541, "uar": 0.4186},
        "R(2+1)D": {"war": 0.4619, "uar": 0.4289},
        "3D ResNet-18": {"war": 0.4567, "uar": 0.4214},
        "ResNet-18 and LSTM": {"war": 0.4882, "uar": 0.4396},
        "EC-STFL": {"war": 0.5326},
        "STT": {"war": 0.5423, "uar": 0.4911},
        "NR-DFERNet": {"war": 0.5354, "uar": 0.4837},
    }, note="trained on a fold of DFEW first"),
    *_table("afew", "official", _LIST, {"Former-DFER": {"war": 0.5092, "uar": 0.4742}}, on_test=True,
            note="trained on a fold of DFEW first; by its log the best epoch on Val"),
    *_table("afew", "official", _LIST, {
        "EST": {"war": 0.5426, "uar": 0.4957},
        "DPCNet": {"war": 0.5167, "uar": 0.4786},
    }, note="what it was trained on first is not said"),
    *_table("afew", "official", "arXiv 1907.00193", {"FAN": {"war": 0.5118}}),
    *_table("afew", "other", "arXiv 1808.02668", {"Vielzeuf et al.": {"war": 0.6064}},
            note="with sound; the list whose labels are not public"),
    *_table("caer", "official", "arXiv 1908.05913", {"CAER-Net": {"war": 0.7704}}, branch="whole",
            note="the face and the picture around it"),
    *_table("bold", "official", _BOLD, {
        "TSN on pictures": {"ers": 0.2590},
        "TSN on flow": {"ers": 0.2408},
        "both TSNs and ST-GCN": {"ers": 0.2882},
    }, branch="whole", note="body, face and the picture around them"),
    *_table("bold", "official", _BOLD, {"ST-GCN": {"ers": 0.2237}}, branch="body"),
    *_table("bold", "other", "arXiv 2010.16396", {
        "Filntisis et al.": {"ers": 0.26235}, "the best before it": {"ers": 0.2530},
    }, branch="whole", note="the list whose labels are not public"),
)

_STILLS = (
    *_table("fer2013", "other", _WORDS, {
        "CNN": {"war": 0.6255}, "SIFT-CNN": {"war": 0.6124}, "DSIFT-CNN": {"war": 0.5899},
        "VGG": {"war": 0.6675}, "SIFT-VGG": {"war": 0.6666}, "DSIFT-VGG": {"war": 0.6769},
        "CNN and SIFT-CNN": {"war": 0.6489}, "CNN and DSIFT-CNN": {"war": 0.6354},
        "all CNN": {"war": 0.6507}, "VGG and SIFT-VGG": {"war": 0.6920},
        "VGG and DSIFT-VGG": {"war": 0.6945}, "all VGG": {"war": 0.7037},
    }, note="tested on a random fifth of all pictures"),
    *_table("fer2013", "other", "arXiv 1608.02833", {"CNN-SIFT aggregator": {"war": 0.7358}}, note=_NO_LIST),
    *_table("fer2013", "other", "arXiv 2105.03588", {"VGGNet, tuned": {"war": 0.7328}}, note=_NO_LIST),
    *_table("fer2013", "other", _BLOG, {"ResNet18": {"war": 0.557}, "VGG19": {"war": 0.589}},
            note="official lists; which of the two for tests is the test is not said"),
    *_table("fer2013", "other", _BLOG, {"VGG19 and ResNet18": {"war": 0.66}},
            note="of 106 pictures for validation that it lists"),
    *_table("fer2013", "other", "arXiv 2103.10189 v1", {"ARM": {"war": 0.7138}}, on_test=True,
            note=f"{_NO_LIST}; a picture's score depends on the others of its batch"),
)
# fmt: on

PUBLISHED: tuple[Published, ...] = (*_ACTED, *_FOUND, *_STILLS)
"""All numbers. Not found: any for MELD and IEMOCAP from pictures alone, and for Emilya; those of MAE-DFER on
RAVDESS, CREMA-D and eNTERFACE'05, whose lists the adapters take; those of HMT on BRED."""


def published(dataset: str, system: str | None = None) -> tuple[Published, ...]:
    """The numbers on a data set (name of its adapter), of one system or of all; empty where none is known."""
    return tuple(one for one in PUBLISHED if one.dataset == dataset and system in (None, one.system))
