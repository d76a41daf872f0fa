"""What is looked at, in the order in which it is shown: SECTION/NAME, as the command line names it."""

from __future__ import annotations

LIBRARIES = ("PyTorch", "OpenCV", "ONNX Runtime", "Ray")
DECODERS = ("pyav", "decord", "torchcodec", "torchcodec:cuda")
FACES = (
    "auto",
    "yunet",
    "mtcnn",
    "face-alignment:sfd",
    "face-alignment:blazeface",
    "face-alignment:yunet",
    "face-alignment:retinaface",
    "face-alignment:scrfd",
)
LANDMARKS = ("mesh", "fan", "fan3d")
SKELETONS = ("onnx", "rtmlib", "mmpose")
NEEDED = frozenset(
    {
        "libraries/PyTorch",
        "libraries/OpenCV",
        "libraries/ONNX Runtime",
        "libraries/Ray",
        "decoders/pyav",
        "faces/mtcnn",
    }
)
"""Without which nothing goes; all else is a choice."""


def labels() -> list[str]:
    """Of everything that is tried in a child process."""
    sections = {
        "GPU": ("GPU",),
        "libraries": LIBRARIES,
        "decoders": DECODERS,
        "faces": FACES,
        "landmarks": LANDMARKS,
        "skeletons": SKELETONS,
    }
    return [f"{section}/{name}" for section, names in sections.items() for name in names]
