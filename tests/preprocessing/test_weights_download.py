"""Downloads: resumed, whole or not there, and everything that a server, a disk or a kill can do to them."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from preprocessing.weights import Weight, WeightsError, transfer
from preprocessing.weights.download import fetch
from preprocessing.weights.record import read_record
from preprocessing.weights.transfer import UnreachableError, check_address
from tests.preprocessing.weights_server import IMPATIENT, QUICK, Fault, Served, closed_port, serve

CONTENT = bytes(range(256)) * 4000  # 1 MB
NAME = "model.onnx"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("no_proxy", "*")
    with serve() as served:
        yield served


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_comes_whole_with_its_record(served: Served, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    weight = served.weight(NAME, CONTENT)
    path = fetch(weight, tmp_path / "new", progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and seen == sorted(seen)
    record = read_record(path)
    assert record is not None and record.sha256 == weight.sha256 and record.licence == "MIT"
    assert names(path.parent) == {NAME, NAME + ".json"}
    assert fetch(weight, path.parent) == path and len(served.asked) == 1  # the second time it is there


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(cut=300_000)],
        [Fault(cut=300_000), Fault(cut=1), Fault(cut=500_000)],
        [Fault(cut=300_000, silent=True)],
        [Fault(cut=300_000, crawl=True)],
        [Fault(cut=300_000), Fault(status=503), Fault(status=429)],
        [Fault(cut=300_000, hide_length=True)],
    ],
    ids=["cut", "cut often", "silent", "crawls", "busy", "cut, no length"],
)
def test_a_broken_connection_is_taken_up_again(served: Served, tmp_path: Path, faults: list[Fault]) -> None:
    served.faults = list(faults)
    waits = any(fault.silent or fault.crawl for fault in faults)
    weight = served.weight(NAME, CONTENT)
    assert fetch(weight, tmp_path, patience=IMPATIENT if waits else QUICK).read_bytes() == CONTENT
    ranges = [wanted for _, wanted in served.asked]
    assert ranges[0] == "" and all(wanted.startswith("bytes=3") for wanted in ranges[1:2])
    assert len(ranges) == len(faults) + 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(cut=0), "broke off after 0 of 1024000 bytes"),
        (Fault(cut=0, silent=True), "nothing came for 2 s"),
        (Fault(status=503), "HTTP 503 Service Unavailable"),
        (Fault(status=404), "HTTP 404 Not Found"),
        (Fault(content_type="text/html; charset=utf-8"), "answers with a page for people"),
    ],
)
def test_a_server_that_never_delivers_is_left(
    served: Served, tmp_path: Path, fault: Fault, said: str
) -> None:
    served.faults = [fault] * 20
    with pytest.raises(UnreachableError, match=said) as error:
        fetch(served.weight(NAME, CONTENT), tmp_path, patience=IMPATIENT if fault.silent else QUICK)
    assert "\n" not in str(error.value)
    assert names(tmp_path) == set()  # not a byte came, so there are no traces


def test_no_server_is_said_at_once(tmp_path: Path, served: Served) -> None:
    weight = served.weight(NAME, CONTENT, url=f"http://127.0.0.1:{closed_port()}/{NAME}")
    with pytest.raises(UnreachableError, match=r"model\.onnx: Connection refused$"):
        fetch(weight, tmp_path, patience=QUICK)


def test_the_mirror_stands_in(served: Served, tmp_path: Path) -> None:
    weight = served.weight(NAME, CONTENT)
    url = f"{served.address}/gone/{NAME}"
    path = fetch(served.weight(NAME, CONTENT, url=url, mirror=weight.url), tmp_path, patience=QUICK)
    assert path.read_bytes() == CONTENT
    path.unlink()
    with pytest.raises(UnreachableError, match=r"gone/.*404 Not Found; .*lost/.*404 Not Found"):
        mirror = f"{served.address}/lost/{NAME}"
        fetch(served.weight(NAME, CONTENT, url=url, mirror=mirror), tmp_path, patience=QUICK)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (CONTENT[:-1] + b"X", "is not the published file: SHA-256"),
        (CONTENT + b"more", "has 1024004 bytes, the published file 1024000"),
        (CONTENT[:-10], "has 1023990 bytes, the published file 1024000"),
    ],
)
def test_poison_is_refused(served: Served, tmp_path: Path, body: bytes, said: str) -> None:
    weight = served.weight(NAME, CONTENT)
    served.files[f"/{NAME}"] = body
    with pytest.raises(WeightsError, match=said) as error:
        fetch(weight, tmp_path, patience=QUICK)
    assert not isinstance(error.value, UnreachableError) and "not used" in str(error.value)
    assert names(tmp_path) == set()


def test_a_file_that_never_ends_is_cut_off(served: Served, tmp_path: Path) -> None:
    weight = served.weight(NAME, CONTENT)
    served.files[f"/{NAME}"] = CONTENT * 2
    served.faults = [Fault(hide_length=True)]
    with pytest.raises(WeightsError, match="is longer than 1024000 bytes; not used"):
        fetch(weight, tmp_path, patience=QUICK)
    assert names(tmp_path) == set()


def stopped(served: Served, folder: Path, at: int) -> None:
    """A run that brought so many bytes and no more."""
    served.faults = [Fault(cut=at)] + [Fault(status=503)] * 20
    with pytest.raises(UnreachableError):
        fetch(served.weight(NAME, CONTENT), folder, patience=QUICK)
    served.faults, served.asked = [], []


def test_a_later_run_goes_on_where_one_stopped(served: Served, tmp_path: Path) -> None:
    stopped(served, tmp_path, 300_000)
    assert names(tmp_path) == {NAME + ".partial", NAME + ".partial.json"}
    assert fetch(served.weight(NAME, CONTENT), tmp_path, patience=QUICK).read_bytes() == CONTENT
    assert served.asked == [(f"/{NAME}", "bytes=300000-")]
    assert names(tmp_path) == {NAME, NAME + ".json"}


def test_a_run_killed_before_the_check_asks_nobody(served: Served, tmp_path: Path) -> None:
    stopped(served, tmp_path, len(CONTENT) - 1)
    with (tmp_path / f"{NAME}.partial").open("ab") as file:
        file.write(CONTENT[-1:])
    assert fetch(served.weight(NAME, CONTENT), tmp_path, patience=QUICK).read_bytes() == CONTENT
    assert served.asked == []


def test_another_version_begins_anew(served: Served, tmp_path: Path) -> None:
    stopped(served, tmp_path, 300_000)
    other = CONTENT[::-1]
    assert fetch(served.weight(NAME, other), tmp_path, patience=QUICK).read_bytes() == other
    assert served.asked == [(f"/{NAME}", "bytes=300000-")]  # asked for the rest, given the whole


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_validator_nothing_is_pieced_together(
    served: Served, tmp_path: Path, etag: str
) -> None:
    served.etags[f"/{NAME}"] = etag
    stopped(served, tmp_path, 300_000)
    assert fetch(served.weight(NAME, CONTENT), tmp_path, patience=QUICK).read_bytes() == CONTENT
    assert served.asked == [(f"/{NAME}", "")]


@pytest.mark.parametrize("fault", [Fault(ignore_range=True), Fault(shift_range=1), Fault(status=416)])
def test_a_server_that_cannot_continue(served: Served, tmp_path: Path, fault: Fault) -> None:
    stopped(served, tmp_path, 300_000)
    served.faults = [fault]
    assert fetch(served.weight(NAME, CONTENT), tmp_path, patience=QUICK).read_bytes() == CONTENT


@pytest.mark.parametrize("harm", ["flip", "longer", "other note", "no note"])
def test_a_damaged_part_is_never_built_upon(
    served: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    stopped(served, tmp_path, 300_000)
    part, note = tmp_path / f"{NAME}.partial", tmp_path / f"{NAME}.partial.json"
    if harm == "flip":
        part.write_bytes(b"X" + part.read_bytes()[1:])
    elif harm == "longer":
        part.write_bytes(CONTENT + b"more")
    elif harm == "other note":
        note.write_text(json.dumps({"url": "https://elsewhere.example", "surprise": 1}))
    else:
        note.unlink()
    assert fetch(served.weight(NAME, CONTENT), tmp_path, patience=QUICK).read_bytes() == CONTENT
    assert ("downloading it anew" in caplog.text) == (harm == "flip")
    assert names(tmp_path) == {NAME, NAME + ".json"}


def test_a_first_download_is_held_to_ever_after(
    served: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weight = served.weight(NAME, CONTENT, sha256=None, num_bytes=None)
    path = fetch(weight, tmp_path)
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert f"held to what came now, SHA-256 {digest}" in caplog.text
    path.unlink()
    served.files[f"/{NAME}"] = CONTENT[::-1]
    with pytest.raises(WeightsError, match="is not what was fetched first"):
        fetch(weight, tmp_path)
    assert not path.exists()


def test_a_file_of_no_known_length_is_not_taken_for_whole(served: Served, tmp_path: Path) -> None:
    """The end of such a connection is the end of the file or a broken wire: nobody can tell."""
    weight = served.weight(NAME, CONTENT, sha256=None, num_bytes=None)
    served.faults = [Fault(hide_length=True, cut=300_000)]
    with pytest.raises(UnreachableError, match="does not say how long the file is"):
        fetch(weight, tmp_path, patience=QUICK)
    assert names(tmp_path) == set()


def test_the_digits_in_a_name_are_checked(served: Served, tmp_path: Path) -> None:
    digits = hashlib.sha256(CONTENT).hexdigest()[:10]
    assert fetch(served.weight(NAME, CONTENT, sha256=digits), tmp_path / "a").read_bytes() == CONTENT
    with pytest.raises(WeightsError, match="is not the published file"):
        fetch(served.weight(NAME, CONTENT, sha256="0123456789"), tmp_path / "b")


@pytest.mark.parametrize(
    "text", [b"<!DOCTYPE html><p>log in", b"\n<html>", b"version https://git-lfs.github.com/spec/v1\noid"]
)
def test_a_text_is_no_first_download(served: Served, tmp_path: Path, text: bytes) -> None:
    with pytest.raises(WeightsError, match="is not a file of weights but a text"):
        fetch(served.weight(NAME, text, sha256=None, num_bytes=None), tmp_path)
    assert names(tmp_path) == set()


def zipped(*files: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def damaged(archive: bytes) -> bytes:
    """One byte in the middle, which is of a file's content, is another."""
    middle = len(archive) // 2
    return archive[:middle] + bytes([archive[middle] ^ 255]) + archive[middle + 1 :]


