"""Opening an exported folder runs no code of it, and what is not as we write it is refused in one line."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from tests.videofer.export_helpers import make_run, short_timings
from videofer.checkpoint import CheckpointError
from videofer.export import export_model, load_model
from videofer.export.archive import OPERATORS

__all__ = ["short_timings"]  # a fixture for all tests here

Edit = Callable[[dict[str, bytes]], None]
PROGRAM, WEIGHTS = "model/models/model.json", "model/data/weights/model_weights_config.json"


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    run = make_run(tmp_path_factory.mktemp("safety") / "run", parts="body")
    return {name: export_model(run, format=name).path for name in ("onnx", "torch-export")}  # type: ignore[arg-type]


@pytest.fixture
def copies(exports: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """In an empty folder of its own, where nothing may appear."""
    monkeypatch.chdir(tmp_path)
    return {name: Path(shutil.copytree(path, tmp_path / name)) for name, path in exports.items()}


def edited(path: Path, edit: Edit, **options: Any) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    edit(files)
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def in_json(name: str, edit: Callable[[Any], None]) -> Edit:
    def edit_files(files: dict[str, bytes]) -> None:
        values = json.loads(files[name])
        edit(values)
        files[name] = json.dumps(values).encode()

    return edit_files


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("bomb_went_off"),)


BOMB = pickle.dumps(Bomb())
CODE = "__import__('pathlib').Path('bomb_went_off').touch()"


def nodes(program: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = program["graph_module"]["graph"]["nodes"]
    return found


def rename_input(program: dict[str, Any]) -> None:
    text = json.dumps(program).replace('"keypoints"', json.dumps(f"keypoints={CODE}"))
    program.clear()
    program.update(json.loads(text))


EDITS: dict[str, tuple[Edit, str]] = {
    "pickled inputs": (lambda f: f.update({"model/data/sample_inputs/model.pt": BOMB}), "are a pickle"),
    "pickled object": (lambda f: f.update({"model/data/constants/custom_obj_0": BOMB}), "holds a file"),
    "old weights": (lambda f: f.update({"model/data/weights/model.pt": BOMB}), "holds a file"),
    "library": (lambda f: f.update({"model/data/aotinductor/model/a.so": b"x"}), "holds a file"),
    "pickled weight": (
        in_json(WEIGHTS, lambda v: next(iter(v["config"].values())).update(use_pickle=True)),
        "is a pickle",
    ),
    "weight elsewhere": (
        in_json(WEIGHTS, lambda v: next(iter(v["config"].values())).update(path_name="../../secret")),
        "path_name '../../secret'",
    ),
    "guard": (in_json(PROGRAM, lambda v: v.update(guards_code=[CODE])), "has guards"),
    "expression": (
        in_json(PROGRAM, lambda v: v["graph_module"]["graph"]["sym_int_values"].update(
            s={"as_expr": {"expr_str": CODE, "hint": None}})),
        "expr_str \"__import__",
    ),
    "operator of torch": (in_json(PROGRAM, lambda v: nodes(v)[0].update(target="torch.os.system")), "target"),
    "operator that writes": (
        in_json(PROGRAM, lambda v: nodes(v)[0].update(target="torch.ops.aten.save.default")), "target"
    ),
    "operator as argument": (
        in_json(PROGRAM, lambda v: nodes(v)[0]["inputs"][0].update(arg={"as_operator": "torch.os.system"})),
        "as_operator",
    ),
    "stack": (
        in_json(PROGRAM, lambda v: nodes(v)[0].update(metadata={"source_fn_stack": "a,os.system"})),
        "source_fn_stack",
    ),
    "name": (in_json(PROGRAM, rename_input), "__import__"),
    "deep": (
        lambda f: f.update({PROGRAM: b'{"guards_code": [], "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"}),
        "recursion",
    ),
    "no json": (lambda f: f.update({PROGRAM: b"{"}), "Expecting"),
    "no program": (lambda f: f.pop(PROGRAM) and None, "models/model.json"),
}  # fmt: skip


@pytest.mark.parametrize("case", EDITS)
def test_a_program_that_is_not_ours_is_refused_unopened(
    copies: dict[str, Path], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit, reason = EDITS[case]
    folder = copies["torch-export"]
    edited(folder / "body.pt2", edit)
    monkeypatch.setattr(torch.export, "load", lambda file: pytest.fail("it was opened"))
    with pytest.raises(
        CheckpointError, match=r"body\.pt2 is not opened, it is not as we write it: "
    ) as error:
        load_model(folder)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)
    assert not Path("bomb_went_off").exists()


def test_compressed_and_doubled_archives_are_refused(copies: dict[str, Path]) -> None:
    path = copies["torch-export"] / "body.pt2"
    content = path.read_bytes()
    edited(path, lambda files: None, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="it is compressed"):
        load_model(path.parent)
    path.write_bytes(content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/models/model.json", b"{}")
    with pytest.raises(CheckpointError, match="a file is in it twice"):
        load_model(path.parent)
    path.write_bytes(BOMB)
    with pytest.raises(CheckpointError, match="not a zip file"):
        load_model(path.parent)


def test_the_bombs_of_these_tests_are_live(copies: dict[str, Path]) -> None:
    """torch itself lets off what is refused above: so it is the refusal that protects."""
    path = copies["torch-export"] / "body.pt2"

    def arm(files: dict[str, bytes]) -> None:
        config = json.loads(files[WEIGHTS])
        payload = next(iter(config["config"].values()))
        payload["use_pickle"] = True
        files[f"model/data/weights/{payload['path_name']}"] = BOMB
        files[WEIGHTS] = json.dumps(config).encode()

    edited(path, arm)
    with pytest.raises(CheckpointError, match="is a pickle"):
        load_model(path.parent)
    assert not Path("bomb_went_off").exists()
    with pytest.raises(RuntimeError):
        torch.export.load(path)
    assert Path("bomb_went_off").exists()


def test_operators_exist_and_touch_no_files() -> None:
    for name in OPERATORS:
        assert hasattr(torch.ops.aten, name), name
    assert not OPERATORS & {"save", "load", "from_file", "_print", "warn"}


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("body.onnx", b"\x00" * 100, r"body\.onnx is no ONNX model"),
        ("body.onnx", BOMB, r"body\.onnx is no ONNX model"),
        ("body.onnx", None, r"body\.onnx"),
        ("answer.onnx", None, r"answer\.onnx"),
        ("export.json", b"{", "export.json is not JSON"),
        ("export.json", b'{"format_version": 1}', "exported as None, format version 1"),
        ("export.json", b'{"format": "onnx", "format_version": 2}', "version 2; .* reads version 1"),
        ("export.json", b'{"format": "pickle", "format_version": 1}', "exported as 'pickle'"),
        ("export.json", b'{"format": "onnx", "format_version": 1, "graphs": {}}', "no 'body'"),
        ("export.json", b"[]", "export.json is no table"),
        ("labels.json", b'["anger"]', "labels.json has"),
        ("calibration.json", b"{}", "not a calibration"),
        ("recipe.yaml", None, "recipe.yaml"),
    ],
)  # fmt: skip
def test_a_damaged_export_is_refused_in_one_line(
    copies: dict[str, Path], name: str, content: bytes | None, match: str
) -> None:
    path = copies["onnx"] / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=match) as error:
        load_model(copies["onnx"])
    assert "\n" not in str(error.value)
    assert not Path("bomb_went_off").exists()


def test_an_onnx_file_cannot_have_others_read(copies: dict[str, Path]) -> None:
    path = copies["onnx"] / "body.onnx"
    proto = onnx.load(path)
    (path.parent / "weights").write_bytes(b"\x00" * 4096)
    tensor = next(t for t in proto.graph.initializer if len(t.raw_data) > 64)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="weights")
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(CheckpointError, match=r"body\.onnx is no ONNX model"):
        load_model(path.parent)


@pytest.mark.parametrize("name", ["onnx", "torch-export"])
def test_formats_are_for_the_cpu(copies: dict[str, Path], name: str) -> None:
    with pytest.raises(CheckpointError, match="an export runs on the CPU here, not on 'cuda'"):
        load_model(copies[name], "cuda")
    assert load_model(copies[name]).device == torch.device("cpu")


def test_a_pickle_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(BOMB)
    with pytest.raises(CheckpointError, match="is a pickle"):
        load_model(tmp_path / "model.pt2")
