"""Installed packages against what videofer asks for. Nothing is imported: their metadata are read."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version

from videofer.doctor.findings import Finding

TWINS = {
    "OpenCV": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
    "ONNX Runtime": ("onnxruntime-gpu", "onnxruntime"),
}
"""Packages that bring the same module and overwrite one another's files; the first is the one to keep."""


def examine_packages(distribution: str = "videofer") -> list[Finding]:
    """One line if all is well; else one a package that is missing or too old, and one a pair of twins."""
    try:
        asked = requires(distribution) or []
    except PackageNotFoundError:
        seen = f"{distribution} runs from its folder and is not installed: versions are not compared"
        return [Finding("packages", "note", seen, "pip install .")]
    wanted = [line for line in asked if not re.search(r";.*\bextra\s*==", line)]
    wrong = [finding for line in wanted if (finding := check(line)) is not None]
    fit = Finding("packages", "ok", f"all {len(wanted)} that it needs are here and fit")
    return [*(wrong or [fit]), *twins()]


def check(requirement: str) -> Finding | None:
    """None if `requirement` (such as "h5py>=3.12") is installed and fits; a twin does as well."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    name = match[0]
    line = requirement.partition(";")[0].strip()
    mend = f"pip install '{line}'"
    same_module = next((names for names in TWINS.values() if name in names), (name,))
    installed = next(filter(None, map(installed_version, (name, *same_module))), None)
    if installed is None:
        return Finding(name, "broken", "not installed", mend, needed=True)
    if not fits(line, installed):
        return Finding(name, "broken", f"{installed} is installed, needed is {line}", mend, needed=True)
    return None


def fits(requirement: str, installed: str) -> bool:
    """Whether a version fulfils a requirement. True where `packaging`, which compares, is missing itself."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return True
    return Requirement(requirement).specifier.contains(installed, prereleases=True)


def twins() -> list[Finding]:
    """Packages of which only one may be installed."""
    findings = []
    for module, names in TWINS.items():
        there = [name for name in names if installed_version(name)]
        if len(there) > 1:
            keep, *others = there
            seen = f"{' and '.join(there)} overwrite one another's files: which one works is chance"
            mend = f"pip uninstall --yes {' '.join(others)} && pip install --force-reinstall --no-deps {keep}"
            findings.append(Finding(f"more than one {module}", "note", seen, mend))
    return findings


def installed_version(name: str) -> str | None:
    """None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
