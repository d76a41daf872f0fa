"""Where weight files may lie on this machine, and whether what lies there is what it is said to be.

A file is looked for in the folder that the user names, in $VIDEOFER_WEIGHTS and in the user's cache. A file
whose hash is published is refused if its content is another, never used.
"""

from __future__ import annotations

import http.client
import logging
import os
import urllib.error
from pathlib import Path

from preprocessing.weights.choice import sha256_of
from preprocessing.weights.download import download as fetch
from preprocessing.weights.known import REGISTRY
from preprocessing.weights.registry import WeightsError

logger = logging.getLogger(__name__)


def user_cache_dir() -> Path:
    """Where downloaded weights are kept: $XDG_CACHE_HOME/videofer or ~/.cache/videofer."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "videofer"


def search_dirs(weights_dir: Path | None) -> list[Path]:
    """Folders in which weights may lie, best first. WeightsError if the named folder does not exist."""
    if weights_dir is not None and not weights_dir.is_dir():
        raise WeightsError(f"no such folder of weights: {weights_dir}")
    from_environment = os.environ.get("VIDEOFER_WEIGHTS")
    dirs = [weights_dir, Path(from_environment) if from_environment else None, user_cache_dir()]
    return [folder for folder in dirs if folder is not None]


def offline() -> bool:
    """Whether $VIDEOFER_OFFLINE forbids to fetch anything."""
    return os.environ.get("VIDEOFER_OFFLINE", "0") not in ("", "0")


def find(name: str, weights_dir: Path | None = None, *, download: bool = True) -> Path | None:
    """The file of that name, or of that short name of the registry; or None, where it is not to be had.

    download: whether a file that is nowhere may be fetched into the user's cache. That is done, and said,
    only for one whose whole hash is published, under a licence that allows any use; for others there is
    `videofer weights fetch`. Raises WeightsError if the file is found but is not the one its name promises.
    """
    known = REGISTRY.find(name)
    for folder in search_dirs(weights_dir):
        path = folder / (known.file if known else name)
        if path.is_file():
            if known is not None and known.sha256 is not None:
                _check_hash(path, known.sha256)
            return path
    if not download or known is None or known.url is None or not known.hash_is_whole or not known.commercial:
        return None
    if offline():
        logger.info("%s not found and $VIDEOFER_OFFLINE is set: not downloaded", known.file)
        return None
    try:
        return fetch(known, user_cache_dir() / known.file)
    except (OSError, http.client.HTTPException) as error:  # URLError, timeouts and a full disk are OSErrors
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        logger.warning("%s not found, and its download failed: %s", known.file, error)
        return None


def missing(name: str) -> WeightsError:
    """The error that says which file is not there, where it comes from, and the command that brings it."""
    known = REGISTRY.find(name)
    where = "into --weights-dir or $VIDEOFER_WEIGHTS"
    if known is None:
        return WeightsError(f"weights are missing: put {name} {where}")
    if known.url is None:
        return WeightsError(
            f"weights of {known.engines[0]} are missing, and published nowhere to be fetched from: "
            f"put {known.file} {where}"
        )
    accept = "" if known.commercial else " --accept-license"
    return WeightsError(
        f"weights of {known.engines[0]} are missing: `videofer weights fetch {known.name}{accept}` gets "
        f"{known.file} from {known.url}; or put {known.file} {where}"
    )


def _check_hash(path: Path, expected: str) -> None:
    found = sha256_of(path)
    if not found.startswith(expected):
        raise WeightsError(
            f"{path} is not the published file: "
            f"SHA-256 {found[:16]}..., expected {expected[:16]}...; remove it"
        )
