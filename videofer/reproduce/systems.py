"""What `videofer reproduce` knows by name: a system, the data set, the protocol, the recipe.

A name is `<system>-<data set>`; those of FER2013 are called like their recipes. `ours-...` is our own model
on a set whose published systems are not built here: their numbers stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.errors import UserError
from preprocessing.config_file import nearest

if TYPE_CHECKING:
    from videofer.experiments.folds import Protocol


class ReproduceError(UserError, ValueError):
    """A system cannot be run again so. The message is one line for the user."""


@dataclass(frozen=True, kw_only=True)
class System:
    """A system on a data set by a protocol."""

    name: str
    title: str  # of the system, for people
    dataset: str  # name of the adapter
    recipe: str  # file below `configs`
    protocol: Protocol  # of `videofer crossval`; official: the folds or the split of the adapter
    num_folds: int = 5  # of kfold
    labels: str = ""  # label set, where it is not the adapter's own
    reproduces: str = ""  # `system` of `reproduce.published`; "": ours, beside all that is reported
    keys: tuple[str, ...] = ()  # of the recipe that this set needs otherwise
    preprocess: tuple[str, ...] = ()  # keys of the preprocessing spec
    options: tuple[str, ...] = ()  # of what the adapter lets choose
    needs: tuple[str, ...] = ()  # likewise what only the user knows
    holdout: int = 0  # every so-manieth take of a class is the test, where the copy names no subjects
    notes: tuple[str, ...] = ()  # what is not as published, beside what the recipe says at its head


_OURS = "our SISTCM with two-stream LSTM"
_SISTCM = "SISTCM with two-stream LSTM"
_BASELINE = "ResNet-18 with two-stream LSTM"
_STILL_PICTURES = ("frames_fps=25",)  # a rate for folders of pictures that have none


def _ours(
    dataset: str,
    protocol: Protocol = "official",
    *,
    name: str = "",
    labels: str = "",
    preprocess: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> System:
    return System(
        name=f"ours-{name or dataset}",
        title=_OURS,
        dataset=dataset,
        recipe="train/face.yaml",
        protocol=protocol,
        labels=labels,
        preprocess=preprocess,
        notes=notes,
    )


def _sistcm(
    dataset: str, protocol: Protocol, *, preprocess: tuple[str, ...] = (), notes: tuple[str, ...] = ()
) -> tuple[System, System]:
    """The published face model and the baseline that it was compared with."""
    sistcm = System(
        name=f"sistcm-{dataset}",
        title=_SISTCM,
        dataset=dataset,
        recipe="train/sistcm_published.yaml",
        protocol=protocol,
        reproduces="FER_BGER",
        preprocess=preprocess,
        notes=notes,
    )
    baseline = System(
        name=f"resnet18-{dataset}",
        title=_BASELINE,
        dataset=dataset,
        recipe="train/resnet18_published.yaml",
        protocol=protocol,
        preprocess=preprocess,
        notes=notes,
    )
    return sistcm, baseline


def _gemep(
    kind: str,
    title: str,
    recipe: str,
    reproduces: str,
    *,
    keys: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Iterator[System]:
    """For both label sets of the literature."""
    for labels in ("gemep7", "gemep12"):
        yield System(
            name=f"{kind}-{labels}",
            title=title,
            dataset="gemep",
            recipe=recipe,
            protocol="lopo",
            labels=labels,
            reproduces=reproduces,
            keys=keys,
            preprocess=_STILL_PICTURES,
            notes=notes,
        )


_LANDMARKS = ("landmarks=mesh",)
_FER2013 = {  # recipe -> title, `system` of the published number
    "cnn": ("CNN of Al-Shabi et al.", "CNN"),
    "cnn_sift": ("CNN with SIFT words", "SIFT-CNN"),
    "cnn_dsift": ("CNN with dense SIFT", "DSIFT-CNN"),
    "vgg": ("small VGG of Al-Shabi et al.", "VGG"),
    "vgg_sift": ("small VGG with SIFT words", "SIFT-VGG"),
    "vgg_dsift": ("small VGG with dense SIFT", "DSIFT-VGG"),
    "all_cnn": ("mean of the three CNNs", "all CNN"),
    "all_vgg": ("mean of the three VGGs", "all VGG"),
    "cnn_and_sift": ("mean of CNN and SIFT-CNN", "CNN and SIFT-CNN"),
    "cnn_and_dsift": ("mean of CNN and DSIFT-CNN", "CNN and DSIFT-CNN"),
    "vgg_and_sift": ("mean of VGG and SIFT-VGG", "VGG and SIFT-VGG"),
    "vgg_and_dsift": ("mean of VGG and DSIFT-VGG", "VGG and DSIFT-VGG"),
    "resnet18": ("ResNet-18", "ResNet18"),
    "vgg19": ("VGG19", "VGG19"),
    "blend": ("VGG19 and ResNet-18, blended by a learned layer", "VGG19 and ResNet18"),
    "arm": ("ARM", "ARM"),
    "scn": ("SCN with landmarks as a second task", "SCN"),
    "best": ("our best single network", ""),
    "best_ensemble": ("our best ensemble", ""),
}

_ALL: tuple[System, ...] = (
    *_sistcm("ck+", "official"),
    *_sistcm("enterface", "loso"),
    *_sistcm("afew", "official"),
    _ours("enterface"),
    _ours("ravdess"),
    _ours("crema-d"),
    _ours("dfew", preprocess=_STILL_PICTURES),
    _ours("ferv39k", preprocess=("faces=precropped", *_STILL_PICTURES)),
    _ours("mafw", preprocess=_STILL_PICTURES),
    _ours("caer", notes=("the face that is longest in the picture is taken for the one that is meant",)),
    _ours("meld", notes=("the face that is longest in the picture is taken for the speaker's",)),
    _ours(
        "iemocap",
        name="iemocap4",
        labels="iemocap4",
        notes=(
            "both speakers are in the picture: the one who is longest there is taken, which may be the other",
        ),
    ),
    System(
        name="multi-bold",
        title="several emotions at once, valence, arousal and dominance, from face and body",
        dataset="bold",
        recipe="train/bold_multi.yaml",
        protocol="official",
        notes=("which track is the person of a row no file says: the one who is longest there is taken",),
    ),
    *_gemep(
        "hybrid",
        "a hybrid of face and body, joined by a linear layer",
        "train/hybrid_whole.yaml",
        "NTUST hybrid",
    ),
    *_gemep(
        "hybrid-small",
        "a small hybrid of face and body, joined by a linear layer",
        "train/hybrid_small.yaml",
        "",
    ),
    *_gemep("joint", "face and body by joint features (Joint-1L)", "train/hybrid_joint.yaml", ""),
    *_gemep(
        "hmt",
        "hierarchical multi-label training (HMT-4)",
        "train/hybrid_hmt.yaml",
        "HMT",
        keys=("model.fusion.branch_labels=same",),
        notes=("the set has no labels of the face or the body alone: both learn the label of the whole",),
    ),
    System(
        name="body-bred",
        title="mean over time of embedded postures",
        dataset="bred",
        recipe="train/hybrid_body.yaml",
        protocol="kfold",
        num_folds=10,
        preprocess=("pose=sidecar", "skeleton=openpose67"),
        needs=("fps", "size"),
        notes=(
            "the set has no pictures: of the published systems only the body's branch can be run again",
            "children are dealt to ten folds evenly by class (published: scikit-learn's GroupKFold)",
        ),
    ),
    System(
        name="accm-emilya",
        title="ACCM on gesture maps with timeline",
        dataset="emilya",
        recipe="train/accm_published.yaml",
        protocol="kfold",
        keys=("model.body.num_joints=28",),
        preprocess=("pose=sidecar", "skeleton=emilya28"),
        needs=("fps",),
        holdout=10,
        notes=("one model for all actions (published: one for each)",),
    ),
    *(
        System(
            name=f"fer2013-{recipe.replace('_', '-')}",
            title=title,
            dataset="fer2013",
            recipe=f"train/fer2013_{recipe}.yaml",
            protocol="official",
            reproduces=reported,
            options=("test=privatetest",),
            preprocess=_LANDMARKS if recipe == "scn" else (),
        )
        for recipe, (title, reported) in _FER2013.items()
    ),
)

SYSTEMS: dict[str, System] = {system.name: system for system in _ALL}
"""Name -> system."""


def system_of(name: str) -> System:
    """The system of that name. ReproduceError in one line."""
    if name in SYSTEMS:
        return SYSTEMS[name]
    guess = nearest(name, list(SYSTEMS))
    hint = f"; did you mean {guess!r}?" if guess else ""
    raise ReproduceError(f"no system is called {name!r}{hint} (`videofer reproduce` lists all)")
