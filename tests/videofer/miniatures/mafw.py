"""MAFW: lists of five folds for single and compound labels, one of them with captions that are no UTF-8."""

from __future__ import annotations

from pathlib import Path

from tests.videofer.miniatures.media import Media, text

WORDS = (
    "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "anxiety",
    "helplessness", "disappointment",
)  # fmt: skip
COMPOUND = {23: "sadness_surprise", 24: "anger_disgust_contempt", 25: "happiness_surprise"}


def build(root: Path, media: Media, folder: str = "Train & Test Set") -> Path:
    single = {number: WORDS[number % 11] for number in range(1, 23)}
    for kind, labels in (("single", single), ("compound", single | COMPOUND)):
        for fold in range(1, 6):
            for side in ("train", "test"):
                lines = [
                    f"{number:05}.mp4 {word}\n"
                    for number, word in labels.items()
                    if (number % 5 + 1 == fold) == (side == "test")
                ]
                text(root / folder / kind / "no_caption" / f"set_{fold}" / f"{side}.txt", "".join(lines))
    captions = "".join(f"{n:05}.mp4\t{w}\t" for n, w in single.items()).encode() + "悲伤\n".encode("gb18030")
    path = root / folder / "single" / "with_caption" / "set_1" / "train.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(captions)
    for number in single | COMPOUND:
        media.video(root / "data" / "clips" / f"{number:05}.mp4")
    return root


def with_captions(root: Path, folder: str = "Train & Test Set") -> Path:
    """Only the lists that have captions, separated by tabs."""
    for file in sorted((root / folder / "single" / "no_caption").rglob("*.txt")):
        lines = [f"{line.replace(' ', chr(9))}\t".encode() + "他很伤心".encode("gb18030") + b"\tHe cries.\n"
                 for line in file.read_text().splitlines()]  # fmt: skip
        target = Path(str(file).replace("no_caption", "with_caption"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"".join(lines))
        file.unlink()
    return root
