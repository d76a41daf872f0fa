"""The whole model's configuration: which parts it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from videofer.models.body import BodyConfig
from videofer.models.face import FaceConfig
from videofer.models.fusion import FusionConfig
from videofer.models.targets import Targets


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A face model, a body model, or both with their fusion."""

    num_classes: int
    face: FaceConfig | None = None
    body: BodyConfig | None = None
    fusion: FusionConfig | None = None
    targets: Targets = "single"
    """"multi": each class holds or not by itself; see `targets`."""
    num_dimensions: int = 0
    """Of affect, that the model gives beside the classes; see `dimensions`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, not {self.num_classes}")
        if self.face is None and self.body is None:
            raise ValueError("a model needs face, body or both")
        both = self.face is not None and self.body is not None
        if both and self.fusion is None:
            raise ValueError("a model of face and body needs fusion")
        if self.fusion is not None and not both:
            raise ValueError("fusion needs both face and body")
        if self.targets not in get_args(Targets):
            raise ValueError(f"targets must be {' or '.join(get_args(Targets))}, not {self.targets!r}")
        if self.num_dimensions < 0:
            raise ValueError(f"num_dimensions must be at least 0, not {self.num_dimensions}")
        if self.fusion is not None and self.fusion.branch_labels == "own":
            if self.targets == "multi":
                raise ValueError("branch_labels own is for targets single, where a branch has one label")
            if self.face is not None and self.face.scn is not None:
                raise ValueError("scn exchanges the label of the face: branch_labels own needs scn null")
        if self.targets == "multi" and self.face is not None:
            _check_face_of_multi(self.face)

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the outputs that are log-probabilities (B, n); the last one is the model's answer."""
        names = (("face", self.face), ("body", self.body), ("fused", self.fusion))
        return tuple(name for name, config in names if config is not None)


def _check_face_of_multi(face: FaceConfig) -> None:
    """ValueError where the face needs classes of which one holds."""
    if face.score != "fitted":
        raise ValueError(f"score {face.score} is published for targets single; multi needs score fitted")
    if face.scn is not None:
        raise ValueError("scn exchanges a sample's one label: targets multi need scn null")
