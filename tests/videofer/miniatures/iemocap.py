"""IEMOCAP: dialogues of some sessions with their evaluations, raters' lines between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.videofer.miniatures.media import Media, text

TURNS = [
    ("6.2901", "8.2357", "F000", "neu", "2.5000, 2.5000, 2.5000"),
    ("10.0100", "11.3925", "M000", "fru", "2.0000, 3.5000, 3.0000"),
    ("14.8872", "18.0175", "M001", "exc", "4.0000, 4.0000, 3.0000"),
    ("19.2900", "20.7875", "F001", "xxx", "2.5000, 3.0000, 2.5000"),
    ("21.3257", "24.7400", "F002", "hap", "4.5000, 3.0000, 2.5000"),
    ("25.0000", "26.0000", "M002", "oth", "2.5000, 3.0000, 2.5000"),
    ("27.0000", "28.5000", "MXX0", "ang", "1.5000, 4.0000, 4.5000"),
]


def build(
    root: Path,
    media: Media,
    sessions: Iterable[int] = (1, 2, 3, 4, 5),
    turns: Sequence[tuple[str, ...]] = TURNS,
) -> Path:
    for session in sessions:
        for dialogue in (f"Ses0{session}F_impro01", f"Ses0{session}M_script01_1"):
            media.video(root / f"Session{session}/dialog/avi/DivX/{dialogue}.avi")
            blocks = [
                f"[{start} - {end}]\t{dialogue}_{turn}\t{code}\t[{vad}]\n"
                "C-E2:\tNeutral;\t()\nC-F1:\tNeutral;\t(curious)\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"
                for start, end, turn, code, vad in turns
            ]
            text(
                root / f"Session{session}/dialog/EmoEvaluation/{dialogue}.txt",
                "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" + "".join(blocks),
            )
            text(root / f"Session{session}/dialog/avi/DivX/._{dialogue}.avi", "")
        text(root / f"Session{session}/dialog/EmoEvaluation/Categorical/x_e2_cat.txt", "x :Neutral; ()\n")
    return root
