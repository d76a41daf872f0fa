"""Examples, data set, cache and augmentation on a real store."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_store import CROP_SIZE, crop_of, joints_of, make_store
from torch.utils.data import DataLoader

from cache.reader import StoreReader
from cache.schema import PersonRecord
from videofer.data import sampling
from videofer.data.augmentation import change_body, change_faces, draw_face_change, mirrored_joints
from videofer.data.crops import CropCache
from videofer.data.dataset import EpochSampler, SampleDataset, collate
from videofer.data.examples import Example, _choose_person, make_examples
from videofer.data.sampling import SampleSpec
from videofer.datasets.manifest import join_store, normalise
from videofer.recipe import AugmentRecipe

CLASSES = ["anger", "happiness", "sadness"]
SPEC = SampleSpec(
    num_clips=3, num_frames=2, clip_seconds=0.3, window_seconds=1.2, body_length=8, input_size=48
)
NOTHING = AugmentRecipe(
    flip=0, shift=0, scale=0, rotate_degrees=0, brightness=0, contrast=0, colour=0, erase=0,
    joint_noise=0, joint_drop=0, body_rotate_degrees=0,
)  # fmt: skip
NAMES = ["s1/anger/a.mp4", "s1/sad/b.mp4", "s2/happy/c.mp4"]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> StoreReader:
    path = tmp_path_factory.mktemp("data") / "store"
    make_store(path, NAMES)
    return StoreReader(path)


def table_of(**columns: Any) -> pd.DataFrame:
    rows = {"path": NAMES, "label": ["anger", "sad", "happy"], **columns}
    return normalise(pd.DataFrame(rows), source="t", classes=CLASSES)


def examples_of(reader: StoreReader, **columns: Any) -> tuple[list[Example], list[str]]:
    joined, missing = join_store(table_of(**columns), reader.videos())
    assert not missing
    return make_examples(joined, reader.videos(), CLASSES)


@pytest.fixture
def examples(reader: StoreReader) -> list[Example]:
    return examples_of(reader, subject=["1", "1", "2"], start=[0.2, None, 0.0], end=[2.0, None, 0.6])[0]


def test_examples(reader: StoreReader, examples: list[Example]) -> None:
    assert [(e.t_start, e.t_end) for e in examples] == [(0.2, 2.0), (0.0, 2.4), (0.0, 0.6)]
    assert [e.label for e in examples] == [0, 2, 1] and [e.subject for e in examples] == ["1", "1", "2"]
    np.testing.assert_array_equal([e.target for e in examples], np.eye(3, dtype=np.float32)[[0, 2, 1]])
    assert [e.row for e in examples] == [0, 1, 2] and [e.name for e in examples] == NAMES
    assert examples_of(reader)[0][0].subject == examples[0].key  # without subjects each video is its own


def test_soft_labels_count_before_the_label(reader: StoreReader) -> None:
    found, _ = examples_of(reader, p_anger=[3, None, 0], p_sad=[1, None, 0])
    np.testing.assert_array_equal(found[0].target, np.float32([0.75, 0, 0.25]))
    np.testing.assert_array_equal(found[1].target, [0, 0, 1])
    assert found[0].label == 0 and len(found) == 2


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"label": ["anger", "sad", None]}, "has no label"),
        ({"label": ["anger", "sad", "fear"]}, "the label 'fear' is not among the recipe's classes"),
        ({"start": [None, None, 7.0]}, "nobody is seen in"),
        ({"start": [None, None, 7.0], "end": [None, None, 9.0]}, "nobody is seen in [7, 9) s"),
        ({"person": [0, 0, 4]}, "person 4 is not seen in [0, 2.4) s"),
        ({"p_anger": [1, 1, 0]}, "its soft label lies wholly outside the recipe's classes"),
    ],
)
def test_unusable_rows_say_why(reader: StoreReader, columns: dict[str, Any], reason: str) -> None:
    found, skipped = examples_of(reader, **columns)
    assert len(found) == 2 and len(skipped) == 1
    assert skipped[0].startswith(f"{NAMES[2]}: {reason}")


def test_the_person_who_is_there_longest() -> None:
    def person(number: int, start: float, end: float) -> PersonRecord:
        return PersonRecord(
            id=number, faces=[], bodies=[], num_frames=int(10 * (end - start)), t_start=start, t_end=end,
            face_states={}, body_states={},
        )  # fmt: skip

    persons = [person(0, 0, 4), person(1, 3, 20), person(2, 5, 9)]

    def choose(start: float, end: float, wanted: int | None = None) -> int | None:
        chosen = _choose_person(persons, start, end, wanted)
        return None if chosen is None else chosen.id

    assert choose(0, 20) == 1 and choose(0, 4) == 0 and choose(5, 9) == 1
    assert choose(0, 20, 2) == 2 and choose(0, 4, 2) is None and choose(30, 40) is None


def test_evaluation_windows_lie_evenly_in_the_interval(reader: StoreReader, examples: list[Example]) -> None:
    data = SampleDataset(reader, examples, SPEC, training=False, windows=2)
    assert len(data) == 6 and len(list(data)) == 6
    for index, t0 in enumerate([0.35, 0.3, -0.3, 0.65, 0.9, -0.3]):  # centred where the window is longer
        example = examples[index % 3]
        track = reader.track(example.key, 0)
        expected = sampling.read(reader, track, sampling.plan(track, t0, SPEC), SPEC)
        item = data[index]
        for name, value in expected.items():
            np.testing.assert_array_equal(item[name], value)
        assert item["example"] == index % 3 and item["label"] == example.label
    with pytest.raises(IndexError):
        data[6]


def test_frames_are_the_store_s(reader: StoreReader, examples: list[Example]) -> None:
    """The sample against the crops that were written, without the sampler."""
    item = SampleDataset(reader, examples, SPEC, training=False)[1]
    t0 = 0.6
    for clip in range(3):
        for k in range(2):
            row = int((t0 + 0.4 * clip + 0.075 + 0.15 * k) * 25)
            crop = sampling.resize_crops(crop_of(1, 60)[row : row + 1], 48)[0]
            np.testing.assert_array_equal(item["frames"][clip, :, k], crop.transpose(2, 0, 1))
    rows = ((t0 + (np.arange(8) + 0.5) * 0.15) * 25).astype(int)
    np.testing.assert_array_equal(item["keypoints"], joints_of(1, 60)[rows])


def test_training_windows_stay_in_the_interval(reader: StoreReader, examples: list[Example]) -> None:
    data = SampleDataset(reader, examples, SPEC, training=True, seed=3)
    means = []
    for repeat in range(40):
        item = data[repeat * 3]
        assert item["clip_mask"].all() and item["example"] == 0
        means.append(item["frames"][:, 0].mean(axis=(1, 2, 3)))
    rows = (np.array(means) - 40) * 60 / 170  # red tells the frame
    assert rows.min() > 0.2 * 25 and rows.max() < 2.0 * 25
    assert rows[:, 0].max() - rows[:, 0].min() > 8  # of the 15 frames that a window may begin in


def test_training_items_depend_on_seed_epoch_and_index_only(
    reader: StoreReader, examples: list[Example]
) -> None:
    def make(seed: int = 1) -> SampleDataset:
        return SampleDataset(reader, examples, SPEC, training=True, augment=AugmentRecipe(), seed=seed)

    first, second = make(), make()
    second[2], second[7]
    np.testing.assert_array_equal(first[1]["frames"], second[1]["frames"])
    np.testing.assert_array_equal(first[1]["keypoints"], second[1]["keypoints"])
    assert (first[1]["frames"] != first[4]["frames"]).any()
    assert (first[1]["frames"] != make(2)[1]["frames"]).any()
    before = first[1]["frames"]
    first.set_epoch(1)
    assert (first[1]["frames"] != before).any()
    first.set_epoch(0)
    np.testing.assert_array_equal(first[1]["frames"], before)


def test_training_without_changes_is_the_plain_sample(reader: StoreReader, examples: list[Example]) -> None:
    plain = SampleDataset(reader, examples, SPEC, training=True, seed=5)
    changed = SampleDataset(reader, examples, SPEC, training=True, seed=5, augment=NOTHING)
    for index in range(6):
        for name, value in plain[index].items():
            np.testing.assert_allclose(value, changed[index][name], rtol=1e-6, err_msg=name)


def test_cache_gives_the_same_samples(reader: StoreReader, examples: list[Example]) -> None:
    cache = CropCache(reader, SPEC.input_size, max_bytes=10**9, window_seconds=SPEC.window_seconds)
    seen: list[tuple[int, int]] = []
    assert cache.fill(examples, lambda done, total: seen.append((done, total))) == 3
    assert seen == [(1, 3), (2, 3), (3, 3)]
    held = cache.num_bytes
    assert cache.fill(examples) == 3 and cache.num_bytes == held  # nothing twice

    def arrays(crops: CropCache | None, **options: Any) -> list[dict[str, Any]]:
        data = SampleDataset(reader, examples, SPEC, cache=crops, **options)
        return [data[index] for index in range(len(data))]

    class NoStore:
        def read_crops(self, track: Any, rows: np.ndarray) -> np.ndarray:
            raise AssertionError("asked the store")

    for options in ({"training": False, "windows": 3}, {"training": True, "augment": AugmentRecipe()}):
        expected = arrays(None, **options)
        cache._reader = NoStore()  # type: ignore[assignment]
        found = arrays(cache, **options)
        cache._reader = reader
        for one, other in zip(expected, found, strict=True):
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])


def test_cache_that_is_too_small_asks_the_store(reader: StoreReader, examples: list[Example]) -> None:
    part = examples[2]  # 15 frames
    size = SPEC.input_size
    cache = CropCache(reader, size, max_bytes=20 * size * size * 3)
    assert cache.fill(examples) == 1 and 0 < cache.num_bytes <= cache.max_bytes
    for example in (examples[0], part):
        track = reader.track(example.key, 0)
        rows = np.array([3, 40, 3, 12])  # of `part` some are held and some are not
        expected = sampling.resize_crops(reader.read_crops(track, rows), size)
        np.testing.assert_array_equal(cache.read_crops(track, rows), expected)


def test_still_gives_its_picture_everywhere(tmp_path: Path) -> None:
    make_store(tmp_path / "s", ["happy/a.png"], num_frames=1, kind="image", body=False)
    reader = StoreReader(tmp_path / "s")
    table = normalise(pd.DataFrame({"path": ["a.png"], "label": ["happy"]}), source="t")
    joined, _ = join_store(table, reader.videos())
    examples, skipped = make_examples(joined, reader.videos(), CLASSES)
    assert not skipped and examples[0].still
    cache = CropCache(reader, SPEC.input_size, max_bytes=10**9)
    cache.fill(examples)
    item = SampleDataset(reader, examples, SPEC, training=False, cache=cache)[0]
    assert item["clip_mask"].all() and not item["body_mask"] and not item["keypoints"].any()
    picture = sampling.resize_crops(crop_of(0, 1), 48)[0].transpose(2, 0, 1)
    np.testing.assert_array_equal(item["frames"], np.broadcast_to(picture[None, :, None], (3, 3, 2, 48, 48)))


def test_lost_face_is_masked_also_with_changes(tmp_path: Path) -> None:
    make_store(tmp_path / "s", NAMES[:1], face_absent=slice(0, 25))
    reader = StoreReader(tmp_path / "s")
    joined, _ = join_store(table_of().iloc[:1], reader.videos())
    examples, _ = make_examples(joined, reader.videos(), CLASSES)
    for augment in (None, AugmentRecipe(brightness=1.0)):
        spec = SampleSpec(num_clips=3, num_frames=2, clip_seconds=0.8, window_seconds=2.4, input_size=48)
        item = SampleDataset(reader, examples, spec, training=True, augment=augment)[0]
        assert item["clip_mask"].tolist() == [False, True, True]
        assert not item["frames"][0].any() and item["frames"][1:].any()


def test_collate(reader: StoreReader, examples: list[Example]) -> None:
    batch = collate([SampleDataset(reader, examples, SPEC, training=False)[index] for index in (0, 2)])
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in batch.items()}
    assert shapes == {
        "frames": ((2, 3, 3, 2, 48, 48), torch.uint8),
        "clip_mask": ((2, 3), torch.bool),
        "keypoints": ((2, 8, 17, 3), torch.float32),
        "body_mask": ((2,), torch.bool),
        "target": ((2, 3), torch.float32),
        "label": ((2,), torch.int64),
        "weight": ((2,), torch.float32),
        "example": ((2,), torch.int64),
    }


def test_loader_processes_give_the_same_and_follow_the_epoch(
    reader: StoreReader, examples: list[Example]
) -> None:
    data = SampleDataset(reader, examples, SPEC, training=True, augment=AugmentRecipe())
    sampler = EpochSampler(data, 12)
    here = DataLoader(data, batch_size=4, sampler=sampler, collate_fn=collate)
    there = DataLoader(
        data, batch_size=4, sampler=sampler, collate_fn=collate, num_workers=2, persistent_workers=True,
        multiprocessing_context="forkserver",
    )  # fmt: skip
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = list(zip(here, there, strict=True))
        assert all(torch.equal(one[name], other[name]) for one, other in batches for name in one)
        epochs.append(batches[0][0]["frames"])
    assert not torch.equal(*epochs)


def make_dataset(labels: list[int]) -> SampleDataset:
    examples = [
        Example(
            key=str(place), person_id=0, t_start=0, t_end=1, target=np.eye(3, dtype=np.float32)[label],
            label=label, subject=str(place), row=place,
        )
        for place, label in enumerate(labels)
    ]  # fmt: skip
    return SampleDataset(None, examples, SPEC, training=True)  # type: ignore[arg-type]


def test_an_epoch_has_each_example_once() -> None:
    sampler = EpochSampler(make_dataset([0] * 10))
    first = list(sampler)
    assert sorted(first) == list(range(10)) and list(sampler) == first
    sampler.set_epoch(1)
    assert sorted(sampler) == list(range(10)) and list(sampler) != first


@pytest.mark.parametrize("balanced", [False, True])
def test_processes_share_an_epoch_without_repeats(balanced: bool) -> None:
    data = make_dataset([0] * 9 + [1])
    parts = [list(EpochSampler(data, 25, balanced=balanced, rank=rank, num_processes=3)) for rank in range(3)]
    assert [len(part) for part in parts] == [9, 9, 9]
    items = list(itertools.chain(*parts))
    assert len(set(items)) == 27  # no sample twice
    drawn = np.array(items) % 10
    counts = np.bincount(drawn, minlength=10)
    if balanced:
        assert counts[9] in (13, 14)
    else:
        assert set(counts) == {2, 3}


def test_nothing_to_train_on_fails() -> None:
    with pytest.raises(ValueError, match="nothing to train on"):
        EpochSampler(make_dataset([]))


def faces(num: int = 3) -> np.ndarray:
    return sampling.resize_crops(crop_of(0, num, CROP_SIZE), 48)


@pytest.mark.parametrize("seed", range(5))
def test_change_is_the_same_for_all_frames(seed: int) -> None:
    rng = np.random.default_rng(seed)
    change = draw_face_change(rng, AugmentRecipe(erase=1.0), 48, mirrored=bool(seed % 2))
    picture = faces(1)
    together = change_faces(np.repeat(picture, 4, axis=0), change)
    assert (together == together[0]).all()
    assert (together[0] != picture[0]).mean() > 0.5
    assert (together[0] == 127).all(axis=-1).sum() >= 36  # the erased part


def test_mirroring_is_exact() -> None:
    change = draw_face_change(np.random.default_rng(0), NOTHING, 48, mirrored=True)
    np.testing.assert_array_equal(change_faces(faces(), change), faces()[:, :, ::-1])


def test_changes_keep_their_input(reader: StoreReader) -> None:
    crops, keypoints = faces(), joints_of(0, 8)
    rng = np.random.default_rng(0)
    for mirrored in (False, True):
        change_faces(crops, draw_face_change(rng, AugmentRecipe(erase=1), 48, mirrored=mirrored))
        change_body(keypoints, rng, AugmentRecipe(), mirrored=mirrored)
    np.testing.assert_array_equal(crops, faces())
    np.testing.assert_array_equal(keypoints, joints_of(0, 8))


def test_mirrored_body() -> None:
    keypoints = joints_of(0, 8)
    out = change_body(keypoints, np.random.default_rng(0), NOTHING, mirrored=True)
    # The left wrist (9) is where the right one (10) was, reflected.
    total = keypoints[..., 0].min() + keypoints[..., 0].max()
    np.testing.assert_allclose(out[:, 9, 0], total - keypoints[:, 10, 0], atol=1e-3)
    np.testing.assert_allclose(out[:, 9, 1], keypoints[:, 10, 1], atol=1e-3)
    again = change_body(out, np.random.default_rng(0), NOTHING, mirrored=True)
    np.testing.assert_allclose(again, keypoints, atol=1e-3)


def test_body_changes_keep_movement_and_unseen_joints() -> None:
    keypoints = joints_of(0, 8)
    keypoints[3, 5] = keypoints[:, 16] = 0
    recipe = AugmentRecipe(joint_drop=0, body_rotate_degrees=0)
    out = change_body(keypoints, np.random.default_rng(0), recipe, mirrored=False)
    assert not out[3, 5].any() and not out[:, 16].any()
    seen = keypoints[0, :, 2] > 0
    moved = np.diff(out[:, seen], axis=0)[4:], np.diff(keypoints[:, seen], axis=0)[4:]
    np.testing.assert_allclose(*moved, atol=1e-3)
    assert (np.abs(out - keypoints)[..., :2].max()) > 0.1
    dropped = change_body(keypoints, np.random.default_rng(0), AugmentRecipe(joint_drop=1), mirrored=False)
    assert not dropped.any()


def test_mirroring_unknown_joints_fails() -> None:
    with pytest.raises(
        ValueError, match=r"skeletons of 14 joints is not known; set training\.augment\.flip to 0"
    ):
        mirrored_joints(14)
