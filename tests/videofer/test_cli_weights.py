"""`videofer weights` as a user meets it, with a server on this machine in the place of the publishers'."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from preprocessing import weights
from preprocessing.weights import Registry, locate, user_cache_dir
from tests.preprocessing.weights_server import Fault, Served, serve
from videofer.cli import app
from videofer.cli.errors import DONE, SOME_FAILED, USAGE, one_line_errors

CONTENT = b"weights" * 1000


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Served]:
    """Two files of one engine that anybody may use, one of another licence, one that nobody publishes.

    That one is of an engine that has the name of its other file, as the engine yunet has.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("VIDEOFER_OFFLINE", "0")
    monkeypatch.setenv("no_proxy", "*")
    with serve() as served:
        registry = Registry(
            [
                served.weight("pose.onnx", CONTENT, engines=("rtmlib:body", "rtmlib:wholebody", "pose")),
                served.weight(
                    "person.onnx", b"person", engines=("rtmlib:body",), sha256=None, num_bytes=None
                ),
                served.weight("theirs.onnx", b"theirs", commercial=False, licence="research only"),
                served.weight("mesh.onnx", b"mesh", engines=("pose",), url=None),
            ]
        )
        for module in (weights, locate):
            monkeypatch.setattr(module, "REGISTRY", registry)
        yield served


@pytest.fixture
def videofer(capsys: pytest.CaptureFixture[str]) -> Videofer:
    return Videofer(capsys)


class Videofer:
    """The command in this process: its exit code, and what it wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        code = one_line_errors(app, ["weights", *map(str, arguments)])
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err

    def refused(self, *arguments: object) -> str:
        code, _, err = self(*arguments)
        assert code == USAGE and err.count("\n") == 1, err
        return err


def test_fetch_list_verify(served: Served, videofer: Videofer) -> None:
    code, out, _ = videofer("fetch", "rtmlib:body")
    folder = user_cache_dir()
    assert code == DONE
    assert out.splitlines() == [f"{folder}/pose.onnx  (MIT)", f"{folder}/person.onnx  (MIT)"]
    assert videofer("fetch", "pose")[:2] == (DONE, f"{folder}/pose.onnx  (was there)\n")
    code, out, _ = videofer("list")
    assert code == DONE
    assert [line.split()[:2] for line in out.splitlines()[1:5]] == [
        ["*", "pose"],
        ["*", "person"],
        ["theirs", "6"],
        ["-", "mesh"],
    ]
    code, out, _ = videofer("verify")
    assert (code, out.splitlines()) == (
        DONE,
        [f"published     {folder}/pose.onnx", f"recorded      {folder}/person.onnx", "2 files, 0 wrong"],
    )
    (folder / "pose.onnx").write_bytes(b"other")
    code, out, _ = videofer("verify")
    assert code == SOME_FAILED
    assert out.startswith(f"WRONG         {folder}/pose.onnx is not the published file")
    assert "pose.onnx is not the published file" in videofer.refused("fetch", "pose")
    assert "pose.onnx is not the published file" in videofer.refused("fetch", "pose", "--weights-dir", folder)


def test_the_name_of_an_engine_is_all_its_files(served: Served, videofer: Videofer, tmp_path: Path) -> None:
    """To `fetch` and to `pack` alike, also where one of them has the engine's name."""
    folder = user_cache_dir()
    code, out, err = videofer("fetch", "pose")
    assert (code, out) == (DONE, f"{folder}/pose.onnx  (MIT)\n")
    assert err.splitlines()[-1:] == ["left out: mesh, published nowhere: mesh.onnx goes there by hand"]
    (folder / "mesh.onnx").write_bytes(b"mesh")
    assert "left out" not in videofer("fetch", "pose")[2]
    code, out, _ = videofer("pack", tmp_path / "pack.tar", "pose")
    assert code == DONE and [line.split()[0] for line in out.splitlines()[:2]] == ["pose.onnx", "mesh.onnx"]
    assert "left out" not in videofer("fetch", "pose", "--weights-dir", tmp_path / "new")[2]


