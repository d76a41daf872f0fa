"""Self-cure with landmarks through all of training: what reaches it, what a run says, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from training_store import make_training_store, small_recipe

from videofer.checkpoint import load_checkpoint
from videofer.data.dataset import SampleDataset, collate
from videofer.models import FaceConfig
from videofer.models.scn import ScnConfig
from videofer.recipe import Recipe
from videofer.training.job import Job
from videofer.training.place import Place
from videofer.training.progress import silent
from videofer.training.run import train
from videofer.training.samples import make_samples
from videofer.training.split import TrainingError, prepare

pytestmark = pytest.mark.usefixtures("one_thread")

FACE = FaceConfig(
    trunk="resnet18", width=4, input_size=33, heads=("clip",), dropout=0.1,
    scn=ScnConfig(relabel_epoch=1, relabel_margin=0.1), landmark_weight=2.0,
)  # fmt: skip


def recipe(face: FaceConfig = FACE, **training: Any) -> Recipe:
    small = small_recipe(**training)
    sections = {"face": face, "body": None, "fusion": None}
    return small.model_copy(update={"model": small.model.model_copy(update=sections)})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scn") / "store"
    make_training_store(path, landmarks=True, faceless=(0,), takes=3)
    return path


def test_a_run_learns_landmarks_and_says_what_it_relabelled(store: Path, tmp_path: Path) -> None:
    wanted = recipe(epochs=4, lr=0.02, ema_decay=0.8, class_weights="balanced", label_smoothing=0.1)
    report = train(wanted, store, tmp_path / "run", progress=silent)
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    names = rows[0].split(",")
    history = [dict(zip(names, map(float, row.split(",")), strict=True)) for row in rows[1:]]
    assert {"train/face_rank", "train/face_landmarks", "train/face_clip"} < set(names)
    for row in history:
        terms = row["train/face_rank"] + row["train/face_landmarks"] + row["train/face_clip"]
        assert row["train/total"] == pytest.approx(terms, rel=1e-4)
    assert history[0]["train/relabelled"] == 0 and all(0 <= row["train/relabelled"] < 0.4 for row in history)
    assert history[-1]["train/face_landmarks"] < 0.7 * history[0]["train/face_landmarks"]
    assert set(report.val_metrics) == {"face"}

    loaded = load_checkpoint(tmp_path / "run")
    assert loaded.recipe == wanted and not loaded.spec.use_landmarks  # of use in training only
    assert loaded.model.face is not None and loaded.model.face.landmark_head is not None


def test_landmarks_reach_training_alone_and_lie_in_the_crop(store: Path, tmp_path: Path) -> None:
    wanted = recipe()
    job = Job(recipe=wanted, store=store, out=tmp_path, prepared=prepare(wanted, store, None), resume=False)
    samples = make_samples(job, Place(device=torch.device("cpu")))

    def batch_of(dataset: SampleDataset) -> dict[str, torch.Tensor]:
        dataset.set_epoch(0)
        return collate([dataset[place] for place in range(len(dataset.examples))])

    batch = batch_of(samples.train)
    marks, mask = batch["landmarks"], batch["landmark_mask"]
    assert marks.shape == (*mask.shape, 68, 2) == (len(mask), 2, 2, 68, 2)
    assert not mask[~batch["clip_mask"]].any() and 0.5 < mask.float().mean() < 1
    place = batch["label"][:, None, None].expand(mask.shape)[mask]
    radius = (marks[mask] - 0.5).norm(dim=-1).mean(dim=-1)
    torch.testing.assert_close(radius, 0.15 + 0.1 * place, atol=0.02, rtol=0)
    assert "landmarks" not in batch_of(samples.val)


@pytest.mark.parametrize(
    ("face", "training", "with_landmarks", "match"),
    [
        (FACE, {}, False, r"landmark_weight is 2, but .*store has no dense landmarks of .*: preprocess with"),
        (
            FACE,
            {"augment": {"mix": 0.5, "mixup": 0.2}},
            True,
            r"mix gives a picture two labels, of which .*scn",
        ),
    ],
)
def test_what_cannot_be_trained(
    face: FaceConfig, training: dict[str, Any], with_landmarks: bool, match: str, store: Path, tmp_path: Path
) -> None:
    if not with_landmarks:
        store = tmp_path / "plain_store"
        make_training_store(store)
    with pytest.raises(TrainingError, match=match):
        train(recipe(face, **training), store, tmp_path / "run", progress=silent)
    assert not (tmp_path / "run").exists()
    assert train(
        recipe(replace(face, landmark_weight=0.0, scn=None), epochs=1),
        store,
        tmp_path / "run",
        progress=silent,
    )
