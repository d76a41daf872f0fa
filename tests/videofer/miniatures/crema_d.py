"""CREMA-D as the repository has it: VideoFlash, the table of actors, and sound that is not video."""

from __future__ import annotations

from pathlib import Path

from tests.videofer.miniatures.media import LFS_POINTER, Media, text

ACTORS = {1001: "51,Male,Caucasian,Not Hispanic", 1019: "29,Female,African American,Not Hispanic",
          1037: "30,Male,Asian,Not Hispanic", 1091: "21,Female,Caucasian,Hispanic"}  # fmt: skip
EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")


def build(root: Path, media: Media, pointers: bool = False) -> Path:
    """Two sentences of each emotion by four actors. pointers: as cloned without Git LFS."""
    rows = "".join(f"{actor},{rest}\n" for actor, rest in ACTORS.items())
    text(root / "VideoDemographics.csv", "ActorID,Age,Sex,Race,Ethnicity\n" + rows)
    for actor in ACTORS:
        for emotion in EMOTIONS:
            for sentence, level in (("DFA", "XX"), ("IEO", "X" if emotion == "NEU" else "HI")):
                path = root / "VideoFlash" / f"{actor}_{sentence}_{emotion}_{level}.flv"
                if pointers:
                    text(path, LFS_POINTER)
                else:
                    media.video(path)
    text(root / "AudioWAV" / "1001_DFA_ANG_XX.wav", "RIFF")
    text(root / "processedResults" / "summaryTable.csv", "FileName,FaceVote\n1001_DFA_ANG_XX,A\n")
    return root
