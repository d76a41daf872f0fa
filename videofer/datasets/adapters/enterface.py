"""eNTERFACE'05: five sentences in each of six emotions by 43 subjects, known by their folders.

    subject 1/anger/sentence 1/s1_an_1.avi

Martin et al., ICDE Workshops 2006. Subject and emotion are taken from the folders, as the names err: subject
11's files are called `s12_*`, some of subject 3's `s_3_*`. Of subject 23 three of happiness are absent, and
of subject 6 nothing is in the published lists (MAE-DFER), whose five folds of whole subjects are taken.
Copies with underscores or hyphens for the spaces are accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from videofer.datasets.adapter import Finds, Official, Reading, label_of, not_this
from videofer.datasets.walk import folder_matching, folders_of, videos_below, videos_of
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

NUM_VIDEOS = 1287
NUM_SUBJECTS = 44
NOT_LISTED = 6
LAST_OF_FOLD = (10, 19, 28, 37, 44)
NUM_SENTENCES = 5
CODES = {
    "anger": "an",
    "disgust": "di",
    "fear": "fe",
    "happiness": "ha",
    "sadness": "sa",
    "surprise": "su",
}
_SUBJECT = re.compile(r"subject[ _-]*(\d+)", re.IGNORECASE)
_SENTENCE = re.compile(r"sentence[ _-]*(\d+)", re.IGNORECASE)
_CODE = re.compile(r"_([a-z]{2})_?\d", re.IGNORECASE)
_LAYOUT = "folders like 'subject 1/anger/sentence 1' with a video in each"


@dataclass(frozen=True)
class Enterface:
    """All videos of the listed subjects."""

    name: ClassVar[str] = "enterface"
    title: ClassVar[str] = "eNTERFACE'05"
    labels: ClassVar[LabelSet] = LABEL_SETS["basic6"]
    official: ClassVar[Official] = Official(
        "folds", 5, "MAE-DFER's lists: whole subjects", "--protocol official"
    )
    access: ClassVar[str] = "enterface.net/enterface05"
    licence: ClassVar[str] = "for scientific research (Martin et al.); no text of it found"

    def recognise(self, path: Path) -> str | None:
        """Folders of subjects with folders of emotions."""
        root = folder_matching(path, _SUBJECT.pattern)
        subjects = [f for f in folders_of(root) if _SUBJECT.fullmatch(f.name)] if root else []
        inside = {inner.name.lower() for folder in subjects[:3] for inner in folders_of(folder)}
        if not inside & set(CODES):
            return None
        return f"{len(subjects)} folder{'s' * (len(subjects) != 1)} 'subject N' with folders of emotions"

    def read(self, path: Path) -> Reading:
        """One row a sentence. DatasetError where there are no such folders or one is no emotion."""
        root = folder_matching(path, _SUBJECT.pattern)
        if root is None:
            raise not_this(path, self.title, _LAYOUT)
        finds = Finds(path)
        there: set[tuple[int, str, int]] = set()
        for folder in folders_of(root):
            match = _SUBJECT.fullmatch(folder.name)
            number = int(match[1]) if match else 0
            if match is None or not 1 <= number <= NUM_SUBJECTS:
                finds.doubt(folder, "no folder of a subject 1 to 44")
            elif number == NOT_LISTED:
                finds.doubt(folder, "left out: subject 6 is in none of the published lists")
            else:
                there |= _read_subject(finds, folder, number)
        place = "sentence {sentence}"
        finds.missing += [
            f"subject {subject}/{emotion}/{place.format(sentence=sentence)}"
            for subject, emotion, sentence in _whole()
            if (subject, emotion, sentence) not in there
        ]
        quirks = ["subject and emotion are taken from the folders; names of subjects 3 and 11 err"]
        return finds.reading(self, expected=NUM_VIDEOS, quirks=quirks)


def _read_subject(finds: Finds, folder: Path, number: int) -> set[tuple[int, str, int]]:
    """Adds the rows of a subject; which (subject, emotion, sentence) are there."""
    there = set()
    several: dict[Path, bool] = {}  # folders of sentences
    for inner in folders_of(folder):
        label = label_of(Enterface.labels, inner.name, inner)
        for file in videos_below(inner):
            match = _SENTENCE.fullmatch(file.parent.name)
            sentence = int(match[1]) if match else 0
            code = _CODE.search(file.stem)
            if not 1 <= sentence <= NUM_SENTENCES:
                finds.doubt(file, "not in a folder 'sentence 1' to 'sentence 5'")
                continue
            if file.parent not in several:
                several[file.parent] = len(videos_of(file.parent)) > 1
            if several[file.parent]:
                finds.doubt(file, "kept, but its folder has several videos, where one was expected")
            if code is not None and code[1].lower() in CODES.values() and code[1].lower() != CODES[label]:
                finds.doubt(file, f"the name says {code[1].lower()}, the folder {label}, which is taken")
            finds.add(
                file,
                label=label,
                subject=str(number),
                fold=next(n for n, last in enumerate(LAST_OF_FOLD, 1) if number <= last),
                sentence=sentence,
            )
            there.add((number, label, sentence))
    return there


def _whole() -> list[tuple[int, str, int]]:
    """Every (subject, emotion, sentence) of the published lists."""
    return [
        (subject, emotion, sentence)
        for subject in range(1, NUM_SUBJECTS + 1)
        for emotion in CODES
        for sentence in range(1, NUM_SENTENCES + 1)
        if subject != NOT_LISTED and not (subject == 23 and emotion == "happiness" and sentence <= 3)
    ]
