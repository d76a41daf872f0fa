"""FERV39k: 38,935 clips in 22 scenes, as folders of cropped faces; official lists of training and test.

    2_ClipsforFaceCrop/DailyLife/Happy/0267/*.jpg
    4_setups/All_scenes/train_All.csv       lines `DailyLife/Happy/0267 Happy`, no header

Wang et al., CVPR 2022. Integer codes differ between distributions (Happy is 0 in some, 3 in others), so
labels are taken by name: from the list, or from the path in it where the list has a number. There is no
validation list.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from videofer.datasets.adapter import DatasetError, Finds, Official, Reading, label_of, more, not_this
from videofer.datasets.tables import text_lines
from videofer.datasets.walk import below, is_folder, videos_of
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

NUM_VIDEOS = 38_935
SETUP = "4_setups/All_scenes"
_CLIPS = "2_ClipsforFaceCrop"
_LAYOUT = f"{_CLIPS} and {SETUP}/train_All.csv, test_All.csv"
# fmt: off
SCENES = frozenset((
    "Action", "Argue", "Business", "Conflict", "Contest", "Crime", "Crisis", "DailyLife", "ElegantArt",
    "Experiment", "History", "Interview", "Liveshow", "Medicine", "OfficialEvent", "ScholarReport", "School",
    "Social", "Speech", "Talkshow", "Terror", "War",
))
# fmt: on


@dataclass(frozen=True)
class Ferv39k:
    """All scenes together, as papers report."""

    name: ClassVar[str] = "ferv39k"
    title: ClassVar[str] = "FERV39k"
    labels: ClassVar[LabelSet] = LABEL_SETS["basic7"]
    official: ClassVar[Official] = Official("split", None, "the set's own lists", "--protocol official")
    access: ClassVar[str] = "github.com/wangyanckxx/FERV39k, by e-mail from an address at a university"
    licence: ClassVar[str] = "for non-commercial research, not to be passed on"

    def recognise(self, path: Path) -> str | None:
        """The folder of lists."""
        return f"lists in {SETUP}" if below(path, SETUP) else None

    def read(self, path: Path) -> Reading:
        """One row a clip of the lists. DatasetError where a list is not there or has another form."""
        root = below(path, SETUP)
        if root is None:
            raise not_this(path, self.title, _LAYOUT)
        clips = root / _CLIPS
        if not clips.is_dir():
            raise DatasetError(f"{root}: FERV39k without its clips: expected a folder {_CLIPS}")
        finds = Finds(path)
        seen: dict[str, str] = {}
        videos: dict[Path, dict[str, Path]] = {}  # by folder and stem
        num_by_number = 0
        for split, name in (("train", "train_All.csv"), ("test", "test_All.csv")):
            file = root / SETUP / name
            if not file.is_file():
                raise DatasetError(f"{file}: no such list; expected lines like `DailyLife/Happy/0267 Happy`")
            for where, line in text_lines(file):
                clip, word = _parts(line, where)
                scene, of_path, _ = clip.split("/")
                label = label_of(self.labels, of_path if word.isdecimal() else word, where)
                num_by_number += word.isdecimal()
                if seen.setdefault(clip, split) != split:
                    raise DatasetError(f"{where}: {clip} is in the list of {seen[clip]} too")
                if label_of(self.labels, of_path, where) != label:
                    finds.doubt(clips / clip, f"the list says {label}, which is taken, the folder {of_path}")
                place = _place(clips / clip, videos)
                if place is None:
                    finds.missing.append(finds.name(clips / clip))
                else:
                    finds.add(place, label=label, split=split, scene=scene)
        quirks = [
            "no subjects are known; there is no validation list: one is carved from train",
            *([f"{num_by_number:,} labels are numbers: taken by the folder's name"] if num_by_number else ()),
        ]
        strange = sorted({str(row["scene"]) for row in finds.rows} - SCENES)
        if strange:
            quirks.append(
                f"scenes that the set has not got: {', '.join(strange[:3])}{more(len(strange) - 3)}"
            )
        return finds.reading(self, expected=NUM_VIDEOS, quirks=quirks, preprocess="--faces precropped")


def _parts(line: str, where: str) -> tuple[str, str]:
    """Clip and word of a line. DatasetError."""
    words = line.split()
    if len(words) != 2 or words[0].strip("/").count("/") != 2:
        raise DatasetError(f"{where}: expected `Scene/Emotion/Number Emotion`, not {line.strip()[:60]!r}")
    return words[0].strip("/"), words[1]


def _place(clip: Path, videos: dict[Path, dict[str, Path]]) -> Path | None:
    """The folder of pictures, or a video of that name. videos: of the folders that were looked into."""
    if is_folder(clip):
        return clip
    if clip.parent not in videos:
        videos[clip.parent] = {file.stem: file for file in reversed(videos_of(clip.parent))}
    return videos[clip.parent].get(clip.name)
