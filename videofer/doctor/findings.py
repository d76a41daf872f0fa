"""What `videofer doctor` finds: one line a thing, with what mends it; and all of them as one report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["ok", "note", "absent", "broken"]
"""ok: as it should be. note: works, but better known. absent: an option that is not there. broken: what
videofer needs, or what was installed on purpose, does not work."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    seen: str = ""  # in a few words
    mend: str = ""  # what to do about it, where something can be done: a command, or a line that ends in one
    figures: dict[str, float | int | str] = field(default_factory=dict)  # the same in numbers, for programs
    needed: bool = False  # videofer as a whole does not work without it


def speed(name: str, per_second: float | None, unit: str) -> Finding:
    """An engine that works, and how fast; None: it was not timed."""
    if per_second is None:
        return Finding(name, "ok")
    shown = f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.1f}"
    return Finding(name, "ok", f"{shown} {unit}", figures={"per_second": round(per_second, 2)})


@dataclass(frozen=True)
class Report:
    """Everything that was looked at, in the order in which it is shown."""

    versions: dict[str, str]  # of videofer, Python and the system
    sections: dict[str, list[Finding]]

    @property
    def healthy(self) -> bool:
        """Whether everything that videofer needs works. Options that are not there do not count."""
        return not any(f.needed and f.state == "broken" for found in self.sections.values() for f in found)

    def to_json(self) -> dict[str, Any]:
        """Keys as documented in docs/install.md."""
        return {
            **self.versions,
            "healthy": self.healthy,
            "sections": {name: [asdict(f) for f in found] for name, found in self.sections.items()},
        }