def test_a_zip_gives_its_one_file_and_nothing_else(served: Served, tmp_path: Path) -> None:
    archive = zipped(("../../evil.onnx", b"evil"), ("a/b/end2end.onnx", CONTENT), ("/etc/detail.json", b"{}"))
    weight = served.weight(NAME, CONTENT, url=f"{served.address}/sdk.zip", member="end2end.onnx")
    served.files["/sdk.zip"] = archive
    served.faults = [Fault(cut=100)]
    path = fetch(weight, tmp_path / "in", patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == {"in"} and names(tmp_path / "in") == {NAME, NAME + ".json"}


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (b"no zip at all", "is not a whole zip"),
        (zipped(("end2end.onnx", CONTENT))[:-40], "is not a whole zip"),
        (zipped(("other.onnx", CONTENT)), "is not a zip with one file end2end.onnx: it has 0"),
        (zipped(("a/end2end.onnx", b"1"), ("b/end2end.onnx", b"2")), "it has 2"),
        (zipped(("end2end.onnx", CONTENT[:-1])), "1023999 bytes unpacked, expected 1024000"),
        (zipped(("end2end.onnx", CONTENT[::-1])), "is not the published file: SHA-256"),
        (damaged(zipped(("end2end.onnx", CONTENT))), "is not a whole zip"),
    ],
    ids=["none", "cut", "without", "two", "short", "other", "damaged"],
)
def test_a_zip_that_is_wrong_leaves_nothing(
    served: Served, tmp_path: Path, archive: bytes, said: str
) -> None:
    weight = served.weight(NAME, CONTENT, url=f"{served.address}/sdk.zip", member="end2end.onnx")
    served.files["/sdk.zip"] = archive
    with pytest.raises(WeightsError, match=said) as error:
        fetch(weight, tmp_path, patience=QUICK)
    assert "\n" not in str(error.value)
    assert names(tmp_path) == set()


