"""The errors a store raises for its users. Each message is one line that names the value and the file."""

from __future__ import annotations


class UserError(Exception):
    """What a user asked for cannot be done. The message is one line: the value, what is allowed, the file."""


class StoreError(UserError):
    """The store cannot do what was asked: not a store, another contract, in use, an unknown video."""


class CorruptError(StoreError):
    """Bytes on disk are not what was written: a checksum or a count is wrong."""
