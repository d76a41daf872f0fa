"""RAVDESS: acted speech and song by 24 actors, everything in the files' names.

    Actor_12/02-01-06-01-02-01-12.mp4
    modality - channel - emotion - intensity - statement - repetition - actor

Each take is there with sound (modality 01) and without (02), the same frames twice: one of the two is taken.
Livingstone and Russo, PLoS ONE 13(5), 2018. The six folds of four actors are those of MAE-DFER's lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from videofer.datasets.adapter import DatasetError, Finds, Official, Reading, not_this
from videofer.datasets.walk import files_of, folder_matching, folders_of, videos_below
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

LABELS = LABEL_SETS["ravdess8"]
NUM_ACTORS = 24
COUNTS = {name: 96 if name == "neutral" else 192 for name in LABELS.classes}  # of speech
NUM_SPEECH = 1440  # 60 takes of each actor
_NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")
_FOLDER = re.compile(r"actor_(\d\d)", re.IGNORECASE)
_LAYOUT = "folders Actor_01 to Actor_24 with videos like 02-01-06-01-02-01-12.mp4"
Channel = Literal["speech", "song", "both"]


@dataclass(frozen=True)
class Ravdess:
    """channel: the protocol of the literature is speech; the song of 23 actors has no disgust or surprise."""

    name: ClassVar[str] = "ravdess"
    title: ClassVar[str] = "RAVDESS"
    labels: ClassVar[LabelSet] = LABELS
    official: ClassVar[Official] = Official(
        "folds", 6, "MAE-DFER's lists: four actors a fold", "--protocol official"
    )
    access: ClassVar[str] = "zenodo.org/records/1188976, free"
    licence: ClassVar[str] = "CC BY-NC-SA 4.0; others are sold"

    channel: Channel = "speech"

    def recognise(self, path: Path) -> str | None:
        """Folders of actors with a file named so."""
        root = path.parent if _FOLDER.fullmatch(path.name) else folder_matching(path, _FOLDER.pattern)
        if root is None:
            return None
        actors = [folder for folder in folders_of(root) if _FOLDER.fullmatch(folder.name)]
        has_name = any(_NAME.fullmatch(file.stem) for folder in actors for file in files_of(folder))
        return (
            f"{len(actors)} folder{'s' * (len(actors) != 1)} Actor_NN with names of seven numbers"
            if has_name
            else None
        )

    def read(self, path: Path) -> Reading:
        """One row a take. DatasetError where no video has such a name."""
        finds = Finds(path)
        wanted = {"speech": ("01",), "song": ("02",), "both": ("01", "02")}[self.channel]
        takes: dict[tuple[str, ...], Path] = {}
        num_doubled = num_other = 0
        for file in videos_below(path):
            match = _NAME.fullmatch(file.stem)
            if match is None:
                finds.doubt(file, "the name is not of seven numbers")
                continue
            modality, take = match[1], match.groups()[1:]
            if take[0] not in wanted:
                num_other += 1
            elif not 1 <= int(take[-1]) <= NUM_ACTORS or not 1 <= int(take[1]) <= len(LABELS.classes):
                finds.doubt(file, "no actor 01 to 24, or no emotion 01 to 08")
            else:
                num_doubled += take in takes
                if take not in takes or modality == "01":
                    takes[take] = file
        if not takes:
            if num_other:
                other = "song" if self.channel == "speech" else "speech"
                raise DatasetError(
                    f"{path}: RAVDESS without {self.channel}: all {num_other:,} videos are {other}, "
                    f"as --set channel={other} reads them"
                )
            if any(path.rglob("03-*.wav")):
                raise DatasetError(f"{path}: the sound of RAVDESS only: expected {_LAYOUT}")
            raise not_this(path, self.title, _LAYOUT)
        for take in sorted(takes, key=lambda key: (key[-1], key)):
            _add(finds, takes[take], *take)
        if self.channel == "speech":
            finds.missing += [name for name, speech in _all_takes() if speech not in takes]
        quirks = ["neutral has no strong intensity, so half as many takes as the others"]
        if num_doubled:
            quirks.append(f"{num_doubled:,} takes are there with sound and without: one of each is used")
        if num_other:
            quirks.append(
                f"{num_other:,} files of the other channel are left out (this reads {self.channel})"
            )
        is_speech = self.channel == "speech"
        return finds.reading(
            self,
            expected=NUM_SPEECH if is_speech else None,
            expected_by_label=COUNTS if is_speech else None,
            quirks=quirks,
        )


def _add(
    finds: Finds,
    file: Path,
    channel: str,
    emotion: str,
    intensity: str,
    statement: str,
    repetition: str,
    actor: str,
) -> None:
    if emotion == "01" and intensity == "02":
        finds.doubt(file, "neutral of strong intensity, which the set has not got")
    folder = _FOLDER.fullmatch(file.parent.name)
    if folder is not None and folder[1] != actor:
        finds.doubt(file, f"the name says actor {actor}, who is taken, the folder {folder[1]}")
    finds.add(
        file,
        label=LABELS.classes[int(emotion) - 1],
        subject=actor,
        fold=(int(actor) - 1) // 4 + 1,
        intensity="strong" if intensity == "02" else "normal",
        statement=statement,
        repetition=repetition,
        channel="song" if channel == "02" else "speech",
        sex="male" if int(actor) % 2 else "female",
    )


def _all_takes() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Name and take of all speech with picture."""
    for actor in range(1, NUM_ACTORS + 1):
        for emotion in range(1, len(LABELS.classes) + 1):
            for strength in (1,) if emotion == 1 else (1, 2):
                for statement in (1, 2):
                    for repetition in (1, 2):
                        numbers = (1, emotion, strength, statement, repetition, actor)
                        take = tuple(f"{number:02}" for number in numbers)
                        yield f"Actor_{actor:02}/01-{'-'.join(take)}.mp4", take
