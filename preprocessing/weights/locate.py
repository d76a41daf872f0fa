"""Where weight files may lie on this machine, and whether what lies there is what it is said to be.

A file is looked for in the folder that the user names, in $VIDEOFER_WEIGHTS and in the user's cache. A file
whose hash is published is refused if its content is another, never used.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from preprocessing.quantities import as_bytes
from preprocessing.weights.check import Trust, check
from preprocessing.weights.download import fetch
from preprocessing.weights.known import REGISTRY
from preprocessing.weights.registry import Weight, WeightsError
from preprocessing.weights.transfer import Patience, UnreachableError

AUTOMATIC_BYTES = 10_000_000  # a larger file is fetched by the command only
BRIEF = Patience(silent_seconds=5.0, crawl_seconds=10.0, tries=1)  # a machine without network waits no longer

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


def named(name: str, what: str, weights_dir: Path | None = None) -> Path:
    """The file that a user names: a path, or a name in the folders of weights. Nothing is fetched.

    what: it should be, for the message. WeightsError (one line) where there is none.
    """
    try:
        path = Path(name).expanduser()
        if path.is_file():
            return path
    except (OSError, RuntimeError) as error:  # too long a name, the home of nobody
        raise WeightsError(f"no such {what}: {name}") from error
    found = find(name, weights_dir, download=False) if path.name == name else None
    if found is not None:
        return found
    if REGISTRY.find(name) is not None:
        raise missing(name)
    raise WeightsError(f"no such {what}: {name}, neither as a path nor in a folder of weights")


def offline() -> bool:
    """Whether $VIDEOFER_OFFLINE forbids to fetch anything."""
    return os.environ.get("VIDEOFER_OFFLINE", "0") not in ("", "0")


def find(name: str, weights_dir: Path | None = None, *, download: bool = True) -> Path | None:
    """The file of that name, or of that short name of the registry; or None, where it is not to be had.

    download: whether a file that is nowhere may be fetched. That is done, and said, for a small one only,
    whose whole hash is known and whose licence allows any use; for others there is `videofer weights fetch`.
    Raises WeightsError if the file is found but is not the one its name promises.
    """
    known = REGISTRY.find(name)
    file = known.file if known else name
    for folder in search_dirs(weights_dir):
        path = folder / file
        if path.is_file():
            if check(path, known) is Trust.NONE and known is not None:
                logger.warning("no hash of %s is known, so nobody can say whether it is the right one", path)
            return path
    if not download or known is None or not _may_come_by_itself(known):
        return None
    if offline():
        logger.info("%s not found and $VIDEOFER_OFFLINE is set: not downloaded", file)
        return None
    try:
        path = fetch(known, download_dir(), patience=BRIEF)
        logger.warning("fetched %s (%s) from %s", path, known.licence, known.url)
        return path
    except UnreachableError as error:
        logger.warning("%s not found, and its download failed: %s", file, error)
        return None


def download_dir(weights_dir: Path | None = None) -> Path:
    """Where a download goes: the named folder, $VIDEOFER_WEIGHTS if one may write there, or the cache."""
    if weights_dir is not None:
        return weights_dir
    shared = os.environ.get("VIDEOFER_WEIGHTS")
    return Path(shared) if shared and _may_write(Path(shared)) else user_cache_dir()


def _may_write(folder: Path) -> bool:
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK)


def _may_come_by_itself(known: Weight) -> bool:
    small = known.num_bytes is not None and known.num_bytes <= AUTOMATIC_BYTES
    return known.url is not None and known.hash_is_whole and known.commercial and small


def missing(*names: str, engine: str | None = None) -> WeightsError:
    """The error that says which files are not there, where they come from, and the command that brings them.

    names: as `find` takes them, of one engine. engine: which; None: the first that the registry names.
    """
    them = "it" if len(names) == 1 else "them"
    where = "into --weights-dir or $VIDEOFER_WEIGHTS"
    known = [weight for weight in map(REGISTRY.find, names) if weight is not None]
    if len(known) < len(names):
        return WeightsError(f"weights are missing: put {', '.join(names)} {where}")
    whose = f"weights of {engine or known[0].engines[0]} are missing"
    if any(weight.url is None for weight in known):
        files = ", ".join(weight.file for weight in known)
        return WeightsError(f"{whose}, and published nowhere to be fetched from: put {files} {where}")
    accept = "" if all(weight.commercial for weight in known) else " --accept-license"
    return WeightsError(
        f"{whose}: `videofer weights fetch {' '.join(weight.name for weight in known)}{accept}` gets "
        f"{', '.join(map(_origin, known))}; or put {them} {where}"
    )


def _origin(known: Weight) -> str:
    size = f" ({as_bytes(known.num_bytes)})" if known.num_bytes else ""
    return f"{known.file}{size} from {known.url}"
