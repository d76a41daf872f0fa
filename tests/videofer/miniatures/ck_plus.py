"""CK+: sequences of pictures, labels for some of them, one sequence that has none."""

from __future__ import annotations

from pathlib import Path

from tests.videofer.miniatures.media import Media, text

LABELLED = {
    ("S005", "001"): (11, 3), ("S010", "002"): (4, 7), ("S010", "004"): (5, 1), ("S011", "001"): (4, 7),
    ("S034", "003"): (4, 1), ("S501", "006"): (4, 6), ("S895", "002"): (4, 2), ("S999", "003"): (4, 4),
    ("S999", "001"): (4, 1), ("S138", "005"): (4, 5),
}  # fmt: skip
"""(subject, sequence) -> number of frames, code."""

UNLABELLED = [("S005", "002"), ("S130", "001")]


def build(root: Path, media: Media) -> Path:
    for (subject, sequence), (num_frames, code) in LABELLED.items():
        _pictures(root, media, subject, sequence, num_frames)
        text(
            root / "Emotion" / subject / sequence / f"{subject}_{sequence}_{num_frames:08}_emotion.txt",
            f"   {code:.7e}\n",
        )
    for subject, sequence in UNLABELLED:
        _pictures(root, media, subject, sequence, 3)
        (root / "Emotion" / subject / sequence).mkdir(parents=True, exist_ok=True)
    text(root / "FACS" / "S005" / "001" / "S005_001_00000011_facs.txt", "   9.0000000e+00   4.0000000e+00\n")
    text(root / "cohn-kanade-images" / "S005" / "001" / ".DS_Store", "")
    return root


def _pictures(root: Path, media: Media, subject: str, sequence: str, num_frames: int) -> None:
    folder = root / "cohn-kanade-images" / subject / sequence
    media.frames(folder, [f"{subject}_{sequence}_{n:08}.png" for n in range(1, num_frames + 1)])
