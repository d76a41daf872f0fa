"""What determines the content of a store: the preprocessing spec and the input contract drawn from it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from preprocessing.skeletons.layouts import COCO17, LAYOUTS, OF_MODELS, mapping

ALIGNMENT = "eyes-nose-similarity/1"  # name and version of the crop template; see preprocessing.align
_POINTS_OF = {"mesh": "mesh", "mesh468": "mesh", "fan": "fan", "fan3d": "fan3d"}  # whose eyes and nose it is


def aligned_by(alignment: str) -> dict[str, str]:
    """The keys of a spec that place crops as an alignment of `PreprocessSpec.contract` says, but `faces`."""
    points = alignment.removesuffix(ALIGNMENT).removesuffix("-")
    return {"align_by": "dense", "landmarks": points} if points in _POINTS_OF else {}


class PreprocessSpec(BaseModel):
    """One complete preprocessing configuration; the same keys stand in `configs/preprocess/*.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    decoder: Literal["auto", "pyav", "decord", "torchcodec"] = "pyav"
    faces: Literal[
        "auto",
        "yunet",
        "mtcnn",
        "precropped",
        "face-alignment:sfd",
        "face-alignment:blazeface",
        "face-alignment:yunet",
        "face-alignment:retinaface",
        "face-alignment:scrfd",
    ] = "auto"
    pose: str = "none"  # none | sidecar | onnx:POSE[,PERSON] | rtmlib:NAME | mmpose:CONFIG[,CHECKPOINT]
    skeleton: str = COCO17.name  # joint layout of all skeletons in the store
    landmarks: Literal["none", "mesh", "mesh468", "fan", "fan3d"] = "none"  # dense ones, beside the five

    align_by: Literal["five", "dense"] = "five"  # landmarks that place the crop: the detector's, or the dense

    max_fps: float = Field(30.0, gt=0)  # a faster video is thinned out to at most this rate
    crop_size: int = Field(112, ge=32, le=512)  # pixels
    codec: Literal["jpeg", "plain"] = "jpeg"
    jpeg_quality: int = Field(95, ge=50, le=100)

    detect_interval_frames: int = Field(5, ge=1)  # look for faces every so many sampled frames ...
    detect_interval_seconds: float = Field(0.21, gt=0)  # ... and at least so often in slow videos
    detect_longest_seconds: float = Field(0.4, gt=0)  # while the picture stands still
    detect_full_seconds: float = Field(2.0, ge=0)  # small faces are looked for this often beside large ones
    detect_long_side: int = Field(512, ge=160)  # pixels of the picture that is searched; more for large video
    pose_interval_frames: int = Field(5, ge=1)
    pose_interval_seconds: float = Field(0.21, gt=0)
    person_interval_seconds: float = Field(1.0, gt=0)  # persons are searched anew this often

    appearance: str = "plain"  # how people are told apart: plain (clothes and face) | onnx:FILE | none
    people: str = "all"  # all | main | how many of the main ones

    bridge_seconds: float = Field(0.25, ge=0)  # a shorter loss of a face is interpolated
    max_gap_seconds: float = Field(1.0, ge=0)  # after a longer one a new track begins
    min_track_seconds: float = Field(0.3, ge=0)  # shorter tracks are not persons, unless the video is short
    smooth_sigma_seconds: float = Field(0.08, gt=0)  # of the landmarks that place the crop

    segment_seconds: float = Field(300.0, ge=1)  # a video half as long again is cut into parts about so long

    max_file_bytes: int = Field(200 << 30, gt=0)
    max_duration_seconds: float = Field(48 * 3600.0, gt=0)
    max_pixels: int = Field(8192 * 8192, gt=0)  # of one picture
    frames_fps: float | None = Field(None, gt=0)  # rate of image folders; none: their pictures are stills

    @field_validator("pose")
    @classmethod
    def _known_pose(cls, value: str) -> str:
        kind, _, model = value.partition(":")
        if value in ("none", "sidecar") or (kind in ("onnx", "rtmlib", "mmpose") and model):
            return value
        raise ValueError(
            f"'{value}' is not one of none, sidecar, onnx:POSE[,PERSON], rtmlib:NAME, "
            "mmpose:CONFIG[,CHECKPOINT]"
        )

    @field_validator("appearance")
    @classmethod
    def _known_appearance(cls, value: str) -> str:
        if value in ("plain", "none") or (value.startswith("onnx:") and len(value) > len("onnx:")):
            return value
        raise ValueError(f"'{value}' is not one of plain, onnx:FILE, none")

    @field_validator("people", mode="before")
    @classmethod
    def _known_people(cls, value: Any) -> str:
        text = str(value)
        if text in ("all", "main") or (text.isdecimal() and int(text) >= 1):
            return text
        raise ValueError(f"'{value}' is not one of all, main, a number from 1")

    @field_validator("skeleton")
    @classmethod
    def _known_skeleton(cls, value: str) -> str:
        if value in LAYOUTS:
            return value
        raise ValueError(f"'{value}' is not one of {', '.join(LAYOUTS)}")

    @model_validator(mode="after")
    def _skeleton_can_be_had(self) -> PreprocessSpec:
        is_of_models = any(
            not mapping(layout, LAYOUTS[self.skeleton]).missing for layout in OF_MODELS.values()
        )
        if self.pose != "sidecar" and not is_of_models:
            raise ValueError(
                f"skeleton {self.skeleton} comes from keypoint files: it needs pose sidecar, not {self.pose}"
            )
        return self

    @model_validator(mode="after")
    def _dense_landmarks_are_there(self) -> PreprocessSpec:
        if self.align_by == "dense" and self.landmarks == "none":
            raise ValueError("align_by dense needs dense landmarks: set landmarks to mesh, fan or another")
        if self.align_by == "dense" and self.faces == "precropped":
            raise ValueError("faces precropped are not aligned: align_by dense does not go with them")
        return self

    @property
    def alignment(self) -> str:
        """Name and version of how crops are placed: models and their input must agree on it."""
        if self.faces == "precropped":
            return "precropped"
        return ALIGNMENT if self.align_by == "five" else f"{_POINTS_OF[self.landmarks]}-{ALIGNMENT}"

    def contract(self) -> dict[str, Any]:
        """The part that a model and its input must agree on."""
        return {
            "crop_size": self.crop_size,
            "alignment": self.alignment,
            "colour": "rgb",
            "skeleton": "none" if self.pose == "none" else self.skeleton,
            "max_fps": self.max_fps,
        }
