"""What a study asks of every video, and the account of what was made of one.

A study keeps, beside what it makes, `OUT/study/`: for each video, by its content key, `KEY.parquet`, its
timeline, and `KEY.json`, its account. Accounts hold fingerprints: of the timeline (tracks, model, settings),
and of the products (timeline, names, options), by which the next run knows what is left to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.atomic import atomic_write_text
from cache.records import canonical_json, record_to_bytes
from preprocessing.device import CPU, Device
from videofer.study.products import ProductOptions

if TYPE_CHECKING:
    from cache.schema import VideoRecord
    from videofer.checkpoint import TrainedModel
    from videofer.timeline.settings import TimelineSettings

FOLDER = "study"
STORE = "store"
ACCOUNT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """What every worker needs to know. Paths must lead to the same files on all machines."""

    model: Path
    out: Path
    settings: TimelineSettings
    formats: tuple[str, ...]  # as `wanted_formats` gives them
    options: ProductOptions
    device: Device = CPU  # of the model; `cuda`: the workers share the GPUs

    @property
    def store(self) -> Path:
        return self.out / STORE

    @property
    def folder(self) -> Path:
        """Where timelines and accounts are kept."""
        return self.out / FOLDER


@dataclass(frozen=True, kw_only=True)
class VideoTask:
    """What is to be made of one video."""

    key: str
    name: str  # path relative to the input folder
    stem: str  # of its files in OUT
    media: Path
    duration_seconds: float
    timeline_print: str
    products_print: str
    formats: tuple[str, ...]
    num_warnings: int = 0  # of preprocessing


@dataclass(frozen=True, kw_only=True)
class Account:
    """What was made of one video."""

    key: str
    name: str
    stem: str
    timeline_print: str
    products_print: str
    formats: tuple[str, ...]
    files: Mapping[str, tuple[int, int]]  # name in OUT -> size in bytes, mtime in ns
    digest: Mapping[str, Any]  # `videofer.study.digest`
    wall_seconds: float = 0.0
    version: int = field(default=ACCOUNT_VERSION)

    def save(self, folder: Path) -> None:
        """Write KEY.json, whole or not at all."""
        text = json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)
        atomic_write_text(folder / f"{self.key}.json", text)

    def holds(self, task: VideoTask, spec: StudySpec) -> bool:
        """Whether its files are there and would come out the same; formats may be missing."""
        return (
            (self.timeline_print, self.products_print) == (task.timeline_print, task.products_print)
            and (spec.folder / f"{task.key}.parquet").is_file()
            and all((spec.out / name).is_file() for name in self.files)  # changed ones are the user's
        )

    def remove_files(self, out: Path) -> None:
        """Remove what was made, which is out of date, and the account itself; not what the user changed."""
        for name, stamp in self.files.items():
            if Path(name).name == name and stamp_of(out / name) == tuple(stamp):
                (out / name).unlink()
        (out / FOLDER / f"{self.key}.json").unlink(missing_ok=True)


def load_account(folder: Path, key: str) -> Account | None:
    """None where there is none that this version can use: then the video is done again."""
    try:
        values = json.loads((folder / f"{key}.json").read_bytes())
        if values["version"] != ACCOUNT_VERSION:
            return None
        return Account(**{**values, "formats": tuple(values["formats"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def timeline_print(model: TrainedModel, video: VideoRecord, settings: TimelineSettings) -> str:
    """Fingerprint of all that decides the rows of a timeline."""
    return _hash(
        {
            "tracks": hashlib.sha256(record_to_bytes(replace(video, names=[]))).hexdigest(),
            "weights": model.weights_sha256,
            "recipe": model.recipe.model_dump(mode="json"),
            "calibration": model.calibration.to_json(),
            "settings": settings.model_dump(mode="json"),
            "videofer": _version(),
        }
    )


def products_print(timeline: str, name: str, stem: str, media: Path, options: ProductOptions) -> str:
    """Fingerprint of all that decides the files of a video, whichever of them are asked for."""
    return _hash(
        {
            "timeline": timeline,
            "name": name,
            "stem": stem,
            "media": str(media),
            "options": {name: value for name, value in asdict(options).items() if name != "weights_dir"},
        }
    )


def _hash(values: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()[:32]


def _version() -> str:
    from importlib.metadata import version

    return version("videofer")


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Size and mtime in ns of a file; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns
