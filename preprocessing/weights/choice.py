"""The files that an engine uses, with their hashes: chosen once by the driver, checked by every worker."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preprocessing.weights.registry import WeightsError


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
