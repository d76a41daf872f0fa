"""What an input may cost at most. Checked before decoding, and by the decoders where headers can lie."""

from __future__ import annotations

from dataclasses import dataclass

from preprocessing.types import InputError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Inputs beyond these are refused. Generous: they stop absurd headers, not long recordings."""

    max_bytes: int = 1 << 38  # 256 GiB
    max_duration_seconds: float = 48 * 3600.0
    max_pixels: int = 8192 * 8192  # of one picture

    def check_bytes(self, num_bytes: int) -> None:
        """Raises InputError for an empty or oversized file."""
        if num_bytes == 0:
            raise InputError("probe", "empty file")
        if num_bytes > self.max_bytes:
            raise InputError("probe", f"file of {num_bytes} bytes; the limit is {self.max_bytes}")

    def check_picture(self, width: int, height: int) -> None:
        """Raises InputError for a picture without area or with too many pixels."""
        if width <= 0 or height <= 0:
            raise InputError("probe", f"the header says a picture of {width}x{height} pixels")
        if width * height > self.max_pixels:
            raise InputError(
                "probe", f"picture of {width}x{height} pixels; the limit is {self.max_pixels} pixels"
            )

    def check_duration(self, seconds: float | None) -> None:
        """Raises InputError for a declared duration beyond the limit."""
        if seconds is not None and seconds > self.max_duration_seconds:
            raise InputError(
                "probe", f"duration of {seconds:.0f} s; the limit is {self.max_duration_seconds:.0f} s"
            )
