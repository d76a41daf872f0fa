"""Data of one's own: folders of classes, tables, lists."""

from __future__ import annotations

from pathlib import Path

from tests.videofer.miniatures.media import Media, text


def build_folders(root: Path, media: Media) -> Path:
    for split, subject, words in (
        ("train", "subject_1", "angry happy"),
        ("test", "subject_2", "angry happy"),
    ):
        for word in words.split():
            media.video(root / split / subject / word / "a.mp4")
    media.video(root / "train" / "subject_1" / "bloopers" / "b.mp4")
    return root


def build_table(root: Path, media: Media, suffix: str = ".csv") -> Path:
    """path,label,subject,start,end,split; the third video is not there."""
    rows = [("v/1.mp4", "colère", "7", "0", "0.2", "train"), ("v/2.mp4", "Joy", "8", "", "", "test"),
            ("v/3.mp4", "sad", "9", "", "", "test")]  # fmt: skip
    for path, *_ in rows[:2]:
        media.video(root / path)
    names = ("path", "label", "subject", "start", "end", "split")
    if suffix == ".csv":
        lines = [",".join(names), *(",".join(row) for row in rows)]
        return text(root / "labels.csv", "\n".join(lines) + "\n")
    import json

    lines = [json.dumps({k: v for k, v in zip(names, row, strict=True) if v}) for row in rows]
    return text(root / "labels.jsonl", "\n".join(lines) + "\n")


def build_list(root: Path, media: Media, frames: bool, words: bool = False) -> Path:
    lines = []
    for number in range(4):
        code = ("anger", "fear")[number % 2] if words else number % 2
        if frames:
            media.frames(root / "clips" / str(number), ["1.jpg", "2.jpg"])
            lines.append(f"clips/{number} 2 {code}")
        else:
            media.video(root / "clips" / f"{number}.mp4")
            lines.append(f"clips/{number}.mp4 {code}")
    return text(root / "list.txt", "\n".join(lines) + "\n")