def test_fetch_takes_what_lies_where_nobody_may_write(
    served: Served, videofer: Videofer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOFER_WEIGHTS", str(tmp_path / "shared"))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "pose.onnx").write_bytes(CONTENT)
    monkeypatch.setattr("os.access", lambda *_: False)
    code, out, _ = videofer("fetch", "pose", "person")
    assert code == DONE
    assert out.splitlines() == [
        f"{tmp_path}/shared/pose.onnx  (was there)",
        f"{user_cache_dir()}/person.onnx  (MIT)",
    ]


def test_list_for_machines(served: Served, videofer: Videofer, tmp_path: Path) -> None:
    (tmp_path / "pose.onnx").write_bytes(CONTENT)
    code, out, _ = videofer("list", "--json", "--weights-dir", tmp_path)
    listed = json.loads(out)
    assert code == DONE and listed["others"] == []
    pose, person, _, mesh = listed["weights"]
    assert pose["path"] == str(tmp_path / "pose.onnx") and pose["num_bytes"] == len(CONTENT)
    assert person["path"] is None and person["sha256"] is None and mesh["url"] is None


def test_all_leaves_out_what_needs_a_yes(served: Served, videofer: Videofer, tmp_path: Path) -> None:
    code, out, err = videofer("fetch", "--all", "--weights-dir", tmp_path)
    assert code == DONE and len(out.splitlines()) == 2
    assert "left out: theirs (research only): say --accept-license" in err
    code, out, _ = videofer("fetch", "--all", "--accept-license", "--weights-dir", tmp_path)
    assert code == DONE and f"{tmp_path}/theirs.onnx  (research only)" in out
    assert json.loads((tmp_path / "theirs.onnx.json").read_text())["licence"] == "research only"


def test_one_that_fails_does_not_stop_the_others(served: Served, videofer: Videofer, tmp_path: Path) -> None:
    served.faults = [Fault(status=404)]
    code, out, err = videofer("fetch", "pose", "person", "--weights-dir", tmp_path)
    assert code == SOME_FAILED and out == f"{tmp_path}/person.onnx  (MIT)\n"
    assert "failed: pose: " in err and "HTTP 404" in err
    served.faults = [Fault(status=404)]
    assert "HTTP 404" in videofer.refused("fetch", "pose", "--weights-dir", tmp_path)


def test_what_fetch_refuses(
    served: Served, videofer: Videofer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "name what to fetch, or say --all" in videofer.refused("fetch")
    assert "name what to fetch, or say --all" in videofer.refused("fetch", "pose", "--all")
    assert "unknown weights 'nose'" in videofer.refused("fetch", "nose")
    assert "not for every use: theirs.onnx (research only)" in videofer.refused("fetch", "theirs", "pose")
    assert "mesh.onnx is published nowhere" in videofer.refused("fetch", "mesh")
    assert "--sha256 goes with exactly one address" in videofer.refused("fetch", "pose", "--sha256", "0" * 64)
    monkeypatch.setenv("VIDEOFER_OFFLINE", "1")
    assert "$VIDEOFER_OFFLINE forbids downloading" in videofer.refused("fetch", "pose")
    assert served.asked == []


def test_a_file_by_its_address(served: Served, videofer: Videofer, tmp_path: Path) -> None:
    served.files["/own.pth"] = b"own"
    address = f"{served.address}/own.pth"
    assert "own.pth (not known here" in videofer.refused("fetch", address, "--weights-dir", tmp_path)
    wrong = ("fetch", address, "--accept-license", "--weights-dir", tmp_path, "--sha256", "0" * 64)
    assert "is not the published file" in videofer.refused(*wrong)
    assert videofer(*wrong[:-2])[0] == DONE
    assert "also here: " in videofer("list", "--weights-dir", tmp_path)[1]
    assert f"recorded      {tmp_path}/own.pth" in videofer("verify", "--weights-dir", tmp_path)[1]


def test_trust_of_a_file_brought_by_hand(served: Served, videofer: Videofer, tmp_path: Path) -> None:
    (tmp_path / "person.onnx").write_bytes(b"person")
    assert "unchecked     " in videofer("verify", "--weights-dir", tmp_path)[1]
    assert "recorded      " in videofer("verify", "--trust", "person", "--weights-dir", tmp_path)[1]
    assert "weights of rtmlib:body are missing" in videofer.refused("verify", "--trust", "pose")


def test_pack_and_unpack(served: Served, videofer: Videofer, tmp_path: Path) -> None:
    videofer("fetch", "--all", "--accept-license", "--weights-dir", tmp_path / "here")
    pack = tmp_path / "weights.tar"
    code, out, _ = videofer("pack", pack, "pose", "theirs", "--weights-dir", tmp_path / "here")
    assert code == DONE
    assert out.splitlines() == ["pose.onnx  (MIT)", "theirs.onnx  (research only)", str(pack)]
    assert "weights.tar is there already" in videofer.refused(
        "pack", pack, "--weights-dir", tmp_path / "here"
    )
    assert "not for every use" in videofer.refused("unpack", pack)
    code, out, _ = videofer("unpack", pack, "--accept-license", "--weights-dir", tmp_path / "there")
    assert code == DONE
    assert out.splitlines() == [
        f"{tmp_path}/there/pose.onnx  (MIT)",
        f"{tmp_path}/there/theirs.onnx  (research only)",
    ]
    code, out, _ = videofer("unpack", pack, "--accept-license", "--weights-dir", tmp_path / "there")
    assert code == DONE and out.count("(was there)") == 2
    assert "2 files, 0 wrong" in videofer("verify", "--weights-dir", tmp_path / "there")[1]
    assert "is no whole pack" in videofer.refused("unpack", tmp_path / "here" / "pose.onnx")


def test_commands_say_what_they_do(videofer: Videofer) -> None:
    for command in ("list", "fetch", "verify", "pack", "unpack"):
        assert videofer(command, "--help")[0] == DONE
