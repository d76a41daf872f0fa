"""The app's server, over real connections: uploads, their limits, results, deleting, and who may come in."""

from __future__ import annotations

import http.client
import io
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.errors import UserError
from tests.videofer.app_server import KEY, Served, served
from tests.videos import write_video
from videofer.app.gate import cookie_of
from videofer.app.library import Library
from videofer.app.uploads import UploadError, file_name, shown_name

Report = Callable[[str, float], None]


def quick(video: Path, folder: Path, report: Report) -> str:
    """Stands in for the analysis where a test is about the server."""
    report("looking", 0.5)
    if "broken" in video.name:
        raise UserError("nobody knows this codec")
    if "bug" in video.name:
        raise ZeroDivisionError("a bug of ours")
    results = folder / "results"
    results.mkdir(exist_ok=True)
    (results / "clip.html").write_text("<title>report</title>")
    (results / "clip.csv").write_text("person,t_start\n0,0.0\n")
    return "clip.html"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = write_video(tmp_path_factory.mktemp("clip") / "clip.mp4")
    return path.read_bytes()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "app", quick) as running:
        yield running


def upload(app: Served, name: str, body: bytes) -> tuple[int, dict[str, object]]:
    from urllib.parse import quote

    return app.ask_json("POST", f"/api/videos?name={quote(name)}", body)


def test_an_upload_ends_in_files_to_download(app: Served, clip: bytes) -> None:
    status, item = upload(app, "clip.mp4", clip)
    assert status == 201 and item["name"] == "clip.mp4" and item["num_bytes"] == len(clip)
    app.wait_for(lambda: app.library.items()[0].state == "done")
    _, told = app.ask_json("GET", "/api/videos")
    (item,) = told["items"]
    assert item["report"] == "clip.html" and [e["name"] for e in item["exports"]] == ["clip.csv", "clip.html"]
    status, headers, body = app.ask("GET", f"/videos/{item['id']}/results/clip.html")
    assert (status, body) == (200, b"<title>report</title>") and headers[
        "x-content-type-options"
    ] == "nosniff"
    assert headers["content-disposition"].startswith("inline")
    status, headers, _ = app.ask("GET", f"/videos/{item['id']}/results/clip.csv?download")
    assert status == 200 and headers["content-disposition"].startswith("attachment")
    status, headers, body = app.ask("GET", f"/videos/{item['id']}/exports.zip")
    assert status == 200 and headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(body)) as parcel:
        assert parcel.testzip() is None and sorted(parcel.namelist()) == ["clip.csv", "clip.html"]
        assert parcel.read("clip.csv") == b"person,t_start\n0,0.0\n"


def test_the_video_is_served_in_parts_as_players_ask_for_it(app: Served, clip: bytes) -> None:
    _, item = upload(app, "clip.mp4", clip)
    status, headers, body = app.ask(
        "GET", f"/videos/{item['id']}/video/clip.mp4", None, {"Range": "bytes=4-11"}
    )
    assert status == 206 and body == clip[4:12] and headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("notes.txt", 415, "notes.txt is no video by its name"),
        ("no suffix", 415, "is no video by its name"),
        ("page.html", 415, "page.html is no video by its name"),
        ("text.mp4", 415, "text.mp4 cannot be read as a video"),
    ],
)
def test_what_is_no_video_is_refused_and_leaves_nothing(
    app: Served, name: str, status: int, reason: str
) -> None:
    got, answer = upload(app, name, b"this is no video " * 100)
    assert got == status and reason in str(answer["reason"])
    assert app.library.items() == [] and [p.name for p in app.library.folder.iterdir() if p.is_dir()] == []


