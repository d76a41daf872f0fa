"""Packs: what goes in comes out, and nothing that a hostile or a damaged pack holds comes through."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocessing.weights import REGISTRY as KNOWN
from preprocessing.weights import Registry, Weight, WeightsError
from preprocessing.weights.check import Trust
from preprocessing.weights.order import not_published, wanted
from preprocessing.weights.pack import MANIFEST, contents, pack, unpack
from preprocessing.weights.present import Finding, Present, pick, present, trust, verify
from preprocessing.weights.record import read_record, record_of, record_path, write_record

CONTENT = b"weights" * 1000


def weight(name: str, content: bytes | None = CONTENT, **changes: Any) -> Weight:
    known: dict[str, Any] = {
        "name": name,
        "file": f"{name}.onnx",
        "purpose": "a test",
        "engines": ("engine",),
        "licence": "MIT",
        "commercial": True,
        "citation": "nobody",
        "sha256": None if content is None else hashlib.sha256(content).hexdigest(),
    }
    return Weight(**{**known, **changes})


REGISTRY = Registry([weight("one"), weight("two", None, commercial=False), weight("absent")])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One file with a published hash, one held to its record, and one that was fetched by its address."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for name, content in (("one", CONTENT), ("two", b"second"), ("own", b"third")):
        path = folder / f"{name}.onnx"
        path.write_bytes(content)
        if name != "one":
            known = REGISTRY.find(name) or weight(name, None, licence="unknown", commercial=False)
            write_record(path, record_of(known, hashlib.sha256(content).hexdigest(), len(content)))
    (folder / "notes.json").write_text("{}")  # not a record of anything
    (folder / "mine.bin").write_bytes(b"nobody knows this one")
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_is_here(folder: Path) -> None:
    files = present(folder, REGISTRY)
    assert [one.path.name for one in files] == ["one.onnx", "two.onnx", "own.onnx"]
    assert [one.known.name if one.known else None for one in files] == ["one", "two", None]
    assert pick(["engine"], files) == files[:2] and pick(["own.onnx", "one"], files) == [files[2], files[0]]
    with pytest.raises(WeightsError, match=r"put absent\.onnx into"):
        pick(["absent.onnx"], files)


def test_names_mean_the_same_to_pick_and_to_fetch() -> None:
    """Of all that is known: `pack NAME` takes what `fetch NAME` brings, and what nobody publishes besides."""
    here = [Present(Path(each.file), each) for each in KNOWN]
    names_of = {name for each in KNOWN for name in (each.name, each.file, *each.engines)}
    for name in names_of:
        meant = {each.file for each in [*wanted([name], KNOWN), *not_published([name], KNOWN)]}
        assert meant == {one.path.name for one in pick([name], here)}, name


def test_verify_finds_what_is_wrong(folder: Path) -> None:
    files = present(folder, REGISTRY)
    assert [finding.trust for finding in verify(files)] == [Trust.PUBLISHED, Trust.RECORDED, Trust.RECORDED]
    for one in files:
        one.path.write_bytes(b"other")
    files[2].path.unlink()
    findings = verify(files)
    assert [finding.trust for finding in findings] == [None] * 3
    assert "is not the published file" in findings[0].problem
    assert "is not what was fetched first" in findings[1].problem
    assert "No such file" in findings[2].problem


def test_a_file_put_here_by_hand_is_trusted_when_somebody_says_so(folder: Path) -> None:
    record_path(folder / "two.onnx").unlink()
    (two,) = pick(["two"], present(folder, REGISTRY))
    assert verify([two]) == [Finding(two, Trust.NONE)]
    trust(two)
    assert verify([two]) == [Finding(two, Trust.RECORDED)]
    two.path.write_bytes(b"other")
    with pytest.raises(WeightsError, match="is not what was fetched first"):
        trust(two)


def test_a_pack_brings_all_there_is(folder: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    records = pack(
        tmp_path / "a.tar", present(folder, REGISTRY), lambda done, total: seen.append((done, total))
    )
    assert [record.file for record in records] == ["one.onnx", "two.onnx", "own.onnx"]
    assert seen[-1] == (7011, 7011)
    assert [record.commercial for record in contents(tmp_path / "a.tar", REGISTRY)] == [True, False, False]
    written = unpack(tmp_path / "a.tar", tmp_path / "new", REGISTRY)
    assert [path.read_bytes() for path in written] == [CONTENT, b"second", b"third"]
    assert [finding.trust for finding in verify(present(tmp_path / "new", REGISTRY))] == [
        Trust.PUBLISHED,
        Trust.RECORDED,
        Trust.RECORDED,
    ]
    record = read_record(tmp_path / "new" / "own.onnx")
    assert record == read_record(folder / "own.onnx")
    assert unpack(tmp_path / "a.tar", tmp_path / "new", REGISTRY) == []  # all were there


def test_a_pack_is_the_same_for_the_same_files(folder: Path, tmp_path: Path) -> None:
    files = present(folder, REGISTRY)[1:]
    pack(tmp_path / "a.tar", files)
    pack(tmp_path / "b.tar", files)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_what_is_not_packed(folder: Path, tmp_path: Path) -> None:
    files = present(folder, REGISTRY)
    (tmp_path / "a.tar").write_text("something")
    with pytest.raises(WeightsError, match=r"a\.tar is there already"):
        pack(tmp_path / "a.tar", files)
    with pytest.raises(WeightsError, match="no weights here to pack"):
        pack(tmp_path / "b.tar", [])
    files[0].path.write_bytes(b"other")
    with pytest.raises(WeightsError, match="is not the published file"):
        pack(tmp_path / "b.tar", files)
    assert not (tmp_path / "b.tar").exists()


def test_another_file_of_the_name_stays(folder: Path, tmp_path: Path) -> None:
    pack(tmp_path / "a.tar", present(folder, REGISTRY))
    new = tmp_path / "new"
    new.mkdir()
    (new / "two.onnx").write_bytes(b"mine")
    with pytest.raises(WeightsError, match=r"two\.onnx is there and is another file than that in .*a\.tar"):
        unpack(tmp_path / "a.tar", new, REGISTRY)
    assert (new / "two.onnx").read_bytes() == b"mine" and (new / "one.onnx").read_bytes() == CONTENT


def entry(name: str = "own.onnx", content: bytes = b"third", **changes: Any) -> dict[str, Any]:
    """One file in a manifest."""
    known = {
        "file": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "num_bytes": len(content),
        "url": None,
        "licence": "MIT",
        "commercial": True,
        "citation": "",
        "fetched": "2026-01-01T00:00:00+00:00",
    }
    return {**known, **changes}


def tar_of(path: Path, manifest: object, *members: tuple[tarfile.TarInfo | str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        for info, content in ((MANIFEST, text), *members):
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def manifest(*files: dict[str, Any], format: str = "videofer weights 1") -> dict[str, Any]:
    return {"format": format, "files": list(files)}


def linked(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("said", "of", "members"),
    [
        ("names '../own.onnx'", manifest(entry("../own.onnx")), [("../own.onnx", b"third")]),
        ("names '/etc/own.onnx'", manifest(entry("/etc/own.onnx")), [("/etc/own.onnx", b"third")]),
        ("names 'own.onnx.json'", manifest(entry("own.onnx.json")), [("own.onnx.json", b"third")]),
        ("does not name", manifest(), [("own.onnx", b"third")]),
        ("does not name", manifest(entry()), [("../own.onnx", b"third")]),
        ("does not name", manifest(entry()), [("own.onnx", b"thirds")]),
        ("does not name", manifest(entry()), [(linked("own.onnx", tarfile.SYMTYPE, "/etc/passwd"), b"")]),
        ("does not name", manifest(entry()), [(linked("own.onnx", tarfile.LNKTYPE, MANIFEST), b"")]),
        ("does not name", manifest(entry()), [(linked("own.onnx", tarfile.FIFOTYPE, ""), b"")]),
        ("does not name", manifest(entry()), [("own.onnx", b"third"), ("own.onnx", b"third")]),
        ("own.onnx in .* is not what was fetched first", manifest(entry()), [("own.onnx", b"THIRD")]),
        (
            "one.onnx in .* is not the published file",
            manifest(entry("one.onnx", b"poison")),
            [("one.onnx", b"poison")],
        ),
        ("is cut off: own.onnx not in it", manifest(entry()), []),
        ("the manifest of .* is none: format", manifest(format="videofer weights 2"), []),
        ("the manifest of .* is none: files.0.num_bytes", manifest(entry(num_bytes="5")), []),
        ("the manifest of .* is none", b"{not json", []),
        ("which is no file of weights", manifest(entry(sha256="third")), []),
    ],
)
def test_a_hostile_pack_is_refused(
    tmp_path: Path, said: str, of: object, members: list[tuple[tarfile.TarInfo | str, bytes]]
) -> None:
    path = tar_of(tmp_path / "a.tar", of, *members)
    with pytest.raises(WeightsError, match=said) as error:
        unpack(path, tmp_path / "in" / "new", REGISTRY)
    assert "\n" not in str(error.value)
    inside = tmp_path / "in" / "new"
    assert not inside.exists() or names(inside) <= {"own.onnx", "own.onnx.json"}
    assert names(tmp_path) <= {"a.tar", "in"}


def test_a_pack_says_nothing_of_licences_that_are_known(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", manifest(entry("two.onnx", b"second", commercial=True)))
    (record,) = contents(path, REGISTRY)
    assert not record.commercial


@pytest.mark.parametrize("content", [b"", b"no tar", b"\0" * 10240])
def test_what_is_no_pack(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.tar is no (whole )?pack of weights"):
        contents(tmp_path / "a.tar", REGISTRY)


def test_a_compressed_tar_is_not_opened(folder: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz") as tar:
        tar.add(folder / "one.onnx", "one.onnx")
    with pytest.raises(WeightsError, match="is no whole pack of weights"):
        unpack(tmp_path / "a.tar", tmp_path / "new", REGISTRY)


@pytest.fixture(scope="module")
def whole_pack(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("pack")
    (folder / "one.onnx").write_bytes(CONTENT)
    pack(folder / "a.tar", [Present(folder / "one.onnx", REGISTRY.find("one"))])
    return (folder / "a.tar").read_bytes()


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_pack_brings_the_file_whole_or_not(
    whole_pack: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    harmed = bytearray(whole_pack)
    if data.draw(st.booleans(), "cut"):
        del harmed[data.draw(st.integers(0, len(harmed) - 1)) :]
    else:
        where = data.draw(st.integers(0, len(harmed) - 1))
        harmed[where] ^= data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "a.tar").write_bytes(harmed)
    try:
        unpack(folder / "a.tar", folder / "new", REGISTRY)
    except WeightsError as error:
        assert "\n" not in str(error)
    for path in folder.glob("new/*.onnx"):
        assert path.name == "one.onnx" and path.read_bytes() == CONTENT