def test_only_encrypted_addresses_beyond_this_machine(served: Served, tmp_path: Path) -> None:
    for url in ("http://example.org/x", "ftp://example.org/x", "file:///etc/passwd", "nonsense"):
        with pytest.raises(WeightsError, match="fetched by https only"):
            check_address(url)
    with pytest.raises(WeightsError, match="fetched by https only"):
        fetch(served.weight(NAME, CONTENT, url="file:///etc/hostname"), tmp_path)
    check_address("https://example.org/x")


def test_a_redirect_is_followed(served: Served, tmp_path: Path) -> None:
    served.faults = [Fault(location=f"/{NAME}")]
    weight = served.weight(NAME, CONTENT, url=f"{served.address}/old")
    assert fetch(weight, tmp_path).read_bytes() == CONTENT


def test_a_disk_that_is_too_small_is_said_before(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "free_bytes", lambda folder: 1000)
    with pytest.raises(UnreachableError, match=r"has room for 1\.00 kB, 1\.02 MB are needed"):
        fetch(served.weight(NAME, CONTENT), tmp_path)
    assert names(tmp_path) == set()


def test_a_folder_that_cannot_be_written(served: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UnreachableError, match=r"file.*(Not a directory|File exists)"):
        fetch(served.weight(NAME, CONTENT), tmp_path / "file")


