"""The import rule: cache <- preprocessing <- videofer, and the order inside videofer. And fast help."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cache", "preprocessing", "videofer")
TIERS = [
    {"builtin", "doctor", "emotions", "models", "resources", "synthetic"},
    {"datasets", "data", "ensembles", "evaluation", "recipe", "checkpoint", "export", "quality", "upkeep"},
    {"training"},
    {"experiments"},
    {"timeline"},
    {"formats", "annotations", "overlay", "report"},
    {"live", "reproduce", "study"},
    {"app"},
    {"cli", "demo"},
]
"""Parts of videofer; each may import its own tier and those before it."""

HEAVY = ("torch", "ray", "pandas", "cv2", "matplotlib", "av", "h5py", "sklearn", "scipy", "onnxruntime")


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Dotted names of everything a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tier(part: str) -> int:
    return next(number for number, parts in enumerate(TIERS) if part in parts)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    allowed = PACKAGES[: PACKAGES.index(parts[0]) + 1]
    for name in imports(path):
        names = name.split(".")
        if names[0] in PACKAGES:
            assert names[0] in allowed, f"{parts[0]} imports {name}"
        assert names[0] not in ("tests", "tools")
        if parts[0] == "cache":
            assert names[0] not in ("torch", "ray", "av", "pydantic"), f"the store imports {name}"
        if parts[0] == "videofer" == names[0] and parts[1:] != ("__init__",):
            assert tier(names[1]) <= tier(parts[1]), f"{'.'.join(parts)} imports {name}"


def test_every_part_of_videofer_has_its_tier() -> None:
    parts = {path.stem for path in (ROOT / "videofer").iterdir() if not path.name.startswith("_")}
    assert parts == set().union(*TIERS)


@pytest.mark.parametrize("module", ["videofer", "videofer.cli"])
def test_importing_is_light(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert result.stdout.strip() == "[]"


def test_no_module_is_long() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in modules()}
    assert {name: n for name, n in lengths.items() if n > 500} == {}
