"""Which files a user wants who names weights, engines or addresses, and under which licence they come."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from preprocessing.weights.record import Record
from preprocessing.weights.registry import Registry, Weight, WeightsError
from preprocessing.weights.transfer import check_address

UNKNOWN_LICENCE = "not known here: see where it is published"


def wanted(names: Sequence[str], registry: Registry, sha256: str | None = None) -> list[Weight]:
    """The files of those names, each once: short names, names of files or engines, https addresses.

    An engine stands for all its files that can be fetched. A file that is known stays so at another address:
    its hash and licence hold. sha256: of the one address. WeightsError for a name that is none of these.
    """
    if sha256 is not None:
        if len(names) != 1 or "://" not in names[0]:
            raise WeightsError("--sha256 goes with exactly one address; the hashes of others are known")
        return [from_address(names[0], sha256)]
    found: dict[str, Weight] = {}
    for name in names:
        for weight in _wanted(name, registry):
            found[weight.file] = weight
    return list(found.values())


def _wanted(name: str, registry: Registry) -> list[Weight]:
    if "://" in name:
        own = from_address(name)
        known = registry.find(own.file)
        return [own if known is None else replace(known, url=name, mirror=None, member=None)]
    meant = registry.meant(name)
    if not meant:
        raise WeightsError(
            f"unknown weights {name!r}: not in `videofer weights list`, no engine, no https address"
        )
    return [weight for weight in meant if weight.url is not None] or meant


def not_published(names: Sequence[str], registry: Registry) -> list[Weight]:
    """What those names mean besides what `wanted` gives: files of engines that cannot be fetched."""
    files = {weight.file for weight in wanted(names, registry)}
    meant = {weight.file: weight for name in names for weight in registry.meant(name)}
    return [weight for weight in meant.values() if weight.file not in files]


def from_address(url: str, sha256: str | None = None) -> Weight:
    """A file that the registry does not list, at its own address.

    sha256: its hash, if the user knows it; else the digits of it in the file's name, as torch.hub and
    OpenMMLab write them: `NAME-1a2b3c4d.pth`, `NAME-1a2b3c4d_20230504.pth`. WeightsError.
    """
    check_address(url)
    file = unquote(urlsplit(url).path.rpartition("/")[2])
    if not is_plain_name(file):
        raise WeightsError(f"the address {url} does not end with the name of a file")
    if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise WeightsError(f"a SHA-256 has 64 digits of 0-9 and a-f, not {sha256!r}")
    return Weight(
        name=file,
        file=file,
        purpose="fetched by its address",
        engines=(),
        licence=UNKNOWN_LICENCE,
        commercial=False,
        citation="",
        url=url,
        sha256=sha256 or _digits_in_name(file),
    )


def _digits_in_name(file: str) -> str | None:
    """The leading digits of a hash that a name ends with. All figures would be a date."""
    found = re.search(r"-([0-9a-f]{8,64})(?:_\d{8})?\.(?:pth|pt)(?:\.tar)?$", file)
    return None if found is None or found[1].isdigit() else found[1]


def is_plain_name(name: str) -> bool:
    """Whether it is the name of a file, and of no folder, no hidden file and none of ours."""
    return (
        0 < len(name.encode()) <= 200
        and name.isprintable()
        and not name.startswith(".")
        and not re.search(r'[/\\:*?"<>|]', name)
        and not name.endswith((".json", ".partial", ".unpacked"))
    )


def check_licences(files: Sequence[Weight | Record], *, accepted: bool) -> None:
    """WeightsError that names those which may not be used for everything, unless that was accepted."""
    restricted = [f"{one.file} ({one.licence})" for one in files if not one.commercial]
    if restricted and not accepted:
        raise WeightsError(
            f"not for every use: {', '.join(restricted)}; if that allows yours, say --accept-license"
        )
