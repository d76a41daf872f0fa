"""FER2013 as folders of pictures: <list>/<label>/<file>, in the forms that go round.

The list is known by the file's name where that begins with Training_, PublicTest_ or PrivateTest_, as in the
copy whose folder `test` holds both test lists; else by a folder called like a list: train or Training,
PublicTest, val or validation, PrivateTest. A folder `test` beside a validation folder is PrivateTest. The
label is a folder called like an emotion or its number 0 to 6. Official rows are not known then.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from videofer import emotions
from videofer.datasets.fer2013 import LABELS, SIDE, USAGES, Fer2013, Fer2013Error, Usage

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_THREADS = 4  # decoding holds no lock, and most of the time is the disk's

_LISTS: dict[str, Usage] = {
    "training": "training",
    "train": "training",
    "publictest": "publictest",
    "val": "publictest",
    "valid": "publictest",
    "validation": "publictest",
    "privatetest": "privatetest",
}
_PREFIX = re.compile(r"(training|publictest|privatetest)[_ -]", re.IGNORECASE)


def read_folder(root: Path) -> Fer2013:
    """Reads all pictures below a folder. Fer2013Error where one has no list, no label or another size."""
    files = sorted(
        Path(folder) / name
        for folder, _, names in os.walk(root)
        for name in names
        if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    )
    if not files:
        raise Fer2013Error(f"{root}: neither fer2013.csv, nor packed files, nor pictures are in it")
    inside = [PurePosixPath(file.relative_to(root).as_posix()) for file in files]
    folders = {part.lower() for path in inside for part in path.parts[:-1]}
    has_validation = any(_LISTS.get(name) == "publictest" for name in folders)
    usage = [_usage(path, root, has_validation=has_validation) for path in inside]
    label = [_label(path, root) for path in inside]
    with ThreadPoolExecutor(_THREADS) as threads:
        images = list(threads.map(_read_picture, files))
    return Fer2013(
        images=np.stack(images),
        label=np.array(label, np.int64),
        usage=np.array([USAGES.index(each) for each in usage], np.int64),
        row=np.full(len(files), -1, np.int64),
        names=[f"fer2013/{each}/{path}" for each, path in zip(usage, inside, strict=True)],
    )


def _usage(path: PurePosixPath, root: Path, *, has_validation: bool) -> Usage:
    named = _PREFIX.match(path.name)
    if named is not None:
        return _LISTS[named[1].lower()]
    for folder in path.parts[:-1]:
        word = folder.lower().replace("_", "").replace(" ", "")
        if word in _LISTS:
            return _LISTS[word]
        if word == "test" and has_validation:
            return "privatetest"
        if word == "test":
            raise Fer2013Error(
                f"{root}: {path} is of one of two test lists: its name must begin with PublicTest_ or "
                "PrivateTest_, or its folder be called so"
            )
    raise Fer2013Error(f"{root}: {path} lies in no folder called train, PublicTest, PrivateTest or the like")


def _label(path: PurePosixPath, root: Path) -> int:
    for folder in reversed(path.parts[:-1]):
        if folder in ("0", "1", "2", "3", "4", "5", "6"):
            return int(folder)
        if emotions.is_emotion(folder):
            name = emotions.canonical(folder)
            if name in LABELS:
                return LABELS.index(name)
    raise Fer2013Error(f"{root}: {path} lies in no folder called like one of {', '.join(LABELS)}, or 0 to 6")


def _read_picture(file: Path) -> np.ndarray:
    """(48, 48) uint8, grey."""
    try:
        content = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        raise Fer2013Error(f"{file}: cannot be read: {error.strerror or error}") from None
    picture = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) if len(content) else None
    if picture is None:
        raise Fer2013Error(f"{file}: not a picture, or a damaged one")
    if picture.shape != (SIDE, SIDE):
        height, width = picture.shape
        raise Fer2013Error(f"{file}: {width}x{height} pixels; FER2013's pictures have {SIDE}x{SIDE}")
    return np.asarray(picture)