def test_too_large_an_upload_is_refused_with_and_without_a_declared_size(tmp_path: Path, clip: bytes) -> None:
    with served(tmp_path / "app", quick, max_bytes=len(clip)) as app:
        assert upload(app, "fits.mp4", clip)[0] == 201
        status, answer = upload(app, "large.mp4", clip + b"\0")
        assert status == 413 and "larger than" in str(answer["reason"])
        connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=30)
        connection.request(  # no Content-Length: only counting tells
            "POST", "/api/videos?name=large.mp4", iter([clip, b"\0" * 10]),
            {"Cookie": f"{cookie_of(KEY)}={KEY}"}, encode_chunked=True,
        )  # fmt: skip
        assert connection.getresponse().status == 413
        connection.close()
        assert [item.name for item in app.library.items()] == ["fits.mp4"]


def test_a_connection_that_breaks_off_leaves_nothing(app: Served, clip: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=30)
    connection.putrequest("POST", "/api/videos?name=clip.mp4")
    connection.putheader("Cookie", f"{cookie_of(KEY)}={KEY}")
    connection.putheader("Content-Length", str(len(clip)))
    connection.endheaders(clip[:100])
    app.wait_for(lambda: any(p.is_dir() for p in app.library.folder.iterdir()))
    connection.close()
    app.wait_for(lambda: not any(p.is_dir() for p in app.library.folder.iterdir()))
    assert app.library.items() == []


def test_failures_are_told_and_do_not_stop_the_others(
    app: Served, clip: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("broken.mp4", "bug.mp4", "clip.mp4"):
        upload(app, name, clip)
    app.wait_for(lambda: all(item.state in ("done", "failed") for item in app.library.items()))
    told = {item.name: (item.state, item.reason) for item in app.library.items()}
    assert told == {
        "broken.mp4": ("failed", "nobody knows this codec"),
        "bug.mp4": ("failed", "ZeroDivisionError: a bug of ours"),
        "clip.mp4": ("done", ""),
    }
    broken = next(item for item in app.library.items() if item.state == "failed")
    assert app.ask("POST", f"/api/videos/{broken.id}/again")[0] == 204
    done = next(item for item in app.library.items() if item.state == "done")
    assert app.ask("POST", f"/api/videos/{done.id}/again")[0] == 409


def test_a_deleted_video_is_gone_from_the_disk_also_while_it_is_analysed(tmp_path: Path, clip: bytes) -> None:
    begun, ended = threading.Event(), threading.Event()

    def slow(video: Path, folder: Path, report: Report) -> str:
        try:
            while True:
                begun.set()
                report("looking", 0.1)
                time.sleep(0.01)
        finally:
            ended.set()

    with served(tmp_path / "app", slow) as app:
        _, first = upload(app, "first.mp4", clip)
        _, second = upload(app, "second.mp4", clip)
        begun.wait(10)
        for item in (second, first):  # one that waits, one under way
            assert app.ask("DELETE", f"/api/videos/{item['id']}")[0] == 204
            assert app.ask("GET", f"/api/videos/{item['id']}")[0] == 404
        assert ended.wait(10)
        app.wait_for(lambda: not any(p.is_dir() for p in app.library.folder.iterdir()))


def test_what_was_under_way_waits_for_the_next_start(tmp_path: Path, clip: bytes) -> None:
    begun = threading.Event()

    def slow(video: Path, folder: Path, report: Report) -> str:
        while True:
            begun.set()
            report("looking", 0.1)
            time.sleep(0.01)

    with served(tmp_path / "app", slow) as app:
        upload(app, "clip.mp4", clip)
        begun.wait(10)
    with served(tmp_path / "app", quick) as app:
        app.wait_for(lambda: app.library.items()[0].state == "done")


def test_a_video_with_which_the_app_died_is_not_tried_again_unasked(tmp_path: Path, clip: bytes) -> None:
    library = Library(tmp_path / "app")
    item = library.add(library.begin(), "clip.mp4", "clip.mp4", len(clip))
    library.video(item).write_bytes(clip)
    library.update(item.id, state="working")  # and nothing more: the process is gone
    with served(tmp_path / "app", quick) as app:
        (found,) = app.library.items()
        assert found.state == "failed" and "was ended" in found.reason
        assert app.ask("POST", f"/api/videos/{item.id}/again")[0] == 204
        app.wait_for(lambda: app.library.items()[0].state == "done")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(UserError, match="is not empty and not a folder of `videofer app`"):
        Library(tmp_path)


def test_only_who_has_the_key_comes_in(app: Served) -> None:
    assert app.ask("GET", "/", headers={"Cookie": ""})[0] == 403
    assert app.ask("GET", "/api/videos", headers={"Cookie": f"{cookie_of(KEY)}=guess"})[0] == 403
    assert app.ask("GET", "/?key=guess", headers={"Cookie": ""})[0] == 403
    status, headers, _ = app.ask("GET", f"/?key={KEY}", headers={"Cookie": ""})
    assert (status, headers["location"]) == (303, "/")
    assert "HttpOnly" in headers["set-cookie"] and "SameSite=strict" in headers["set-cookie"]
    status, headers, _ = app.ask("GET", "/")
    assert status == 200 and "default-src 'none'" in headers["content-security-policy"]


def test_several_apps_of_one_machine_do_not_take_each_others_cookie() -> None:
    assert cookie_of(KEY) != cookie_of("another") and KEY not in cookie_of(KEY)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_site_changes_nothing(app: Served, clip: bytes, headers: dict[str, str]) -> None:
    status, _, body = app.ask("POST", "/api/videos?name=clip.mp4", clip, headers)
    assert status == 403 and b"own page" in body and app.library.items() == []


def test_another_name_for_this_machine_is_refused(app: Served) -> None:
    assert app.ask("GET", "/", headers={"Host": "evil.example"})[0] == 421
    assert app.ask("GET", "/", headers={"Host": f"localhost:{app.port}"})[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "item.json",
        "store/store.json",
        "results/../item.json",
        "results/a%00b",
        "results/%2e%2e/item.json",
        "..%2f..%2fetc/passwd",
        "video/../../videofer-app.txt",
        "%2fetc%2fpasswd",
        "",
    ],
)
def test_only_results_and_the_video_can_be_seen(app: Served, clip: bytes, path: str) -> None:
    _, item = upload(app, "clip.mp4", clip)
    assert app.ask("GET", f"/videos/{item['id']}/{path}")[0] == 404
    assert app.ask("GET", f"/videos/{'0' * 16}/video/clip.mp4")[0] == 404


