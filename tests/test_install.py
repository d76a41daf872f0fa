"""The files that installations start from agree with each other: project, lock, conda, container, cluster."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED_EXTRAS = ("dev", "face-alignment", "torchcodec")
SECOND_OPENCV = "opencv-python"  # what face-alignment asks for and the lock leaves out

CONDA_ENVIRONMENT = {
    "type": "object",
    "required": ["name", "channels", "dependencies"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": r"^[^/ :#]+$"},
        "channels": {"type": "array", "items": {"type": "string", "minLength": 1}},
        "dependencies": {
            "type": "array",
            "items": {
                "oneOf": [
                    # name, or name and version as conda writes them: one `=`, or comparisons
                    {
                        "type": "string",
                        "pattern": r"^[a-z0-9_.-]+((=[\w.*]+)|([<>!=]=?[\w.*]+(,[<>!=]=?[\w.*]+)*))?$",
                    },
                    {
                        "type": "object",
                        "required": ["pip"],
                        "additionalProperties": False,
                        "properties": {"pip": {"type": "array", "items": {"type": "string"}}},
                    },
                ]
            },
        },
        "variables": {"type": "object", "additionalProperties": {"type": "string"}},
        "prefix": {"type": "string"},
    },
}
"""What conda takes as an environment file, by its documentation."""


def locked(*, everywhere: bool = False) -> dict[str, str]:
    """Version by name. everywhere: without those that only some versions of Python need."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    wanted = [Requirement(line) for line in lines if not line.startswith("#")]
    pins = [w for w in wanted if not (everywhere and w.marker)]
    return {canonicalize_name(w.name): str(w.specifier).removeprefix("==") for w in pins}


@pytest.fixture
def in_the_locked_environment() -> None:
    """For tests that look at installed packages: elsewhere they say nothing."""
    pins = locked(everywhere=True)
    try:
        found = {name: distribution(name).version.partition("+")[0] for name in pins}
    except PackageNotFoundError as error:
        pytest.skip(f"not the environment of requirements.lock: no {error.name}")
    if found != pins:
        pytest.skip("not the environment of requirements.lock")


def asked() -> list[str]:
    extras = PROJECT["optional-dependencies"]
    return [*PROJECT["dependencies"], *(line for extra in LOCKED_EXTRAS for line in extras[extra])]


@pytest.mark.parametrize("line", asked())
def test_the_lock_holds_what_the_project_asks_for(line: str) -> None:
    wanted = Requirement(line)
    assert wanted.specifier.contains(locked()[canonicalize_name(wanted.name)])


@pytest.mark.usefixtures("in_the_locked_environment")
def test_the_lock_is_closed() -> None:
    """Whatever a locked package needs on this machine is locked, in a version that fits."""
    pins = locked()
    missing = []
    for name in locked(everywhere=True):
        for line in distribution(name).requires or []:
            needed = Requirement(line)
            if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
                continue
            version = pins.get(canonicalize_name(needed.name))
            if version is None or not needed.specifier.contains(version, prereleases=True):
                missing.append((name, line))
    assert missing == [("face-alignment", SECOND_OPENCV)]


def test_the_environment_of_conda() -> None:
    environment = yaml.safe_load((ROOT / "environment.yaml").read_text())
    jsonschema.validate(environment, CONDA_ENVIRONMENT)
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    pins = dict(line.split("==") for line in pip)
    kept = {name: version for name, version in locked(everywhere=True).items() if name != "face-alignment"}
    assert {canonicalize_name(name): version for name, version in pins.items()} == kept
    python = next(e for e in environment["dependencies"] if str(e).startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x", "channels": ["c"], "dependencies": ["python==3.11 # why"]},
        {"name": "x", "channels": ["c"], "dependencies": [{"npm": []}]},
        {"name": "x", "channels": "c", "dependencies": []},
        {"channels": ["c"], "dependencies": []},
    ],
)
def test_conda_would_refuse(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, CONDA_ENVIRONMENT)


def test_what_the_container_copies_is_sent_to_the_builder() -> None:
    ignored = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] not in "#"
    ]
    sent = {line[1:] for line in ignored if line.startswith("!")}
    text = (ROOT / "Dockerfile").read_text()
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for word in line.split()
    ]
    assert set(copied) == sent
    assert all((ROOT / name).exists() for name in sent)
    packages = ["cache", "preprocessing", "videofer"]
    assert set(packages) <= sent
    assert not any(
        fnmatch.fnmatch(f"{name}/module.py", p) for name in packages for p in ignored[1:] if "!" not in p
    )


def test_the_container_has_what_the_lock_has() -> None:
    """The names that the Dockerfile picks from the lock stand there."""
    text = (ROOT / "Dockerfile").read_text()
    picked = re.search(r"\^\(([a-z_|]+)\)==' requirements.lock > alone.txt", text)
    assert picked is not None
    lock = (ROOT / "requirements.lock").read_text()
    assert all(re.search(rf"^{name}==", lock, re.MULTILINE) for name in picked[1].split("|"))
    assert re.search(r"^onnxruntime==", lock, re.MULTILINE)
    version = re.search(r"^ARG PYTHON=(.+)$", text, re.MULTILINE)
    assert version is not None and SpecifierSet(PROJECT["requires-python"]).contains(version[1])


def test_the_runtime_environment_of_a_job() -> None:
    from ray.runtime_env import RuntimeEnv

    content = yaml.safe_load((ROOT / "configs" / "ray" / "runtime_env.yaml").read_text())
    environment = RuntimeEnv(**content)  # checks names and types
    assert environment["pip"]["packages"] == ["${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}"]
    assert "OMP_WAIT_POLICY" not in content.get("env_vars", {})  # ours, and Ray merges no variable twice
    with pytest.raises((TypeError, ValueError)):
        RuntimeEnv(**{**content, "pip": 5})


def test_python_versions_are_said_alike() -> None:
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert [v for v in ("3.10", "3.11", "3.12", "3.13", "3.14") if allowed.contains(Version(v))] == [
        "3.11",
        "3.12",
        "3.13",
    ]
    classifiers = {c.rpartition(" ")[2] for c in PROJECT["classifiers"] if "Python :: 3." in c}
    assert classifiers == {"3.11", "3.12", "3.13"}


def test_every_extra_is_explained() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert [extra for extra in PROJECT["optional-dependencies"] if f"`{extra}`" not in page] == []
