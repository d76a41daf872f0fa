"""MELD as the raw archive unpacks: the broken clip of train, the absent one of dev, clips without a row."""

from __future__ import annotations

from pathlib import Path

from tests.videofer.miniatures.media import Media, text

HEADER = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
)
_ROWS = {
    "train": [("Chandler", "neutral", "neutral", 0, 0), ("The Interviewer", "joy", "positive", 0, 1),
              ("Joey", "surprise", "negative", 1, 0), ("Ross", "anger", "negative", 125, 3)],
    "dev": [("Phoebe", "sadness", "negative", 0, 0), ("Phoebe", "neutral", "neutral", 110, 7)],
    "test": [("Mark", "disgust", "negative", 0, 0), ("Rachel", "fear", "negative", 0, 1)],
}  # fmt: skip
_CLIPS = {
    "train": "train/train_splits",
    "dev": "dev/dev_splits_complete",
    "test": "test/output_repeated_splits_test",
}


_WORDS = ("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear")


def build(root: Path, media: Media, dialogues: int = 0) -> Path:
    """dialogues: so many more in each list, with an utterance of each emotion."""
    for split, rows in _ROWS.items():
        rows = rows + [
            ("Monica", word, "neutral", 200 + dialogue, turn)
            for dialogue in range(dialogues)
            for turn, word in enumerate(_WORDS)
        ]
        lines = [
            f'{number},"Oh, it\u0092s {who}!",{who},{word},{mood},{dialogue},{turn},8,21,'
            '"00:16:16,059","00:16:21,731"\n'
            for number, (who, word, mood, dialogue, turn) in enumerate(rows, start=1)
        ]
        text(root / f"{split}_sent_emo.csv", HEADER + "".join(lines))
        for _, _, _, dialogue, turn in rows:
            if (split, dialogue, turn) != ("dev", 110, 7):
                media.video(root / _CLIPS[split] / f"dia{dialogue}_utt{turn}.mp4")
    media.video(root / _CLIPS["test"] / "dia99_utt1.mp4")
    media.video(root / _CLIPS["test"] / "final_videos_testdia0_utt0.mp4")
    text(root / _CLIPS["test"] / "._dia0_utt0.mp4", "")
    return root