def test_where_faces_are_hidden_the_upload_is_handed_out_to_nobody(tmp_path: Path, clip: bytes) -> None:
    with served(tmp_path / "app", quick, shows_originals=False) as app:
        _, item = upload(app, "clip.mp4", clip)
        app.wait_for(lambda: app.library.items()[0].state == "done")
        assert app.library.video(app.library.items()[0]).read_bytes() == clip
        assert app.ask("GET", f"/videos/{item['id']}/video/clip.mp4")[0] == 404
        assert app.ask("GET", f"/videos/{item['id']}/results/clip.html")[0] == 200


@given(st.text())
def test_whatever_a_browser_calls_a_file_its_name_on_disk_is_safe(name: str) -> None:
    shown = shown_name(name)
    assert shown and shown.isprintable() and len(shown) <= 200
    try:
        file = file_name(shown + ".mp4")
    except UploadError:
        pytest.fail("it has the name of a video")
    assert file.endswith(".mp4") and len(file.encode()) < 200
    assert not set(file) & set('/\\:*?"<>|\0') and not file.startswith((".", "-"))


def test_paths_that_a_browser_sends_lose_their_folders() -> None:
    assert shown_name("C:\\Users\\me\\clip.mp4") == "clip.mp4"
    assert shown_name("/home/me/clip.mp4") == "clip.mp4"
    assert shown_name("../../clip.mp4") == "clip.mp4"
