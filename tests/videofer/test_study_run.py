"""Studies from folder to index: real videos, a real Ray, a model; resumed, cut short, with bad videos."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from cache.errors import UserError
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.cluster import running_ray
from preprocessing.stage.run import StageReport, preprocess
from tests.videofer.export_helpers import make_run
from tests.videofer.study_workers import Unlucky
from tests.videofer.test_cli import ROOT, videofer
from tests.videos import write_video
from videofer.checkpoint import load_checkpoint
from videofer.study.metadata import Metadata
from videofer.study.plan import StudyPlan, make_plan
from videofer.study.pool import gpu_share, run_videos
from videofer.study.products import ProductOptions
from videofer.study.run import _stop_asked, run_study
from videofer.study.spec import StudySpec, VideoTask, load_account
from videofer.study.worker import Answer, StudyWorker
from videofer.timeline.settings import TimelineSettings
from videofer.timeline.timeline import Timeline

SPEC = PreprocessSpec(faces="precropped", pose="none", crop_size=48)
FORMATS = ("csv", "eaf")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("model") / "run", "face", contract=SPEC.contract())


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two conditions with two videos each, and a file that is none."""
    folder = tmp_path_factory.mktemp("videos")
    for condition, length in (("calm", 30), ("loud", 45)):
        (folder / condition).mkdir()
        for number in range(2):
            path = folder / condition / f"p{number}.mp4"
            write_video(path, pts=tuple(range(length + number)), first_number=number)
    (folder / "loud" / "broken.mp4").write_bytes(b"no video")
    (folder / "loud" / "p9.mp4").write_bytes((folder / "calm" / "p0.mp4").read_bytes())
    (folder.parent / "about.csv").write_text("video,participant\n" + "".join(
        f"{condition}/p{number}.mp4,{number:03d}\n" for condition in ("calm", "loud") for number in range(2)
    ))  # fmt: skip
    return folder


def command(videos: Path, model: Path, out: Path, *more: object) -> list[object]:
    return ["timeline", videos, "--model", model, "--out", out, "--formats", ",".join(FORMATS), *more]


