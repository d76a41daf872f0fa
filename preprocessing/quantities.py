"""Times, sizes and counts as people read them."""

from __future__ import annotations

import math


def as_time(seconds: float) -> str:
    """4 ms, 0.42 s, 12.3 s, 4 min 05 s, 3 h 20 min, 2.4 days."""
    if not math.isfinite(seconds):
        return "unknown"
    if 0 < seconds < 0.0995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        whole = round(seconds)
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{seconds / 86400:,.1f} days"


def as_hours(seconds: float) -> str:
    """The same in hours, two digits that matter: 0.012 h, 3.43 h, 12,345 h."""
    return f"{as_number(seconds / 3600)} h"


def as_bytes(num_bytes: float) -> str:
    """Decimal units, as disks are sold: 812 B, 3.4 kB, 1.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(num_bytes) < 999.5:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{as_number(num_bytes)} {unit}"
        num_bytes /= 1000
    return f"{as_number(num_bytes)} TB"


def as_number(value: float) -> str:
    """Three digits that matter, or all before the point; no exponents."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "unknown"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{round(value, digits):,.{min(digits, 4)}f}" if digits else f"{round(value):,}"


def as_share(part: float, whole: float) -> str:
    """12 %, or 0.3 % below one."""
    share = 100 * part / whole if whole else 0.0
    return f"{share:.0f} %" if share >= 1 or share == 0 else f"{share:.1f} %"


def as_count(number: int, noun: str) -> str:
    """1 video, 2,000 videos."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
