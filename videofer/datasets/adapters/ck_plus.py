"""CK+: posed sequences of pictures from neutral to the peak, labels for 327 of the 593.

    cohn-kanade-images/S005/001/S005_001_00000001.png ...
    Emotion/S005/001/S005_001_00000011_emotion.txt     one number, 3.0000000e+00

Lucey et al., CVPR Workshops 2010. A sequence without a label file is unlabelled, not neutral, and is left
out. The pictures have no rate. The ten folds are Emotion-FAN's list, which FER_BGER shares: the 118 labelled
subjects in ascending order, dealt in turn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from videofer.datasets.adapter import DatasetError, Finds, Official, Reading, label_of_code, not_this
from videofer.datasets.walk import below_by_name, files_of, folders_of, pictures_of
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

NUM_SEQUENCES = 593
NUM_LABELLED = 327
NUM_FOLDS = 10
COUNTS = {
    "anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happiness": 69, "sadness": 28, "surprise": 83,
}  # fmt: skip
CODES = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")

# fmt: off
SUBJECTS = (
    5, 10, 11, 14, 22, 26, 28, 29, 32, 34, 35, 37, 42, 44, 45, 46, 50, 51, 52, 53, 54, 55, 56, 57, 58,
    59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83,
    84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 105, 106, 107, 108,
    109, 110, 111, 112, 113, 114, 115, 116, 117, 119, 122, 124, 125, 126, 127, 128, 129, 130, 131, 132,
    133, 134, 135, 136, 137, 138, 139, 147, 148, 149, 151, 154, 155, 156, 157, 158, 160, 501, 502, 503,
    504, 505, 506, 895, 999,
)
# fmt: on
"""The labelled subjects, ascending; the n-th is tested by fold n mod 10."""

FOLD_OF = {f"S{number:03}": place % NUM_FOLDS + 1 for place, number in enumerate(SUBJECTS)}
_LABEL_FOLDERS = ("Emotion", "Emotion_labels/Emotion", "Emotion_labels", "Emotions")
_IMAGE_FOLDERS = ("cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images")
_FILE = re.compile(r"(S\d{3})_(\d{3})_(\d{8})_emotion\.txt")
_LAYOUT = "the folders cohn-kanade-images and Emotion"


@dataclass(frozen=True)
class CkPlus:
    """The labelled sequences, each a folder of pictures."""

    name: ClassVar[str] = "ck+"
    title: ClassVar[str] = "CK+"
    labels: ClassVar[LabelSet] = LABEL_SETS["ckplus7"]
    official: ClassVar[Official] = Official(
        "folds", NUM_FOLDS, "Emotion-FAN's list, no subject in two folds", "--protocol official"
    )
    access: ClassVar[str] = "the authors, on request (pitt.edu/~emotion/ck-spread.htm)"
    licence: ClassVar[str] = "for research; no text of it found"

    def recognise(self, path: Path) -> str | None:
        """The folder of pictures, by its name."""
        return "a folder cohn-kanade-images" if _find(path, _IMAGE_FOLDERS) else None

    def read(self, path: Path) -> Reading:
        """One row a labelled sequence. DatasetError without the folder of labels, or for other codes."""
        images, labels = _find(path, _IMAGE_FOLDERS), _find(path, _LABEL_FOLDERS)
        if images is None:
            raise not_this(path, self.title, _LAYOUT)
        if labels is None:
            raise DatasetError(
                f"{path}: CK+ without its labels: expected a folder Emotion beside {images.name}"
            )
        finds = Finds(path)
        sequences = [inner for folder in folders_of(images) for inner in folders_of(folder)]
        num_unlabelled = 0
        for sequence in sequences:
            files = files_of(labels / sequence.parent.name / sequence.name, {".txt"})
            if not files:
                num_unlabelled += 1
            elif len(files) > 1:
                finds.doubt(sequence, f"left out: {len(files)} label files, where one was expected")
            else:
                _add(finds, sequence, files[0])
        for file in sorted(labels.glob("S*/*/*_emotion.txt")):
            if not (images / file.parent.parent.name / file.parent.name).is_dir():
                finds.missing.append(f"{images.name}/{file.parent.parent.name}/{file.parent.name}")
        quirks = [
            f"{num_unlabelled} of {len(sequences)} sequences have no label file: they are unlabelled, not "
            "neutral, and are left out",
            "a sequence goes from neutral to the peak, its last picture; no rate is known, FER_BGER takes 15",
        ]
        if len(sequences) < NUM_SEQUENCES:
            quirks.append(f"a whole copy has {NUM_SEQUENCES} sequences, this one {len(sequences)}")
        return finds.reading(
            self,
            expected=NUM_LABELLED,
            expected_by_label=COUNTS,
            quirks=quirks,
            preprocess="--set frames_fps=15",
        )


def _add(finds: Finds, sequence: Path, file: Path) -> None:
    match = _FILE.fullmatch(file.name)
    subject = sequence.parent.name
    if match is None or (match[1], match[2]) != (subject, sequence.name):
        raise DatasetError(f"{file}: expected a name like {subject}_{sequence.name}_00000011_emotion.txt")
    label = label_of_code(CODES, _whole_number(file), file)
    last = pictures_of(sequence)[-1:]
    if label == "neutral":
        finds.doubt(file, "left out: code 0, which no label file of the set has")
    elif subject not in FOLD_OF:
        finds.doubt(sequence, f"left out: {subject} is not among the 118 subjects of the folds")
    elif not last:
        finds.missing.append(finds.name(sequence))
    else:
        if not last[0].stem.endswith(match[3]):
            finds.doubt(sequence, f"kept, but its last picture is {last[0].name}, its label of {match[3]}")
        finds.add(
            sequence,
            label=label,
            subject=subject,
            fold=FOLD_OF[subject],
            sequence=sequence.name,
            num_pictures=len(pictures_of(sequence)),
        )


def _whole_number(file: Path) -> str:
    """The code in a label file, which is written as a float."""
    content = file.read_text(encoding="ascii", errors="replace").strip()
    try:
        number = float(content)
    except ValueError:
        raise DatasetError(f"{file}: expected one number like 3.0000000e+00, not {content[:40]!r}") from None
    return str(int(number)) if number.is_integer() else content


def _find(path: Path, names: tuple[str, ...]) -> Path | None:
    found = below_by_name(path, *names)
    return found[0] / found[1] if found is not None else None
