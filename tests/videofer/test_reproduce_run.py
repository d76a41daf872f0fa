"""`videofer reproduce` to its end on FER2013's miniature; the other sets are in test_reproduce_sets.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import typer

from cache.store import Store
from tests.browser import Browse, accessibility_faults, scrolls_sideways
from tests.html_page import HtmlPage
from tests.videofer.fer2013_set import make_set, write_csv
from tests.videofer.miniatures.media import Media
from tests.videofer.reproduce_sets import TRIALS
from videofer.cli.errors import DONE, INTERRUPTED, USAGE, one_line_errors
from videofer.cli.reproduce import reproduce as command
from videofer.reproduce import run as running
from videofer.reproduce.inputs import Stored, all_but, store_stills, write_rows
from videofer.reproduce.plan import make_plan
from videofer.reproduce.run import Steps
from videofer.reproduce.systems import SYSTEMS, system_of

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = ["--set", "training.epochs=2", "--set", "model.face.width=4", "--set", "training.loader_workers=0"]


def run(*arguments: str) -> int:
    app = typer.Typer()
    app.command()(command)
    return one_line_errors(app, list(arguments))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fer2013")
    write_csv(make_set(140, 14, 28), path, votes=False)
    return path


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one network. Not to be changed."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("done") / "out"
    assert run("fer2013-cnn", "--data", str(data), "--out", str(out), "--workers", "1", *SMALL) == DONE
    return out


def test_figures_stand_beside_the_published_ones(done: Path) -> None:
    result = json.loads((done / "result.json").read_text())
    first = result["compared"][0]
    assert (first["system"], first["published"], first["verdict"]) == ("CNN", 0.6255, "another protocol")
    assert first["is_reproduced"] and not result["compared"][-1]["is_reproduced"]
    pooled = pd.read_parquet(done / "folds/predictions.parquet")
    assert set(pooled["usage"]) == {"privatetest"} and len(pooled) == 28
    war = (pooled["label"] == pooled["face_label"]).mean()
    figures = {one["metric"]: one for one in result["figures"]}
    assert figures["war"]["value"] == pytest.approx(war)
    assert figures["war"]["low"] <= war <= figures["war"]["high"]  # over pictures: no subjects are known
    assert result["why_a_trial"][0] == "the copy is not whole: 182 of 35,887 videos"


def test_the_card_says_all_of_it_and_asks_for_nothing(done: Path) -> None:
    text = (done / "card.html").read_text()
    page = HtmlPage(text)
    assert "http://" not in text and "https://" not in text and len(text) < 400_000
    for words in (
        "CNN of Al-Shabi et al. on FER2013", "A trial, not a reproduction", "182 of 35,887", "SHA-256",
        "tested on a random fifth of all pictures", "PrivateTest is the test split", "on the command line",
        "training.epochs=2", "perceived expression", "kaggle.com", "2 in 1 training",
    ):  # fmt: skip
        assert words.lower() in page.text.lower(), words
    cells = [tag for tag, _ in page.tags if tag == "td"]
    assert len(cells) > 49


@pytest.mark.browser
def test_the_card_is_good_to_look_at(done: Path, browse: Browse) -> None:
    page = browse.open(done / "card.html")
    assert accessibility_faults(page) == [] and not scrolls_sideways(page)
    browse.keep(page, "reproduce-card")
    narrow = browse.open(done / "card.html", width=390)
    assert not scrolls_sideways(narrow)


def test_what_is_done_is_not_done_again(
    done: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    before = json.loads((out / "steps.json").read_text())
    (out / "card.html").unlink()
    assert run("fer2013-cnn", "--data", str(data), "--out", str(out), *SMALL, "--resume") == DONE
    assert (out / "card.html").is_file() and "== store" not in capsys.readouterr().err
    after = json.loads((out / "steps.json").read_text())
    assert {name: after[name] for name in ("store", "test")} == {n: before[n] for n in ("store", "test")}


@pytest.mark.parametrize("test", ["publictest", "privatetest"])
def test_the_pictures_of_the_chosen_test_list_are_stored(test: str, data: Path, tmp_path: Path) -> None:
    plan = make_plan(system_of("fer2013-cnn"), data, changes=[f"dataset.test={test}"])
    _, table = write_rows(plan, tmp_path)
    stored = store_stills(plan, table, tmp_path, num_workers=1, progress=lambda _done, _total: None)
    labels = Store.open(tmp_path / "store").manifest()
    assert labels is not None and stored.num_videos == len(table)
    assert set(labels.loc[labels["split"] == "test", "usage"]) == {test}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fer2013-cnn"], "fer2013-cnn needs --data, your copy, and --out"),
        (["--data", "DATA", "--out", "O"], "NAME is missing"),
        (["fer2013-cnn", "--data", "DATA", "--out", "O", "--retry-failed"], "goes with --resume"),
        (
            ["fer2013-cnn", "--data", "DATA", "--out", "DONE", *SMALL, "--resume", "--retry-failed"],
            "--retry-failed comes too late",
        ),
        (["fer2013-vggg"], "did you mean 'fer2013-vgg'?"),
        (["fer2013-cnn", "--data", "DATA", "--out", "DONE", *SMALL], "holds a reproduction already"),
        (["fer2013-vgg", "--data", "DATA", "--out", "DONE", "--resume"], "begun with another system"),
        (["fer2013-cnn", "--data", "DATA", "--out", "DONE", "--resume"], "begun with another recipe"),
        (["fer2013-cnn", "--data", "DATA", "--out", "O", "--seeds", "a"], "--seeds must be whole numbers"),
        (["fer2013-all-cnn", "--data", "DATA", "--out", "O", "--seeds", "0,1"], "is an ensemble"),
        (["ours-dfew", "--data", "DATA", "--out", "O"], "not DFEW"),
        (["ours-dfew", "--data", "nowhere", "--out", "O"], "nowhere: no such file or folder"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    done: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    arguments: list[str], words: str,
) -> None:  # fmt: skip
    places = {"DATA": str(data), "DONE": str(done), "O": str(tmp_path / "out")}
    assert run(*(places.get(word, word) for word in arguments)) == USAGE
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert words in line and not (tmp_path / "out").exists()


def test_videos_that_failed_are_tried_again_when_that_is_said(
    tmp_path: Path, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def store(*_: object, retry_failed: bool, **__: object) -> Stored:
        asked.append(retry_failed)
        return Stored(num_videos=1, failures=() if retry_failed else ("a.avi: decode: no such codec",))

    def interrupted(*_: object) -> dict[str, object]:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "store_videos", store)
    monkeypatch.setattr(running, "_train_and_test", interrupted)
    trial = next(one for one in TRIALS if one.system == "resnet18-enterface")
    data, out = trial.build(tmp_path / "data", media), tmp_path / "out"
    words = [trial.system, "--data", str(data), "--out", str(out), "--max-videos", "18"]
    words += [word for key in trial.changes for word in ("--set", key)]
    for more in ([], ["--resume"], ["--resume", "--retry-failed"]):
        assert run(*words, *more) == INTERRUPTED
        assert len(json.loads((out / "steps.json").read_text())["store"]["failures"]) == (not asked[-1])
    assert asked == [False, True]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_begun(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fer2013-cnn", "--data", str(data), "--out", str(tmp_path / "out"), "--gpu") == USAGE
    assert "no GPU: " in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_dry_run_says_what_would_be_done(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fer2013-all-cnn", "--data", str(data), "--dry-run", "--max-videos", "60") == DONE
    said = capsys.readouterr().out
    assert "60 are used" in said and "nothing was written" in said and "fer2013_cnn_sift" in said


def test_without_a_name_all_systems_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == DONE
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert set(lines) == set(SYSTEMS)
    assert "WAR 97.3, UAR 96.5 " in lines["sistcm-ck+"] and "WAR 62.5 * " in lines["fer2013-cnn"]
    assert "WAR 67.3" in lines["hybrid-gemep7"] and "ERS 0.288: " in lines["multi-bold"]


def test_steps_count_the_seconds_of_all_attempts(tmp_path: Path) -> None:
    steps = Steps(tmp_path / "steps.json")
    with pytest.raises(ValueError, match="oh"), steps.taking("store", lambda _name: None):
        raise ValueError("oh")
    assert not steps.finished
    with steps.taking("store", lambda _name: None) as facts:
        facts |= {"failures": ["x"], "unfinished": True}
    assert not Steps(tmp_path / "steps.json").finished
    with Steps(tmp_path / "steps.json").taking("store", lambda _name: None):
        pass
    again = Steps(tmp_path / "steps.json")
    assert again.finished == {"store"} and again.done["store"]["seconds"] >= 0


def test_only_what_is_named_is_an_input(tmp_path: Path) -> None:
    skip = all_but(tmp_path, ["a/1.mp4", "b/frames"])
    for name in ("a", "a/1.mp4", "b", "b/frames", "b/frames/001.jpg"):
        assert not skip(tmp_path / name), name
    for name in ("c", "a/2.mp4", "b/other", "b/frames2"):
        assert skip(tmp_path / name), name
