"""Decoders behind one seam: `decoder_for(kind, engine)` gives the one that reads an input of that kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cache.schema import Kind
from preprocessing.decode.decord_engine import DecordDecoder
from preprocessing.decode.keypoint_engine import KeypointDecoder
from preprocessing.decode.limits import Limits
from preprocessing.decode.pyav_engine import PyAVDecoder
from preprocessing.decode.still_engine import StillDecoder
from preprocessing.decode.torchcodec_engine import TorchCodecDecoder

VideoDecoder = PyAVDecoder | DecordDecoder | TorchCodecDecoder
AnyDecoder = VideoDecoder | StillDecoder | KeypointDecoder


@dataclass(frozen=True)
class DecoderEngine:
    """One way to decode video files."""

    build: Callable[[Limits | None], VideoDecoder]
    usable: Callable[[], str | None]  # why it cannot be used here and what mends that; None where it can


DECODERS = {
    "pyav": DecoderEngine(PyAVDecoder, PyAVDecoder.usable),
    "decord": DecoderEngine(DecordDecoder, DecordDecoder.usable),
    "torchcodec": DecoderEngine(TorchCodecDecoder, TorchCodecDecoder.usable),
    "torchcodec:cuda": DecoderEngine(TorchCodecDecoder.on_gpu, TorchCodecDecoder.usable_on_gpu),
}
"""Engines for video files by name. That of the GPU stands for `--decoder torchcodec --gpu`."""
FASTEST = "pyav"
"""What `auto` means: the fastest one measured is also the one that is always there. See docs/engines.md."""
NAMES = ("auto", "pyav", "decord", "torchcodec")
"""What `--decoder` takes."""


def decoder_for(kind: Kind, engine: str = FASTEST, limits: Limits | None = None) -> AnyDecoder:
    """The decoder of an input; `engine` matters for video files only. ValueError for an unknown one."""
    if engine not in DECODERS:
        raise ValueError(f"unknown decoder {engine!r}; there are {', '.join(DECODERS)}")
    match kind:
        case "video":
            return DECODERS[engine].build(limits)
        case "image" | "frames":
            return StillDecoder(limits)
        case "keypoints":
            return KeypointDecoder(limits)
