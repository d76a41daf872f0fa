"""How the systems of docs/fer2013.md were trained on 4 cores: what differs from the recipes, made for a GPU.

Few epochs, some on smaller pictures or from the trunk of another system: 5 to 65 minutes a net.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One training of a net. Stages of one net follow each other, each begins with the trunk before it."""

    settings: tuple[str, ...]  # on top of the recipe
    trunk_of: str | None = None  # of the first stage: another system, whose trunk it begins with


_BRIEF = ("training.warmup_epochs=0.3", "training.ema_decay=0.995")  # a few epochs after another training
_ADAMW = (  # the gradient descent of the recipe does not leave the most frequent class in two epochs
    "training.optimizer=adamw",
    "training.nesterov=false",
    "training.weight_decay=0.02",
    "model.face.dropout=0.3",
)
_BEST = (
    "model.face.stem=imagenet",  # of 96 pixels: 24 behind the stem, a quarter of the work of 48
    "model.face.input_size=96",
    "model.face.dropout=0.2",  # less against learning by heart, for which the time is too short
    "training.augment.mix=0.3",
    "training.augment.erase=0.2",
    "training.ema_decay=0.998",
)

EVERY = ("training.amp=bf16", "training.loader_workers=0")
"""Of every net: bfloat16 is twice as fast on a CPU that has it, and slower on one that has not."""

FEW_EPOCHS: dict[str, tuple[Stage, ...]] = {
    "cnn": (Stage(("training.epochs=45", "training.lr=0.003")),),
    "cnn_sift": (Stage(("training.epochs=40",)),),
    "cnn_dsift": (Stage(("training.epochs=35",)),),
    "vgg": (Stage(("training.epochs=14", "training.ema_decay=0.998")),),
    "vgg_sift": (Stage(("training.epochs=12", "training.ema_decay=0.998")),),
    "vgg_dsift": (Stage(("training.epochs=12", "training.ema_decay=0.998")),),
    "resnet18": (
        Stage(("training.epochs=7", "model.face.input_size=36", "training.ema_decay=0.995")),
        Stage(("training.epochs=3", "training.lr=0.02", *_BRIEF)),
    ),
    "vgg19": (
        Stage(
            (
                "training.epochs=8",
                "training.lr=0.001",
                "training.warmup_epochs=0.5",
                "training.ema_decay=0.995",
                "model.face.input_size=36",
                *_ADAMW,
            )
        ),
        Stage(("training.epochs=4", "training.lr=0.0005", *_ADAMW, *_BRIEF)),
    ),
    "scn": (
        Stage(
            (
                "training.epochs=4",
                "training.lr=0.001",
                "model.face.scn.relabel_epoch=2",
                "model.face.std=[0.25,0.25,0.25]",  # as the trunk had it
                *_BRIEF,
            ),
            trunk_of="resnet18",
        ),
    ),
    "arm": (Stage(("training.epochs=4", "training.lr=0.02", *_BRIEF), trunk_of="resnet18"),),
    "best": (Stage(("training.epochs=40", "training.warmup_epochs=2.0", *_BEST)),),
    "best_ferplus": (
        Stage(("training.epochs=6", "training.warmup_epochs=0.5", "training.lr=0.03", *_BEST), "best"),
    ),
    "best_seed1": (Stage(("training.epochs=10", "training.warmup_epochs=1.0", *_BEST)),),
    "best_seed2": (Stage(("training.epochs=10", "training.warmup_epochs=1.0", *_BEST)),),
}
"""Net -> its trainings."""

WITHOUT: dict[str, tuple[str, ...]] = {
    "best_ensemble": ("fer2013_vgg19", "fer2013_vgg_sift", "fer2013_vgg_dsift"),
}
"""Ensemble -> members that it has to do without: they take pictures of 48 pixels, `best` takes 96 here."""