IN_A_PROCESS = """
import json, sys
from pathlib import Path
from preprocessing.weights import Weight
from preprocessing.weights.download import fetch
from preprocessing.weights.transfer import Patience
known = json.loads(sys.argv[1])
weight = Weight(**{**known, "engines": tuple(known["engines"])})
print(fetch(weight, Path(sys.argv[2]), patience=Patience(silent_seconds=float(sys.argv[3]))))
"""


def process_that_fetches(weight: Weight, folder: Path, silent_seconds: float) -> subprocess.Popen[str]:
    arguments = [json.dumps(asdict(weight)), str(folder), str(silent_seconds)]
    return subprocess.Popen(
        [sys.executable, "-c", IN_A_PROCESS, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_bytes(path: Path, num_bytes: int) -> None:
    deadline = time.monotonic() + 30
    while not path.is_file() or path.stat().st_size < num_bytes:
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.01)


def test_processes_at_once_download_once(served: Served, tmp_path: Path) -> None:
    """Those that come later wait for the first, and find the file there."""
    served.faults = [Fault(cut=300_000, silent=True)]
    weight = served.weight(NAME, CONTENT)
    several = [process_that_fetches(weight, tmp_path, 3.0) for _ in range(3)]
    for process in several:
        out, err = process.communicate(timeout=60)
        assert (out.strip(), process.returncode) == (str(tmp_path / NAME), 0), err
    assert [wanted for _, wanted in served.asked] == ["", "bytes=300000-"]
    assert names(tmp_path) == {NAME, NAME + ".json"}


def test_a_killed_process_leaves_a_part_and_no_lock(served: Served, tmp_path: Path) -> None:
    served.faults = [Fault(cut=300_000, silent=True)]
    weight = served.weight(NAME, CONTENT)
    process = process_that_fetches(weight, tmp_path, 60.0)
    wait_for_bytes(tmp_path / f"{NAME}.partial", 300_000)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert not (tmp_path / NAME).exists()
    assert fetch(weight, tmp_path, patience=QUICK).read_bytes() == CONTENT
    assert [wanted for _, wanted in served.asked] == ["", "bytes=300000-"]
