"""Configuration files: what is read, and that each mistake gets its one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from preprocessing.config_file import ConfigError, dump_yaml, load_yaml, nearest, validate
from preprocessing.spec import PreprocessSpec, aligned_by


@dataclass(frozen=True, kw_only=True)
class Part:
    width: int = 4
    mode: Literal["sum", "mean"] = "sum"

    def __post_init__(self) -> None:
        if self.width % 2:
            raise ValueError(f"width must be even, not {self.width}")

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rate: float = Field(default=0.1, gt=0)
    names: list[str] = []


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    epochs: int
    inner: Inner = Inner()
    part: Part | None = None
    many: list[Inner] = []

    @model_validator(mode="after")
    def _check(self) -> Outer:
        if self.epochs == 13:
            raise ValueError("13 epochs bring bad luck")
        return self


OUTER = "(allowed here: epochs, inner, part, many)"
INNER = "(allowed here: rate, names)"
PART = "(allowed here: width, mode)"


def write(folder: Path, text: str) -> Path:
    path = folder / "some file.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_and_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, "epochs: 3\ninner: {rate: 1e-3}\n")
    config = load_yaml(path, Outer, ["inner.names=[a, ü]", "part.width=8", "epochs= 4"])
    assert config == Outer(epochs=4, inner=Inner(rate=0.001, names=["a", "ü"]), part=Part(width=8))


def test_override_reaches_a_section_that_is_null(tmp_path: Path) -> None:
    assert load_yaml(write(tmp_path, "epochs: 1\npart: null"), Outer, ["part.width=2"]).part == Part(width=2)
    assert load_yaml(write(tmp_path, "epochs: 1\npart: {}"), Outer, ["part=null"]).part is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epohcs: 3", f"unknown key 'epohcs'; did you mean 'epochs'? {OUTER} (and 1 more)"),
        ("epochs: 3\nzzz: 1", f"unknown key 'zzz' {OUTER}"),
        ("epochs: 3\ninner: {raet: 1}", f"unknown key 'inner.raet'; did you mean 'rate'? {INNER}"),
        ("epochs: 3\nmany: [{}, {raet: 1}]", f"unknown key 'many.1.raet'; did you mean 'rate'? {INNER}"),
        ("epochs: 3\npart: {widht: 1}", f"unknown key 'part.widht'; did you mean 'width'? {PART}"),
        ("epochs: 3\npart: {mode: men}",
         "part.mode must be 'sum' or 'mean', not 'men'; did you mean 'mean'?"),
        ("epochs: 3\npart: {width: 3}", "part: width must be even, not 3"),
        ("epochs: 3\ninner: 7", "inner must be a section with keys, not 7"),
        ("epochs: 3\ninner:\n", "inner must be a section with keys, not None"),
        ("epochs: 3\ninner: {rate: -1}", "inner.rate must be greater than 0, not -1"),
        ("epochs: many", "epochs must be a valid integer, unable to parse string as an integer, not 'many'"),
        ("epochs: 13", "13 epochs bring bad luck"),
        ("", "the key 'epochs' is missing"),
        ("- 1", "must be a table of keys and values, not a list"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_yaml(path, Outer)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 3\nepochs: 4", ", line 2: the key 'epochs' stands twice"),
        ("epochs: [3", ", line 1: "),
        ("epochs: 3\n\tinner: 4", ", line 2: "),
        ("a: !!python/object/apply:os.system ['true']", ", line 1: could not determine a constructor"),
        ("? [1, 2]\n: 3", ", line 1: "),
    ],
)
def test_what_is_not_yaml_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_yaml(path, Outer)
    assert str(caught.value).startswith(f"{path}{message}") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "'epochs' must have the form key.subkey=value"),
        ("=3", "must have the form"),
        ("inner..rate=3", "must have the form"),
        ("epochs.x=3", "'epochs.x=3': epochs is a value without keys"),
        ("epochs=[", "value of epochs, line 1: "),
        ("inner.rtae=3", "unknown key 'inner.rtae'; did you mean 'rate'?"),
    ],
)
def test_override_fails(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml(write(tmp_path, "epochs: 3"), Outer, [override])
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_unreadable_file_fails(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_yaml(tmp_path / "nowhere.yaml", Outer)
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read: not a text file"):
        load_yaml(path, Outer)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        validate({"epochs": 3}, Outer, source="x", overrides=[f"inner.names={text}"])
    except ConfigError as error:
        assert str(error).isprintable() and "\n" not in str(error)


def test_dump_reads_back(tmp_path: Path) -> None:
    config = Outer(epochs=3, inner=Inner(rate=1e-7, names=["no", "1", "ü: x"]), part=Part(mode="mean"))
    assert load_yaml(write(tmp_path, dump_yaml(config)), Outer) == config


def test_nearest() -> None:
    assert nearest("EPOCH", ["epochs", "inner"]) == "epochs"
    assert nearest("qqq", ["epochs", "inner"]) is None


def test_alignment_by_dense_landmarks_is_another_contract() -> None:
    """And the same one for 68 points of the face mesh as for all of them."""
    alignments = {
        (name, by): PreprocessSpec(landmarks=name, align_by=by).contract()["alignment"]  # type: ignore[arg-type]
        for name, by in [("none", "five"), ("mesh", "five"), ("mesh", "dense"), ("mesh468", "dense")]
    }
    assert alignments["none", "five"] == alignments["mesh", "five"] == "eyes-nose-similarity/1"
    assert alignments["mesh", "dense"] == alignments["mesh468", "dense"] == "mesh-eyes-nose-similarity/1"
    assert aligned_by("mesh-eyes-nose-similarity/1") == {"align_by": "dense", "landmarks": "mesh"}
    assert aligned_by("eyes-nose-similarity/1") == aligned_by("precropped") == aligned_by("other/1") == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"align_by": "dense"}, "align_by dense needs dense landmarks"),
        ({"align_by": "dense", "landmarks": "mesh", "faces": "precropped"}, "precropped are not aligned"),
        ({"align_by": "mesh"}, "align_by"),
        ({"faces": "face-alignment:dlib"}, "faces"),
    ],
)
def test_alignments_that_cannot_be_are_refused(values: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        validate(values, PreprocessSpec, source="the test")
    assert "\n" not in str(caught.value)
