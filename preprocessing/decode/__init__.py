"""Decoders behind one seam: `decoder_for(kind, engine)` gives the one that reads an input of that kind."""

from __future__ import annotations

from collections.abc import Callable

from cache.schema import Kind
from preprocessing.decode.decord_engine import DecordDecoder
from preprocessing.decode.keypoint_engine import KeypointDecoder
from preprocessing.decode.limits import Limits
from preprocessing.decode.pyav_engine import PyAVDecoder
from preprocessing.decode.still_engine import StillDecoder

AnyDecoder = PyAVDecoder | DecordDecoder | StillDecoder | KeypointDecoder

DECODERS: dict[str, Callable[[Limits | None], PyAVDecoder | DecordDecoder]] = {
    "pyav": PyAVDecoder,
    "decord": DecordDecoder,
}
"""Engines for video files by the name that `--decoder` takes."""


def decoder_for(kind: Kind, engine: str = "pyav", limits: Limits | None = None) -> AnyDecoder:
    """The decoder of an input; `engine` matters for video files only. ValueError for an unknown one."""
    if engine not in DECODERS:
        raise ValueError(f"unknown decoder {engine!r}; there are {', '.join(DECODERS)}")
    match kind:
        case "video":
            return DECODERS[engine](limits)
        case "image" | "frames":
            return StillDecoder(limits)
        case "keypoints":
            return KeypointDecoder(limits)
