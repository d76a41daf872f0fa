"""Weight files of the engines: where they may lie, what they must hash to, and the one download there is.

A file is looked for in the folder the user names, in $VIDEOFER_WEIGHTS and in the user's cache; a file
that we know and that has a public address is downloaded into the cache as a last resort, unless
$VIDEOFER_OFFLINE is set. A file whose name we know but whose content differs is refused, never used.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cache.errors import UserError

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_SECONDS = 5.0
DOWNLOAD_TIMEOUT_SECONDS = 60.0


class WeightsError(UserError, ValueError):
    """Weights cannot be used as asked; one line for the user."""


@dataclass(frozen=True)
class KnownFile:
    """A published file: its SHA-256, its size and, where it may be fetched, its address."""

    sha256: str
    num_bytes: int
    url: str | None = None


KNOWN_FILES = {
    "face_detection_yunet_2023mar.onnx": KnownFile(
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        num_bytes=232_589,
        url="https://media.githubusercontent.com/media/opencv/opencv_zoo/main/"
        "models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
    ),
    # The same network with free batch and input size. Published nowhere we could fetch it from.
    "yunet_n_dynamic.onnx": KnownFile(
        sha256="104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12",
        num_bytes=322_906,
    ),
    # MediaPipe's face mesh, converted by tf2onnx. Published nowhere we could fetch it from.
    "facemesh_468.onnx": KnownFile(
        sha256="7063f3d06b0ac42dd6cd64d15c1a60da15e9d43b3e0d9ddec726c16584d25df2",
        num_bytes=2_429_069,
    ),
}


@dataclass(frozen=True)
class WeightFile:
    """A file on this machine with the hash it had when the driver chose it."""

    path: str
    sha256: str

    @classmethod
    def of(cls, path: Path) -> WeightFile:
        """Hashes a file. WeightsError if it cannot be read."""
        if not path.is_file():
            raise WeightsError(f"no such weight file: {path}")
        return cls(str(path.resolve()), sha256_of(path))

    def checked(self) -> Path:
        """The path, if the file still is what the driver chose; else WeightsError."""
        path = Path(self.path)
        if not path.is_file():
            raise WeightsError(f"weights are not on this machine: {path}")
        found = sha256_of(path)
        if found != self.sha256:
            raise WeightsError(
                f"{path} has SHA-256 {found[:16]}..., the run was started with {self.sha256[:16]}..."
            )
        return path


@dataclass(frozen=True)
class EngineChoice:
    """An engine with exactly the files it uses, resolved once by the driver and sent to every worker."""

    name: str
    weights: dict[str, WeightFile] = field(default_factory=dict)  # role or file name -> file
    reason: str = ""  # why this one: shown to the user and stored

    def to_json(self) -> dict[str, Any]:
        weights = {role: {"path": file.path, "sha256": file.sha256} for role, file in self.weights.items()}
        return {"name": self.name, "weights": weights, "reason": self.reason}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> EngineChoice:
        weights = {role: WeightFile(**file) for role, file in data["weights"].items()}
        return cls(data["name"], weights, data["reason"])

    def provenance(self) -> dict[str, Any]:
        """What is stored with every video: names and hashes, no paths of this machine."""
        weights = {
            role: {"file": Path(file.path).name, "sha256": file.sha256} for role, file in self.weights.items()
        }
        return {"name": self.name, "weights": weights, "reason": self.reason}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def find(name: str, weights_dir: Path | None = None, *, download: bool = True) -> Path | None:
    """The file of that name, or None (with one logged line that says why).

    Raises WeightsError if the file is found but is not the one its name promises.
    """
    known = KNOWN_FILES.get(name)
    for folder in search_dirs(weights_dir):
        path = folder / name
        if path.is_file():
            if known is not None:
                _check_hash(path, known)
            return path
    if not download or known is None or known.url is None:
        return None
    if os.environ.get("VIDEOFER_OFFLINE", "0") not in ("", "0"):
        logger.info("%s not found and $VIDEOFER_OFFLINE is set: not downloaded", name)
        return None
    try:
        return _download(known, user_cache_dir() / name)
    except (OSError, http.client.HTTPException) as error:  # URLError, timeouts and a full disk are OSErrors
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        logger.warning("%s not found, and its download failed: %s", name, error)
        return None


def _check_hash(path: Path, known: KnownFile) -> None:
    found = sha256_of(path)
    if found != known.sha256:
        raise WeightsError(
            f"{path} is not the published file: "
            f"SHA-256 {found[:16]}..., expected {known.sha256[:16]}...; remove it"
        )


def _download(known: KnownFile, target: Path) -> Path:
    """Fetches, checks and only then renames: whatever happens, `target` is either whole or not there."""
    assert known.url is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    logger.info("downloading %s", known.url)
    deadline = time.monotonic() + DOWNLOAD_TIMEOUT_SECONDS
    content = bytearray()
    with urllib.request.urlopen(known.url, timeout=CONNECT_TIMEOUT_SECONDS) as response:  # noqa: S310 (our own constant)
        while block := response.read(1 << 16):
            content += block
            if len(content) > known.num_bytes:
                raise WeightsError(
                    f"{known.url} is longer than the published {known.num_bytes} bytes; not used"
                )
            if time.monotonic() > deadline:
                raise TimeoutError(f"not finished after {DOWNLOAD_TIMEOUT_SECONDS:.0f} s")
    if len(content) < known.num_bytes:
        raise OSError(f"broke off after {len(content)} of {known.num_bytes} bytes")
    found = hashlib.sha256(content).hexdigest()
    if found != known.sha256:
        raise WeightsError(
            f"{known.url} has SHA-256 {found[:16]}..., expected {known.sha256[:16]}...; not used"
        )
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=target.name, delete=False) as file:
        partial = Path(file.name)
    try:
        partial.write_bytes(content)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target
