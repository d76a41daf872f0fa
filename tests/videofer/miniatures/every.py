"""One small copy of every known data set."""

from __future__ import annotations

from pathlib import Path

from tests.videofer.fer2013_set import make_set, write_csv
from tests.videofer.miniatures import (
    bold,
    bred,
    ck_plus,
    class_folders,
    crema_d,
    dfew,
    emilya,
    enterface,
    ferv39k,
    gemep,
    iemocap,
    mafw,
    meld,
    own,
    ravdess,
)
from tests.videofer.miniatures.media import Media


def build_all(root: Path, media: Media) -> dict[str, Path]:
    """By the adapter's name, what `videofer.datasets.adapters.read` takes: folders, a table, a list."""
    write_csv(make_set(20, 4, 4), root / "fer2013")
    return {
        "ravdess": ravdess.build(root / "ravdess", media, actors=(1,), every=20),
        "crema-d": crema_d.build(root / "crema-d", media),
        "enterface": enterface.build(root / "enterface", media, subjects=(1,)),
        "ck+": ck_plus.build(root / "ck+", media),
        "dfew": dfew.build(root / "dfew", media),
        "ferv39k": ferv39k.build(root / "ferv39k", media),
        "mafw": mafw.build(root / "mafw", media),
        "afew": class_folders.build_afew(root / "afew", media, num=1),
        "caer": class_folders.build_caer(root / "caer", media),
        "meld": meld.build(root / "meld", media),
        "iemocap": iemocap.build(root / "iemocap", media, sessions=(1,)),
        "bold": bold.build(root / "bold", media),
        "bred": bred.build(root / "bred"),
        "gemep": gemep.build(root / "gemep", media, performers=range(1, 2)),
        "emilya": emilya.build(root / "emilya", actions=("BS",)),
        "fer2013": root / "fer2013",
        "folders": own.build_folders(root / "folders", media),
        "table": own.build_table(root / "table", media),
        "list": own.build_list(root / "list", media, frames=False, words=True),
    }
