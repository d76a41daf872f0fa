"""Weight files: the order of the folders, the hash check, and the download with all that can go wrong."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from preprocessing.weights import (
    EngineChoice,
    Registry,
    Weight,
    WeightFile,
    WeightsError,
    find,
    locate,
    missing,
    sha256_of,
    user_cache_dir,
)
from preprocessing.weights.locate import download_dir
from preprocessing.weights.record import record_of, record_path, write_record
from tests.preprocessing.weights_server import Fault, Served, serve

CONTENT = b"weights" * 1000
NAME = "model.onnx"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Served]:
    """A web server on this machine that has `NAME`, known by its hash, and a cache of nobody's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("VIDEOFER_OFFLINE", "0")
    monkeypatch.setenv("no_proxy", "*")
    with serve() as served:
        register(monkeypatch, served.weight(NAME, CONTENT))
        yield served


def register(monkeypatch: pytest.MonkeyPatch, *weights: Weight) -> None:
    monkeypatch.setattr(locate, "REGISTRY", Registry(weights))


def test_named_folder_comes_before_environment_and_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, environment = tmp_path / "named", tmp_path / "environment"
    for folder in (named, environment, user_cache_dir()):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "any.bin").write_bytes(b"x")
    monkeypatch.setenv("VIDEOFER_WEIGHTS", str(environment))
    assert find("any.bin", named) == named / "any.bin"
    assert find("any.bin") == environment / "any.bin"
    monkeypatch.delenv("VIDEOFER_WEIGHTS")
    assert find("any.bin") == user_cache_dir() / "any.bin"
    assert find("other.bin", named) is None


def test_missing_folder_is_named() -> None:
    with pytest.raises(WeightsError, match="no such folder of weights: /nowhere"):
        find("any.bin", Path("/nowhere"))


def test_download_lands_whole_in_the_cache(served: Served) -> None:
    path = find(NAME)
    assert path == user_cache_dir() / NAME
    assert path.read_bytes() == CONTENT
    assert find("model") == path and len(served.asked) == 1  # the second time it is there


def test_download_goes_where_the_user_keeps_weights(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOFER_WEIGHTS", str(tmp_path / "weights"))
    assert find(NAME) == tmp_path / "weights" / NAME
    assert download_dir(tmp_path / "named") == tmp_path / "named"
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDEOFER_WEIGHTS", str(tmp_path / "file" / "weights"))  # where nobody can write
    assert download_dir() == user_cache_dir()


@pytest.mark.parametrize(
    ("fault", "logged"),
    [
        (Fault(status=404), "404"),
        (Fault(cut=6990), "broke off after 6990 of 7000 bytes"),
        (Fault(content_type="text/html"), "a page for people"),
    ],
)
def test_failed_download_gives_none_and_one_line(
    served: Served, caplog: pytest.LogCaptureFixture, fault: Fault, logged: str
) -> None:
    served.faults = [fault]
    served.faults += [Fault(status=503)] * 5
    assert find(NAME) is None
    (record,) = caplog.records
    assert logged in record.getMessage() or "503" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert not (user_cache_dir() / NAME).exists()


@pytest.mark.parametrize("body", [CONTENT[:-1] + b"X", CONTENT + b"more", CONTENT[:-10]])
def test_poisoned_download_is_refused(served: Served, body: bytes) -> None:
    served.files[f"/{NAME}"] = body
    with pytest.raises(WeightsError, match="not used"):
        find(NAME)
    assert list(user_cache_dir().iterdir()) == []


def test_offline_does_not_ask(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOFER_OFFLINE", "1")
    assert find(NAME) is None
    monkeypatch.setenv("VIDEOFER_OFFLINE", "0")
    assert find(NAME, download=False) is None
    assert served.asked == []


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": None},
        {"sha256": "0123456789"},
        {"commercial": False},
        {"num_bytes": 10_000_001},
        {"num_bytes": None},
        {"url": None},
    ],
)
def test_what_needs_a_decision_does_not_come_by_itself(
    served: Served, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    register(monkeypatch, served.weight(NAME, CONTENT, **changes))
    assert find(NAME) is None and served.asked == []


def test_poisoned_file_is_refused(tmp_path: Path, served: Served) -> None:
    (tmp_path / NAME).write_bytes(CONTENT[:-1] + b"X")
    with pytest.raises(WeightsError, match=r"model\.onnx is not the published file: .*; remove it"):
        find(NAME, tmp_path)


def test_a_file_without_a_known_hash_is_held_to_its_record(
    tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    weight = served.weight(NAME, CONTENT, sha256=None)
    register(monkeypatch, weight)
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    assert find(NAME, tmp_path) == path  # somebody put it there: taken, and said
    assert "nobody can say whether it is the right one" in caplog.text
    caplog.clear()
    write_record(path, record_of(weight, sha256_of(path), len(CONTENT)))
    assert find(NAME, tmp_path) == path and not caplog.records
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(WeightsError, match=r"model\.onnx is not what was fetched first: .*; remove it"):
        find(NAME, tmp_path)
    record_path(path).write_text("[]")
    with pytest.raises(WeightsError, match=r"model\.onnx\.json is no record of weights"):
        find(NAME, tmp_path)


def test_missing_says_what_where_from_and_how(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(missing("sfd")) == (
        "weights of face-alignment:sfd are missing: `videofer weights fetch sfd` gets s3fd-619a316812.pth "
        "(89.8 MB) from https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth; "
        "or put it into --weights-dir or $VIDEOFER_WEIGHTS"
    )
    assert "`videofer weights fetch scrfd --accept-license`" in str(missing("det_2.5g.onnx"))
    assert "published nowhere to be fetched from: put facemesh_468.onnx into" in str(missing("facemesh"))
    both = str(missing("blazeface", "blazeface-anchors", engine="face-alignment:blazeface"))
    assert (
        "`videofer weights fetch blazeface blazeface-anchors` gets blazeface.pth (420 kB) from https" in both
    )
    assert ", anchors.npy (28.8 kB) from https" in both and both.endswith(
        "or put them into --weights-dir or $VIDEOFER_WEIGHTS"
    )
    assert "weights of face-alignment:sfd are missing: `videofer weights fetch fan`" in str(
        missing("fan", engine="face-alignment:sfd")
    )
    assert str(missing("mine.onnx")) == (
        "weights are missing: put mine.onnx into --weights-dir or $VIDEOFER_WEIGHTS"
    )


def test_choice_survives_json_and_pickle(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    choice = EngineChoice("yunet", {"pose": WeightFile.of(path)}, "because")
    assert EngineChoice.from_json(choice.to_json()) == choice
    assert pickle.loads(pickle.dumps(choice)) == choice
    assert str(tmp_path) not in str(choice.provenance())
    assert choice.weights["pose"].checked() == path


def test_file_that_changed_since_it_was_chosen_is_refused(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    file = WeightFile.of(path)
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(WeightsError, match="the run was started with"):
        file.checked()
    path.unlink()
    with pytest.raises(WeightsError, match="not on this machine"):
        file.checked()