@pytest.fixture(scope="module")
def study(videos: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after a first run."""
    out = tmp_path_factory.mktemp("out") / "study"
    about = videos.parent / "about.csv"
    result = videofer(
        *command(videos, model, out, "--metadata", about, "--group-by", "folder", "--workers", 2)
    )
    assert result.returncode == 3, result.stderr
    assert "'loud/p9.mp4' has the content of 'calm/p0.mp4': counted once" in result.stderr
    assert "4 videos done in" in result.stdout and "failed 'loud/broken.mp4': probe: " in result.stderr
    assert result.stdout.splitlines()[-1] == str(out / "index.html")
    return out


@pytest.fixture(scope="module")
def one_ray() -> Iterator[None]:
    """Started once for the runs of this process."""
    with running_ray(None, 2):
        yield


@pytest.fixture
def stage(study: Path, videos: Path) -> StageReport:
    return preprocess([videos], study / "store", SPEC)


def spec_of(study: Path, model: Path, **changes: object) -> StudySpec:
    spec = StudySpec(
        model=model, out=study, settings=TimelineSettings(), formats=FORMATS, options=ProductOptions()
    )
    return replace(spec, **changes)


def names(tasks: tuple[VideoTask, ...]) -> list[str]:
    return [task.name for task in tasks]


@pytest.mark.ray
def test_rows_of_all_videos_are_one_tidy_table(study: Path) -> None:
    rows = pd.read_parquet(study / "rows.parquet")
    assert list(rows.columns[:5]) == ["video", "participant", "folder", "person", "person_name"]
    assert rows["video"].unique().tolist() == ["calm/p0.mp4", "calm/p1.mp4", "loud/p0.mp4", "loud/p1.mp4"]
    facts = rows.groupby("video")[["participant", "folder"]].first()
    assert facts.loc["loud/p1.mp4"].tolist() == ["001", "loud"]
    for path in (study / "study").glob("*.parquet"):
        timeline = Timeline.load(path)
        own = rows[rows["video"] == timeline.video.name].reset_index(drop=True)
        expected = timeline.to_frame().reset_index(drop=True)
        assert len(own) == len(expected) > 0
        for column in ("t_start", "t_end", "p_anger", "confidence", "label"):
            pd.testing.assert_series_equal(own[column], expected[column], check_dtype=False)
        assert own["t_end"].max() == pytest.approx(timeline.duration_seconds)
    assert pq.ParquetFile(study / "rows.parquet").num_row_groups == 1


@pytest.mark.ray
def test_one_line_for_each_video_and_person(study: Path) -> None:
    lines = pd.read_csv(study / "videos.csv", dtype={"participant": str})
    rows = pd.read_parquet(study / "rows.parquet")
    assert len(lines) == 4 and lines["participant"].tolist() == ["000", "001", "000", "001"]
    for line in lines.to_dict("records"):
        own = rows[(rows["video"] == line["video"]) & (rows["person"] == line["person"])]
        seconds = own["t_end"] - own["t_start"]
        assert line["seconds"] == pytest.approx(seconds.sum(), abs=1e-5)
        for label in ("neutral", "anger", "happiness"):
            share = seconds[own["label"] == label].sum() / seconds.sum()
            assert line[f"share_{label}"] == pytest.approx(share, abs=1e-5)
        mean = np.average(own["p_anger"].dropna(), weights=seconds[own["p_anger"].notna()])
        assert line["mean_p_anger"] == pytest.approx(mean, abs=1e-5)


@pytest.mark.ray
def test_a_second_run_has_nothing_to_do_and_starts_no_ray(study: Path, videos: Path, model: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in study.glob("*.csv") if path.stem != "videos"}
    result = videofer(*command(videos, model, study))
    assert result.returncode == 3 and "0 videos done in" in result.stdout and "4 up to date" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.ray
def test_what_is_to_be_done_follows_from_what_is_there(
    study: Path, videos: Path, model: Path, stage: StageReport
) -> None:
    loaded = load_checkpoint(model)

    def plan(spec: StudySpec) -> StudyPlan:
        accounts = {path: path.read_bytes() for path in (study / "study").glob("*.json")}
        files = {path: path.read_bytes() for path in study.glob("*.*") if path.is_file()}
        stamps = {path: path.stat() for path in files}
        try:
            return make_plan(loaded, stage, spec)
        finally:  # as before: plans remove what is out of date
            for path, content in {**accounts, **files}.items():
                if not path.exists():
                    path.write_bytes(content)
                    if path in stamps:
                        os.utime(path, ns=(stamps[path].st_atime_ns, stamps[path].st_mtime_ns))

    same = plan(spec_of(study, model))
    assert same.to_do == () and names(same.videos) == [
        "calm/p0.mp4", "calm/p1.mp4", "loud/p0.mp4", "loud/p1.mp4",
    ]  # fmt: skip
    fewer = plan(spec_of(study, model, formats=("csv",)))
    assert fewer.to_do == ()
    more = plan(spec_of(study, model, formats=("csv", "srt", "eaf")))
    assert [task.formats for task in more.to_do] == [("srt",)] * 4
    other = plan(spec_of(study, model, settings=TimelineSettings(min_confidence=0.5)))
    assert [task.formats for task in other.to_do] == [FORMATS] * 4
    assert len({task.timeline_print for task in other.to_do}) == 4
    assert other.to_do[0].duration_seconds >= other.to_do[-1].duration_seconds  # long ones first
    plain = plan(spec_of(study, model, options=ProductOptions(video="none")))
    assert len(plain.to_do) == 4
    assert {t.timeline_print for t in plain.to_do} == {t.timeline_print for t in same.videos}

    victim = next(task for task in same.videos if task.name == "loud/p0.mp4")
    (study / f"{victim.stem}.csv").rename(study / "hidden")
    missing = plan(spec_of(study, model))
    (study / "hidden").rename(study / f"{victim.stem}.csv")
    assert names(missing.to_do) == ["loud/p0.mp4"] and missing.to_do[0].formats == FORMATS
    account = study / "study" / f"{victim.key}.json"
    content = account.read_bytes()
    account.write_bytes(content[:100])
    assert names(plan(spec_of(study, model)).to_do) == ["loud/p0.mp4"]
    account.write_bytes(content)


@pytest.mark.ray
def test_outdated_files_go_but_not_what_the_user_changed(
    study: Path, model: Path, stage: StageReport, tmp_path: Path
) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(study, copy)  # with its times
    task = make_plan(load_checkpoint(model), stage, spec_of(copy, model)).videos[0]
    changed = copy / f"{task.stem}.eaf"
    changed.write_text(changed.read_text() + "<!-- mine -->")
    make_plan(load_checkpoint(model), stage, spec_of(copy, model))
    assert (copy / f"{task.stem}.csv").exists()  # a changed file is no reason to do it again
    make_plan(
        load_checkpoint(model), stage, spec_of(copy, model, settings=TimelineSettings(min_confidence=0.5))
    )
    assert not (copy / f"{task.stem}.csv").exists() and changed.exists()
    assert load_account(copy / "study", task.key) is None
    assert (copy / "index.html").exists()


@pytest.mark.ray
def test_more_formats_and_other_settings_in_one_process(
    one_ray: None, study: Path, videos: Path, model: Path, stage: StageReport, tmp_path: Path
) -> None:
    """The timeline is kept where only files are missing, and made anew where settings differ."""
    loaded = load_checkpoint(model)
    timelines = {path: path.stat().st_mtime_ns for path in (study / "study").glob("*.parquet")}
    spec = spec_of(study, model, formats=("csv", "srt", "eaf"))
    report = run_study(loaded, stage, spec, metadata=Metadata(), workers=2)
    assert (report.num_done, report.num_failed, len(report.failures)) == (4, 0, 1)
    assert {path: path.stat().st_mtime_ns for path in timelines} == timelines
    assert len(list(study.glob("*.srt"))) == 4
    account = load_account(study / "study", next(iter(timelines)).stem)
    assert account is not None and sorted(account.formats) == ["csv", "eaf", "srt"]

    none = TimelineSettings.model_validate({"smoothing": {"method": "none"}})
    report = run_study(loaded, stage, replace(spec, settings=none), metadata=Metadata(), workers=2)
    assert report.num_done == 4
    assert all(path.stat().st_mtime_ns != before for path, before in timelines.items())


def test_a_worker_answers_whatever_happens(
    study: Path, model: Path, stage: StageReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videofer.study.worker.pin_threads", lambda: None)  # this process is no worker
    worker = StudyWorker(spec_of(study, model))
    task = make_plan(load_checkpoint(model), stage, spec_of(study, model)).videos[0]
    assert worker.work(replace(task, formats=("vtt",))) == Answer(task.key)
    assert (study / f"{task.stem}.vtt").is_file() and worker.sign()[1] == 1.0
    missing = worker.work(replace(task, key="f" * 32))
    assert "has no video with key" in missing.failed and not missing.hopeless

    def full(*_: object, **__: object) -> list[Path]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("videofer.study.worker.write_products", full)
    answer = worker.work(task)
    assert "No space left on device" in answer.failed and answer.hopeless


@pytest.mark.ray
def test_two_runs_do_not_share_a_folder(study: Path, model: Path, stage: StageReport) -> None:
    import fcntl

    with (study / "study" / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="is in use by another run"):
            run_study(load_checkpoint(model), stage, spec_of(study, model), metadata=Metadata())


@pytest.mark.ray
def test_names_of_persons_are_for_one_video(videos: Path, model: Path, study: Path) -> None:
    result = videofer(*command(videos, model, study, "--name", "0=Anna"))
    assert result.returncode == 2 and "--name is for one video" in result.stderr


def task_of(name: str) -> VideoTask:
    return VideoTask(
        key=name, name=name, stem=name, media=Path(name), duration_seconds=1.0, timeline_print="",
        products_print="", formats=(),
    )  # fmt: skip


@pytest.mark.ray
def test_bad_videos_stop_no_others(one_ray: None, tmp_path: Path, model: Path) -> None:
    spec = spec_of(tmp_path, model)
    order = ["dies", "dies once", "fails", "hangs", "good", "also good"]
    answers = {
        task.name: answer.failed
        for task, answer in run_videos(
            [task_of(name) for name in order], spec, workers=2, address=None, worker=Unlucky,
            silent_seconds=2.5,
        )
    }  # fmt: skip
    assert answers == {
        "dies": "its process died, twice",
        "dies once": "",
        "fails": "it is bad",
        "hangs": "no progress for 2 s, twice",
        "good": "",
        "also good": "",
    }
    for name, tries in (("dies", 2), ("dies once", 2), ("hangs", 2), ("fails", 1), ("good", 1)):
        assert len(list(tmp_path.glob(f"{name} [0-9]*"))) == tries  # each in a process of its own

    (tmp_path / "no start").touch()
    with pytest.raises(UserError, match=r"no worker starts: .*the model is gone"):
        list(run_videos([task_of("good")], spec, workers=1, address=None, worker=Unlucky))


@pytest.mark.parametrize(
    ("num_gpus", "workers", "share"),
    [
        (1, 1, 1),
        (1, 2, 0.5),
        (1, 3, 0.3333),
        (2, 3, 0.5),
        (4, 2, 2),
        (3, 2, 1),
        (8, 64, 0.125),
        (1, 200, 0.005),
    ],
)
def test_workers_share_the_gpus(
    monkeypatch: pytest.MonkeyPatch, num_gpus: int, workers: int, share: float
) -> None:
    import ray

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 64.0, "GPU": float(num_gpus)})
    assert gpu_share(workers) == share
    on_each = int(1 / share) if share < 1 else 1
    assert workers <= num_gpus * on_each // max(1, int(share))  # all of them can start


@pytest.mark.ray
def test_a_worker_sees_its_gpu_alone() -> None:
    """In a process of its own: the machine has two GPUs there, as far as Ray is told."""
    done = subprocess.run([sys.executable, "-c", ON_GPUS], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(answers := done.stdout.split()) == 2 and set(answers) <= {"cuda:0", "cuda:1"}


ON_GPUS = """
import ray
quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
ray.init(address="local", num_cpus=2, num_gpus=2, **quiet)
from pathlib import Path
from tests.videofer.study_workers import Seeing
from tests.videofer.test_study_run import spec_of, task_of
from videofer.study.pool import gpu_share, run_videos
spec = spec_of(Path("out"), Path("model"), device="cuda")
tasks = [task_of(name) for name in ("a", "b")]
for task, answer in run_videos(tasks, spec, workers=2, address=None, worker=Seeing):
    print(answer.failed.replace(" ", ":"))
"""


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(16):
        write_video(folder / f"v{number:02d}.mp4", pts=tuple(range(20 + number)), first_number=number)
    yield folder


@pytest.mark.ray
def test_an_interrupted_run_keeps_what_is_done(many: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [*map(str, command(many, model, out, "--workers", 1))]
    run = subprocess.Popen(
        [sys.executable, "-c", "from videofer.cli import main; main()", *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    accounts = out / "study"
    while run.poll() is None and not list(accounts.glob("*.json")):
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130, errors
    assert "what was finished is kept" in errors and "Traceback" not in errors
    done = len(list(accounts.glob("*.json")))
    assert 0 < done < 16 and not (out / "index.html").exists()
    again = videofer(*arguments)
    assert again.returncode == 0, again.stderr
    assert f"{16 - done} videos done in" in again.stdout and f"{done} up to date" in again.stdout
    assert len(pd.read_csv(out / "videos.csv")) == 16
    assert not list(out.glob(".*.tmp"))


def test_the_first_ctrl_c_asks_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), _stop_asked() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second one did not interrupt")
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt), _stop_asked():
        os.kill(os.getpid(), signal.SIGINT)  # and nobody looks
    with _stop_asked() as stop:
        assert not stop.is_set()
    assert signal.getsignal(signal.SIGINT) is before
