"""IEMOCAP: acted dialogues of ten actors in five sessions; utterances are intervals of the dialogues' videos.

    Session1/dialog/avi/DivX/Ses01F_impro01.avi
    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt, with tabs between
        [6.2901 - 8.2357]   Ses01F_impro01_F000   neu   [2.5000, 2.5000, 2.5000]

Busso et al., LREC 2008. The F or M before the number is who speaks; the one in the dialogue's name is who
wore the markers. `xxx` (no agreement) and `oth` have no label and are left out. Both actors are in the
picture, and which half is whose was not found: rows do not say which person is meant. The authors give no
folds; a session left out in turn is what papers do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from videofer.datasets.adapter import DatasetError, Finds, Official, Reading, label_of, not_this
from videofer.datasets.manifest import DIMENSION_SCALE
from videofer.datasets.tables import text_lines
from videofer.datasets.walk import files_of, folder_matching, folders_of, videos_below
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

NUM_TURNS = 10_039
NUM_SESSIONS = 5
_SCALE = (1, 5)
NO_LABEL = ("xxx", "oth")
CODES = {
    "ang": "anger", "hap": "happiness", "exc": "excitement", "sad": "sadness", "neu": "neutral",
    "fru": "frustration", "fea": "fear", "sur": "surprise", "dis": "disgust",
}  # fmt: skip
_SESSION = re.compile(r"session([1-5])", re.IGNORECASE)
_LINE = re.compile(
    r"\[(\d+\.\d+) - (\d+\.\d+)\]\s+(Ses0[1-5][FM]_\w+)_([FM])((?:XX)?\d+)\s+(\w+)\s+"
    r"\[([\d.]+), ([\d.]+), ([\d.]+)\]"
)
_LAYOUT = "folders Session1 to Session5 with dialog/EmoEvaluation and dialog/avi"


@dataclass(frozen=True)
class Iemocap:
    """The labelled turns of all dialogues that have a video."""

    name: ClassVar[str] = "iemocap"
    title: ClassVar[str] = "IEMOCAP"
    labels: ClassVar[LabelSet] = LABEL_SETS["iemocap9"]
    official: ClassVar[Official] = Official(
        "folds",
        NUM_SESSIONS,
        "custom of papers: a session left out in turn",
        "--protocol official",
    )
    access: ClassVar[str] = "sail.usc.edu/iemocap, with a signed release form"
    licence: ClassVar[str] = "what the release form says"

    def recognise(self, path: Path) -> str | None:
        """Sessions with a folder of evaluations."""
        sessions = [folder for folder in _sessions(path) if (folder / "dialog" / "EmoEvaluation").is_dir()]
        return (
            f"{len(sessions)} folder{'s' * (len(sessions) != 1)} SessionN with dialog/EmoEvaluation"
            if sessions
            else None
        )

    def read(self, path: Path) -> Reading:
        """One row a labelled turn. DatasetError for another form of the evaluations or an unknown code."""
        sessions = _sessions(path)
        if not sessions:
            raise not_this(path, self.title, _LAYOUT)
        finds = Finds(path)
        num_turns = num_unlabelled = 0
        for session in sessions:
            videos = {file.stem: file for file in videos_below(session / "dialog" / "avi")}
            tables = files_of(session / "dialog" / "EmoEvaluation", {".txt"})
            if not tables:
                finds.missing.append(f"{finds.name(session)}/dialog/EmoEvaluation")
            for table in tables:
                turns = _turns(table)
                num_turns += len(turns)
                labelled = [turn for turn in turns if turn[4] not in NO_LABEL]
                num_unlabelled += len(turns) - len(labelled)
                if table.stem not in videos:
                    finds.missing.append(f"{finds.name(session)}/dialog/avi/DivX/{table.stem}.avi")
                    continue
                for start, end, turn, sex, code, valence, activation, dominance in labelled:
                    finds.add(
                        videos[table.stem],
                        label=label_of(self.labels, CODES.get(code, code), f"{table}: {turn}"),
                        subject=f"{turn[:5]}{sex}",
                        start=float(start),
                        end=float(end),
                        fold=int(turn[4]),
                        turn=turn,
                        valence=_on_scale(valence),
                        arousal=_on_scale(activation),
                        dominance=_on_scale(dominance),
                        **{DIMENSION_SCALE: f"{_SCALE[0]} to {_SCALE[1]}"},
                    )
        there = {_number(session) for session in sessions}
        finds.missing += [f"Session{n}" for n in range(1, NUM_SESSIONS + 1) if n not in there]
        quirks = [
            f"{num_unlabelled:,} of {num_turns:,} turns have no label (xxx, oth) and are left out",
            f"a whole copy has {NUM_TURNS:,} turns",
            "two actors are in the picture: a row does not say which of them it is about",
            "valence, arousal and dominance are on the set's scale, 1 to 5; what lies beyond is cut to it",
            "papers mostly take four classes: --labels iemocap4",
        ]
        return finds.reading(self, expected=None, quirks=quirks)


def _sessions(path: Path) -> list[Path]:
    root = folder_matching(path, _SESSION.pattern)
    return [folder for folder in folders_of(root) if _SESSION.fullmatch(folder.name)] if root else []


def _number(session: Path) -> int:
    return int(session.name[-1])


def _on_scale(cell: str) -> float:
    """Means of several raters, a few of whom went beyond the scale."""
    return min(max(float(cell), _SCALE[0]), _SCALE[1])


def _turns(table: Path) -> list[tuple[str, str, str, str, str, str, str, str]]:
    """start, end, turn, sex of the speaker, code, valence, activation, dominance. DatasetError."""
    turns = []
    for where, line in text_lines(table):
        if not line.startswith("["):
            continue
        match = _LINE.match(line)
        if match is None:
            raise DatasetError(f"{where}: expected [start - end], turn, code, [V, A, D], not {line[:50]!r}")
        start, end, dialogue, sex, count, code, *vad = match.groups()
        turns.append((start, end, f"{dialogue}_{sex}{count}", sex, code, vad[0], vad[1], vad[2]))
    return turns
