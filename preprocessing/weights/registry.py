"""What is known of a weight file before it is on this machine: the type, and the table of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cache.errors import UserError


class WeightsError(UserError, ValueError):
    """Weights cannot be used as asked; one line for the user."""


@dataclass(frozen=True)
class Weight:
    """One published file of weights.

    sha256: the whole hash (64 hex digits), or as many leading digits as its publisher put into the file's
    name, or None: then the hash of the first download is recorded and holds from there on.
    num_bytes: of the file as it is used, not of a zip around it; None: not known.
    """

    name: str  # short, as `videofer weights fetch NAME` takes it
    file: str  # what it is called in a folder of weights
    purpose: str  # a few words for people
    engines: tuple[str, ...]  # that use it, by the names of the command line: `face-alignment:sfd`
    licence: str  # what its publisher says
    commercial: bool  # whether that licence allows commercial use
    citation: str
    url: str | None = None  # None: published nowhere that it could be fetched from
    mirror: str | None = None  # the same at another address, tried where `url` fails
    member: str | None = None  # `url` is a zip, and the weights are its file of this name, in whatever folder
    sha256: str | None = None
    num_bytes: int | None = None

    @property
    def hash_is_whole(self) -> bool:
        return self.sha256 is not None and len(self.sha256) == 64


class Registry:
    """Known weight files. Found by their short name, by their file's name, or by an engine that uses them."""

    def __init__(self, weights: Iterable[Weight]) -> None:
        listed = list(weights)
        self._by_name = {weight.name: weight for weight in listed}
        self._by_file = {weight.file: weight for weight in listed}
        assert len(self._by_name) == len(self._by_file) == len(listed), "two weights of one name"

    def __iter__(self) -> Iterator[Weight]:
        return iter(self._by_name.values())

    def find(self, name: str) -> Weight | None:
        """The one of that short name or file name."""
        return self._by_name.get(name) or self._by_file.get(name)

    def meant(self, name: str) -> list[Weight]:
        """What a user means by a name: all that the engine of that name uses, else the one file; or nothing.

        An engine comes first, as some share their name with one of their files.
        """
        weight = self.find(name)
        return self.of_engine(name) or ([] if weight is None else [weight])

    def of_engine(self, engine: str) -> list[Weight]:
        """All that an engine uses, named as on the command line."""
        return [weight for weight in self if engine in weight.engines]
