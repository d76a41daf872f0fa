"""The face model: a trunk, the two-stream LSTM over its clips, and one proper probability out of the heads.

Letters in shapes: B samples, C clips, N = B*C clips, K frames, S crop side, F features, n classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.cnn import CNNTrunk
from videofer.models.descriptors import BagOfWords, Descriptor
from videofer.models.grey import brightness
from videofer.models.landmarks import LandmarkHead
from videofer.models.layout import for_convolutions
from videofer.models.resnet import Stem
from videofer.models.scn import ScnConfig
from videofer.models.sistcm import ViewMerge
from videofer.models.stn import SpatialTransformer
from videofer.models.targets import Targets, log_probs_of, logits_of
from videofer.models.tlstm import HEADS, ClipAverage, Head, TwoStreamLSTM
from videofer.models.trunks import Trunk, check_trunk, make_trunk

Score = Literal["fitted", "published_sistcm", "published_baseline"]
Align = Literal["none", "stn"]

_PART = 256  # clips that are prepared at once

NEEDED_HEADS: dict[Score, tuple[Head, ...]] = {
    "fitted": (),
    "published_sistcm": ("clip", "emotion"),
    "published_baseline": HEADS,
}


@dataclass(frozen=True, kw_only=True)
class FaceConfig:
    """The published model: width 64, `view_merge="sum"`, input_size 224, `score="published_sistcm"`; its
    baseline: `trunk="resnet18"`, `score="published_baseline"`."""

    trunk: Trunk = "sistcm"
    """"sistcm": interleaved space-time views inside the blocks; "tiled": a clip's frames side by side in one
    picture. The others see each frame on its own: "resnet18", "arm" (see `arm`), "vgg19", and "cnn" and "vgg"
    for pictures of 48 pixels (see `cnn`)."""
    width: int = 64
    """Channels of the first layers; later ones have up to 8 times as many. As published 32 for "cnn"."""
    stem: Stem = "imagenet"
    """resnet18, arm: the first layers; "cifar" keeps all pixels of small pictures."""
    view_merge: ViewMerge = "sum"
    """sistcm: how the space-time views are merged: "sum", as published; "constants" weighs them by learned
    constants, "attention" by their content."""
    spatial_view: bool = False
    """sistcm: also show each block the plain frame-by-frame view."""
    end_kernel: int = 0
    """tiled: side of a depth-wise convolution before pooling, which sees across the frames; 0: none."""
    descriptor: Descriptor = "none"
    """cnn, vgg: a branch of SIFT beside the convolutions; see `descriptors`."""
    input_size: int = 112
    """Side in pixels to which crops are resized on the device."""
    align: Align = "none"
    """"stn": a small network aligns each frame before the trunk sees it (see `stn`)."""
    dropout: float = 0.5
    """Before the clip layer."""
    clip_average: ClipAverage = "probability"
    """What the clip head averages over the clips: their class probabilities, or their "logit"s, with which
    trunk "resnet18" or "arm" and dropout 0 average the logits of all frames, as the published hybrids do."""
    heads: tuple[Head, ...] = HEADS
    """Which heads are built and trained: the mean of the clips' probabilities, the LSTM over them, the LSTM
    over the clips' features."""
    score: Score = "fitted"
    """How the heads become one answer; see `FaceModel.window`."""
    normalize_features: bool = False
    """Bring each clip's features to mean 0, variance 1 before their LSTM. The published model does not: its
    gates saturate on the large features of a trunk without pretraining, and order is not learned."""
    feature_hidden: int = 1024
    emotion_hidden: int = 512
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Subtracted from RGB in [0, 1]. The published model does not normalise."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    grey: bool = False
    """See brightness only (`LUMA`, three times): a model trained on grey stills meets colour in videos."""
    scn: ScnConfig | None = None
    """Self-cure: attention on the logits, rank regularisation, relabelling; None: none of it."""
    landmark_weight: float = 0.0
    """Of the loss of 68 landmarks, whose mean absolute error is in shares of the crop's side; 0: no such
    head."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for name in ("width", "feature_hidden", "emotion_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.input_size < 33:
            raise ValueError(f"input_size must be at least 33, not {self.input_size}")
        check_trunk(self)
        if self.align not in get_args(Align):
            raise ValueError(f"align must be none or stn, not {self.align!r}")
        if self.align != "none" and self.descriptor != "none":
            raise ValueError(f"descriptor {self.descriptor} is of pictures as they are: align must be none")
        if self.clip_average not in get_args(ClipAverage):
            raise ValueError(f"clip_average must be probability or logit, not {self.clip_average!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")
        if not self.heads or self.heads != tuple(head for head in HEADS if head in self.heads):
            raise ValueError(f"heads must be some of {', '.join(HEADS)}, in this order, not {self.heads}")
        if self.score not in NEEDED_HEADS:
            raise ValueError(f"score must be one of {', '.join(NEEDED_HEADS)}, not {self.score!r}")
        if not set(NEEDED_HEADS[self.score]) <= set(self.heads):
            needed = " and ".join(NEEDED_HEADS[self.score])
            raise ValueError(
                f"score {self.score} needs the heads {needed}, not {', '.join(self.heads)} alone"
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean and std need 3 values, std above 0: {self.mean}, {self.std}")
        if self.scn is not None and self.heads != ("clip",):
            raise ValueError(
                f"scn weighs the logits of the clip head: heads must be clip, not {', '.join(self.heads)}"
            )
        if self.landmark_weight < 0:
            raise ValueError(f"landmark_weight must be at least 0, not {self.landmark_weight}")


class FaceModel(nn.Module):
    """Clips of one face in, class log-probabilities out. No layer knows C or K: any number of each works."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: FaceConfig, num_classes: int, targets: Targets = "single") -> None:
        super().__init__()
        self.config = config
        self.targets = targets
        self.aligner = SpatialTransformer(config.input_size) if config.align == "stn" else None
        self.trunk = make_trunk(config)
        self.draws = isinstance(self.trunk, CNNTrunk)  # random numbers, in training
        self.num_features = self.trunk.num_features
        self.streams = TwoStreamLSTM(
            self.num_features,
            num_classes,
            feature_hidden=config.feature_hidden,
            emotion_hidden=config.emotion_hidden,
            dropout=config.dropout,
            normalize_features=config.normalize_features,
            heads=config.heads,
            attention=config.scn is not None,
            clip_average=config.clip_average,
            targets=targets,
        )
        self.landmark_head = LandmarkHead(self.num_features) if config.landmark_weight > 0 else None
        self.head_weight_logits: nn.Parameter | None = None
        if config.score == "fitted" and len(config.heads) > 1:
            self.head_weight_logits = nn.Parameter(torch.zeros(len(config.heads)))
        self.register_buffer("mean", torch.tensor(config.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(config.std)[:, None, None], persistent=False)

    def clip_features(self, frames: Tensor, seeds: Tensor | None = None) -> Tensor:
        """frames (N, K, S, S, 3), uint8 in [0, 255] or float in [0, 1], RGB -> (N, F).

        seeds: (N,) int64, in training, for a trunk that draws; None: torch's own generator.

        A clip's features do not depend on the other clips when the model is in eval mode, so a timeline can
        compute each clip once and let all windows share it.
        """
        if frames.ndim != 5 or frames.shape[-1] != 3:
            raise ValueError(f"frames must be (clips, frames, side, side, 3), not {tuple(frames.shape)}")
        more = (seeds,) if self.draws else ()
        pictures = self._normalized(frames)
        if self.aligner is not None:
            pictures = self.aligner(pictures)
        return self.trunk(pictures, frames.shape[1], *more)  # type: ignore[no-any-return]

    def clip_parameters(self) -> Iterator[nn.Parameter]:
        """Those that `clip_features` uses."""
        return chain(*(part.parameters() for part in (self.aligner, self.trunk) if part is not None))

    def pooled(self, features: Tensor, clip_mask: Tensor) -> Tensor:
        """features (B, C, F), clip_mask (B, C) bool -> (B, F): their mean over the clips; 0 where none is."""
        there = clip_mask[:, :, None]
        return torch.where(there, features, 0.0).sum(dim=1) / there.sum(dim=1).clamp(min=1)

    @property
    def vocabulary(self) -> Tensor | None:
        """The words of SIFT, (2048, 128) float32, which `fit_on` finds; None for a trunk without."""
        branch = self.trunk.branch if isinstance(self.trunk, CNNTrunk) else None
        if branch is None or not isinstance(branch.describe, BagOfWords):
            return None
        return branch.describe.words

    def fit_on(self, frames: Tensor, seed: int) -> None:
        """Finds what a trunk learns of its training pictures before the first step: the words of SIFT.

        frames: as `clip_features` takes them. Depends on them, their order and the seed only.
        ValueError where the pictures are too few.
        """
        branch = self.trunk.branch if isinstance(self.trunk, CNNTrunk) else None
        assert branch is not None and isinstance(branch.describe, BagOfWords), "only with a vocabulary"
        parts = [branch.pictures(self._normalized(part)) for part in torch.split(frames, _PART)]
        branch.describe.fit_on(np.concatenate(parts), seed)

    def _normalized(self, frames: Tensor) -> Tensor:
        """(N, K, S, S, 3), uint8 or float -> (N*K, 3, input_size, input_size), as the trunk takes them."""
        pixels = for_convolutions(rearrange(frames, "n k h w c -> (n k) c h w"))  # while one byte a value
        x = pixels.to(self.mean.dtype)
        if frames.dtype == torch.uint8:
            x = x / 255
        if self.config.grey:
            x = brightness(x).expand(-1, 3, -1, -1)
        size = self.config.input_size
        if x.shape[-2:] != (size, size):
            x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
        return for_convolutions((x - self.mean) / self.std)

    def window(self, features: Tensor, clip_mask: Tensor, seeds: Tensor | None = None) -> dict[str, Tensor]:
        """features (B, C, F), clip_mask (B, C) bool -> log-probabilities, each (B, n) float32, and more.

        - one of each configured head: `clip`, `emotion`, `feature`;
        - `log_probs`, the answer. Score "fitted": the heads' log-probabilities averaged by learned weights
          that sum to one. The published scores mix probabilities p with logits z and are neither:
          "published_sistcm" 0.2 p(clip) + 0.8 z(emotion), "published_baseline" p(clip) + z(emotion) +
          z(feature). All are normalised;
        - `combination`, where weights are fitted: equals `log_probs`, but its gradient reaches those weights
          only, so that they are fitted without a further loss on the network;
        - `published_score`, for comparison, where its heads are there: that of "published_sistcm";
        - no log-probabilities: `attention` (B,) float32 in (0, 1) of a model with `scn`, and `landmarks`
          (B, C, 68, 2) float32, in shares of the crop's side, of one with a landmark head.

        Where all clips are masked: finite, meaningless. seeds: see `TwoStreamLSTM`.
        """
        outputs: dict[str, Tensor] = self.streams(features, clip_mask, seeds)
        if self.landmark_head is not None:
            outputs["landmarks"] = self.landmark_head(features)
        # A log-probability is its logit less a constant a row, which the normalisation takes out.
        if self.targets == "single" and "clip" in outputs and "emotion" in outputs:
            published = 0.2 * outputs["clip"].exp() + 0.8 * outputs["emotion"]
            outputs["published_score"] = published.log_softmax(dim=-1)
        if self.head_weight_logits is not None:
            heads = torch.stack([logits_of(outputs[name], self.targets) for name in self.config.heads])
            weights = self.head_weight_logits.float().softmax(dim=0)[:, None, None]
            outputs["log_probs"] = log_probs_of((weights * heads).sum(dim=0), self.targets)
            outputs["combination"] = log_probs_of((weights * heads.detach()).sum(dim=0), self.targets)
            return outputs
        match self.config.score:
            case "fitted":
                outputs["log_probs"] = outputs[self.config.heads[0]]
            case "published_sistcm":
                outputs["log_probs"] = outputs["published_score"]
            case "published_baseline":
                score = outputs["clip"].exp() + outputs["emotion"] + outputs["feature"]
                outputs["log_probs"] = score.log_softmax(dim=-1)
        return outputs
