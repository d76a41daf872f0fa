"""`videofer store ...`: what people see, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest

from cache.removals import Removals
from cache.schema import FailureRecord
from cache.store import Store
from tests.cache.parts import flip_byte
from tests.videofer.small_store import make_store
from tests.videofer.training_store import make_training_store
from videofer.cli import app
from videofer.cli.errors import DONE, SOME_FAILED, USAGE, one_line_errors


def store_command(*arguments: object) -> int:
    return one_line_errors(app, ["store", *map(str, arguments)])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = make_training_store(tmp_path / "store")
    store.record_failure(FailureRecord("bad 1.mp4", "/bad 1.mp4", None, "probe", "E", "ends after 12 bytes"))
    store.record_failure(FailureRecord("bad 2.mp4", "/bad 2.mp4", None, "probe", "E", "ends after 99 bytes"))
    return store


def test_info_is_short_unless_asked(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert store_command("info", store.path) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("30 videos, 2 failures") and len(lines) < 20
    assert "30 videos with 1" in lines[2]
    assert "failed     2x probe: ends after * bytes ('bad 1.mp4')" in lines
    assert "labels     10 neutral, 10 anger, 10 happiness" in lines
    assert store_command("info", store.path, "--videos") == DONE
    assert "'s0/anger_0.mp4': 320x384, 20 frames, 0.000 to 1.000 s" in capsys.readouterr().out
    assert store_command("info", store.path, "--json") == DONE
    facts = json.loads(capsys.readouterr().out)
    assert facts["num_videos"] == 30 and "videos" not in facts and facts["manifest"]["num_subjects"] == 5
    assert store_command("info", store.path, "--html", tmp_path / "report") == DONE
    assert "quality.html" in capsys.readouterr().err
    assert "<title>store</title>" in (tmp_path / "report" / "quality.html").read_text()
    assert store_command("info", store.path, "--html", tmp_path / "r" / "x.html", "--sample", 5) == DONE
    assert (tmp_path / "r" / "x.html").is_file()


def test_damage_is_found_and_repaired(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert store_command("verify", "--deep", store.path, "--workers", 2) == DONE
    record = next(video for video in store.videos() if video.names == ["s1/anger_0.mp4"])
    shard = store.shard_path(record.segments[0].shard)
    with h5py.File(shard) as file:
        offset = file[record.segments[0].group]["crops"].id.get_offset()
    flip_byte(shard, offset + 99)
    capsys.readouterr()
    assert store_command("verify", "--deep", store.path) == SOME_FAILED
    assert "'s1/anger_0.mp4'), segment 0: wrong checksum" in capsys.readouterr().out
    assert store_command("repair", store.path, "--dry-run") == SOME_FAILED
    out = capsys.readouterr().out
    assert "'s1/anger_0.mp4': would be taken out" in out and "29 whole videos would be copied" in out
    assert len(store.keys()) == 30
    assert store_command("repair", store.path) == SOME_FAILED
    out = capsys.readouterr().out
    assert "1 videos have to be done again: run `videofer preprocess INPUT... --out" in out
    assert len(store.keys()) == 29 and store_command("verify", "--deep", store.path) == DONE
    assert store_command("repair", store.path) == DONE


def test_a_subject_withdraws(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "runs" / "fold_0"
    run.mkdir(parents=True)
    keys = {"train": sorted(store.keys()), "val": []}
    (run / "trained_on.json").write_text(json.dumps({"keys": keys}))
    assert store_command("remove", store.path, "--subject", "s1", "--dry-run") == DONE
    assert capsys.readouterr().out.count("would remove 's1/") == 6
    assert len(store.keys()) == 30
    arguments = ["--subject", "s1", "--reason", "consent withdrawn", "--runs", tmp_path / "runs"]
    assert store_command("remove", store.path, *arguments) == DONE
    out = capsys.readouterr().out
    assert "6 videos removed for good; 1 shards written anew, 6 rows of the manifest dropped" in out
    assert f"trained on it: {run}: 6 to train, of 30 videos" in out and "not touched:" in out
    assert len(store.keys()) == 24 and len(Removals(store.path)) == 6
    assert store_command("remove", store.path, "--runs", tmp_path / "runs") == DONE
    assert "6 to train" in capsys.readouterr().out
    assert store_command("verify", "--deep", store.path) == DONE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["remove", "STORE"], "say what to remove"),
        (["remove", "STORE", "--subject", "s9"], "has no subject 's9', it has s0, s1"),
        (["remove", "STORE", "--video", "anger_0.mp4"], "did you mean 's0/anger_0.mp4'?"),
        (
            ["remove", "STORE", "--video", "s0/anger_0.mp4", "--runs", "nowhere", "--dry-run"],
            "nowhere is not a",
        ),
        (["relabel", "STORE"], "give either --manifest FILE or --set"),
        (["relabel", "STORE", "--set", "label=angre"], "did you mean 'angry'?"),
        (["split", "STORE", "--out", "O"], "give either --by COLUMN or --fraction"),
        (["split", "STORE", "--out", "O", "--by", "city"], "no column 'city'"),
        (["split", "STORE", "--out", "O", "--fraction", "2"], "between 0 and 1, not 2"),
        (["merge", "STORE", "--out", "O"], "at least two stores"),
        (["merge", "STORE", "nowhere", "--out", "O"], "nowhere is not a store"),
        (["import", "nowhere.pkl", "--out", "O"], "nowhere.pkl"),
        (["import", "cache", "--out", "O", "--fps", "25"], "--fps is for a pyskl file"),
        (["import", "cache", "--out", "O", "--layout", "coco17"], "--layout is for a pyskl file"),
        (["info", "STORE", "--sample", "9"], "--sample is for --html"),
        (["export", "STORE", "O", "--format", "zip"], "'zip' is not one of"),
        (["push", "STORE", "nosuch://bucket"], "nosuch://bucket cannot be opened"),
        (["repair", "nowhere"], "nowhere is not a store"),
    ],
)
def test_errors_are_one_line(
    store: Store, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert store_command(*[str(store.path) if a == "STORE" else a for a in arguments]) == USAGE
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("videofer: error: ") and message in line


def test_labels_change_and_the_change_is_said(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--set", "split=val", "--where", "subject=s1"]
    assert store_command("relabel", store.path, *arguments, "--dry-run") == DONE
    assert "6 rows would differ, 30 rows in all" in capsys.readouterr().out
    assert store_command("relabel", store.path, *arguments) == DONE
    assert "s1/anger_0.mp4: split train -> val" in capsys.readouterr().out
    (tmp_path / "m.csv").write_text("path,label,subject\ns0/anger_0.mp4,fear,s0\nelsewhere.mp4,fear,s0\n")
    assert store_command("relabel", store.path, "--manifest", tmp_path / "m.csv") == SOME_FAILED
    captured = capsys.readouterr()
    assert "s0/anger_0.mp4: label anger -> fear, split train -> -" in captured.out
    assert "elsewhere.mp4: not in the store" in captured.err
    manifest = store.manifest()
    assert manifest is not None and len(manifest) == 30
    assert manifest["split"].value_counts().to_dict() == {"train": 17, "val": 6, "test": 6}


def test_apart_and_together(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert store_command("split", store.path, "--by", "split", "--out", tmp_path / "parts") == DONE
    assert f"{tmp_path / 'parts' / 'test'}: 6 videos" in capsys.readouterr().out
    parts = [tmp_path / "parts" / name for name in ("train", "test")]
    assert store_command("merge", *parts, "--out", tmp_path / "whole") == DONE
    assert "30 videos; 0 were in two stores" in capsys.readouterr().out
    assert Store.open(tmp_path / "whole").keys() == store.keys()
    make_store(tmp_path / "other", ["a.mp4"], num_frames=3)
    assert store_command("merge", store.path, tmp_path / "other", "--out", tmp_path / "x") == USAGE
    assert "crop_size: stored 48, given 112" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_elsewhere_and_back(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = (tmp_path / "there").as_uri()
    assert store_command("push", store.path, url) == DONE
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.mp4").write_bytes(b"film")
    assert store_command("pull", url, tmp_path / "films") == USAGE
    assert store_command("pull", url, tmp_path / "films" / "a.mp4") == USAGE
    err = capsys.readouterr().err
    assert "films is neither empty nor a store: it holds 'a.mp4'" in err and "a.mp4 is a file" in err
    assert store_command("pull", url, tmp_path / "films" / "a.mp4" / "store") == USAGE
    assert "a.mp4 is a file, not a folder for a store" in capsys.readouterr().err
    assert [one.name for one in (tmp_path / "films").iterdir()] == ["a.mp4"]
    assert store_command("pull", url, tmp_path / "copy") == DONE
    assert store_command("verify", "--deep", tmp_path / "copy") == DONE
    assert store_command("export", store.path, tmp_path / "x.pkl", "--format", "pyskl") == DONE
    assert "30 annotations; 0 without a body" in capsys.readouterr().out
    assert store_command("import", tmp_path / "x.pkl", "--out", tmp_path / "skeletons") == DONE
    assert store_command("export", store.path, tmp_path / "tars", "--format", "webdataset") == DONE
    assert store_command("import", tmp_path / "tars", "--out", tmp_path / "again") == DONE
    assert "30 videos; 0 were there twice" in capsys.readouterr().out
