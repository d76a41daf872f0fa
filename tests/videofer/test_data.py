"""Examples, data set, cache and the batches of an epoch, on a real store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_store import crop_of, joints_of, make_store
from torch.utils.data import DataLoader

from cache.reader import StoreReader
from cache.schema import PersonRecord
from videofer.data import sampling
from videofer.data.crops import CropCache
from videofer.data.dataset import PADDING, EpochSampler, SampleDataset, collate
from videofer.data.examples import Example, _choose_person, make_examples
from videofer.data.sampling import SampleSpec
from videofer.datasets.manifest import join_store, normalise

CLASSES = ["anger", "happiness", "sadness"]
SPEC = SampleSpec(
    num_clips=3, num_frames=2, clip_seconds=0.3, window_seconds=1.2, body_length=8, input_size=48
)
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
        assert "seed" not in item
    for beyond in (6, -2):
        with pytest.raises(IndexError):
            data[beyond]


def test_frames_are_the_store_s(reader: StoreReader, examples: list[Example]) -> None:
    """The sample against the crops that were written, without the sampler."""
    item = SampleDataset(reader, examples, SPEC, training=False)[1]
    t0 = 0.6
    for clip in range(3):
        for k in range(2):
            row = int((t0 + 0.4 * clip + 0.075 + 0.15 * k) * 25)
            crop = sampling.resize_crops(crop_of(1, 60)[row : row + 1], 48)[0]
            np.testing.assert_array_equal(item["frames"][clip, k], crop)
    rows = ((t0 + (np.arange(8) + 0.5) * 0.15) * 25).astype(int)
    np.testing.assert_array_equal(item["keypoints"], joints_of(1, 60)[rows])


def test_training_windows_stay_in_the_interval(reader: StoreReader, examples: list[Example]) -> None:
    data = SampleDataset(reader, examples, SPEC, training=True, seed=3)
    means = []
    for repeat in range(40):
        item = data[repeat * 3]
        assert item["clip_mask"].all() and item["example"] == 0
        means.append(item["frames"][..., 0].mean(axis=(1, 2, 3)))
    rows = (np.array(means) - 40) * 60 / 170  # red tells the frame
    assert rows.min() > 0.2 * 25 and rows.max() < 2.0 * 25
    assert rows[:, 0].max() - rows[:, 0].min() > 8  # of the 15 frames that a window may begin in


def test_training_items_depend_on_seed_epoch_and_index_only(
    reader: StoreReader, examples: list[Example]
) -> None:
    def make(seed: int = 1) -> SampleDataset:
        return SampleDataset(reader, examples, SPEC, training=True, time_jitter=0.5, seed=seed)

    def differ(one: dict[str, Any], other: dict[str, Any]) -> bool:
        assert (one["frames"] != other["frames"]).any() == (one["seed"] != other["seed"])
        return bool(one["seed"] != other["seed"])

    first, second = make(), make()
    second[2], second[7]
    assert not differ(first[1], second[1])
    np.testing.assert_array_equal(first[1]["keypoints"], second[1]["keypoints"])
    assert differ(first[1], first[4]) and differ(first[1], make(2)[1])
    before = first[1]
    first.set_epoch(1)
    assert differ(first[1], before)
    first.set_epoch(0)
    assert not differ(first[1], before)


def test_seeds_are_well_mixed(reader: StoreReader, examples: list[Example]) -> None:
    """Neighbouring seeds, epochs and indices give 63 bits that look drawn."""
    seeds = []
    for seed in range(4):
        data = SampleDataset(reader, examples, SPEC, training=True, seed=seed)
        for epoch in range(4):
            data.set_epoch(epoch)
            seeds += [int(data[index]["seed"]) for index in range(24)]
    assert len(set(seeds)) == 4 * 4 * 24 and all(0 <= seed < 2**63 for seed in seeds)
    bits = (np.array(seeds)[:, None] >> np.arange(63)) & 1
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / len(seeds) ** 0.5


def test_jitter_is_for_training(reader: StoreReader, examples: list[Example]) -> None:
    def frames(time_jitter: float, index: int) -> np.ndarray:
        data = SampleDataset(reader, examples, SPEC, training=True, time_jitter=time_jitter)
        return np.asarray(data[index]["frames"])

    assert any((frames(1.0, index) != frames(0.0, index)).any() for index in range(3))
    with pytest.raises(AssertionError, match="evaluation changes nothing"):
        SampleDataset(reader, examples, SPEC, training=False, time_jitter=0.1)


@pytest.mark.parametrize("training", [False, True])
def test_padding_is_nothing(reader: StoreReader, examples: list[Example], training: bool) -> None:
    data = SampleDataset(reader, examples, SPEC, training=training)
    padding, item = data[PADDING], data[0]
    assert list(padding) == list(item) and padding["example"] == -1 and padding["weight"] == 0
    for name, value in item.items():
        assert padding[name].dtype == value.dtype and padding[name].shape == value.shape, name
    np.testing.assert_allclose(padding["target"], 1 / 3)
    for name in set(padding) - {"target", "example"}:
        assert not padding[name].any(), name


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

    for options in ({"training": False, "windows": 3}, {"training": True, "time_jitter": 1.0}):
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
    picture = sampling.resize_crops(crop_of(0, 1), 48)[0]
    np.testing.assert_array_equal(item["frames"], np.broadcast_to(picture, (3, 2, 48, 48, 3)))


def test_lost_face_is_masked(tmp_path: Path) -> None:
    make_store(tmp_path / "s", NAMES[:1], face_absent=slice(0, 25))
    reader = StoreReader(tmp_path / "s")
    joined, _ = join_store(table_of().iloc[:1], reader.videos())
    examples, _ = make_examples(joined, reader.videos(), CLASSES)
    spec = SampleSpec(num_clips=3, num_frames=2, clip_seconds=0.8, window_seconds=2.4, input_size=48)
    item = SampleDataset(reader, examples, spec, training=True)[0]
    assert item["clip_mask"].tolist() == [False, True, True]
    assert not item["frames"][0].any() and item["frames"][1:].any()


def test_collate(reader: StoreReader, examples: list[Example]) -> None:
    data = SampleDataset(reader, examples, SPEC, training=True)
    batch = collate([data[index] for index in (0, 2, PADDING)])
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in batch.items()}
    assert shapes == {
        "frames": ((3, 3, 2, 48, 48, 3), torch.uint8),
        "clip_mask": ((3, 3), torch.bool),
        "keypoints": ((3, 8, 17, 3), torch.float32),
        "body_mask": ((3,), torch.bool),
        "seed": ((3,), torch.int64),
        "target": ((3, 3), torch.float32),
        "label": ((3,), torch.int64),
        "weight": ((3,), torch.float32),
        "example": ((3,), torch.int64),
    }
    for place, index in enumerate((0, 2, PADDING)):
        for name, value in data[index].items():
            np.testing.assert_array_equal(batch[name][place], value)


def test_loader_processes_give_the_same_and_follow_the_epoch(
    reader: StoreReader, examples: list[Example]
) -> None:
    data = SampleDataset(reader, examples, SPEC, training=True, time_jitter=0.5)
    sampler = EpochSampler(data, 4, 11, rank=1, num_processes=2)
    here = DataLoader(data, batch_sampler=sampler, collate_fn=collate)
    there = DataLoader(
        data, batch_sampler=sampler, collate_fn=collate, num_workers=2, persistent_workers=True,
        multiprocessing_context="forkserver",
    )  # fmt: skip
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = list(zip(here, there, strict=True))
        assert len(batches) == 3
        assert all(torch.equal(one[name], other[name]) for one, other in batches for name in one)
        assert batches[2][1]["frames"].is_shared()
        assert [batch["example"].eq(PADDING).tolist() for batch, _ in batches][2] == [False, True]
        epochs.append(batches[0][0]["seed"])
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


LABELS = st.lists(st.integers(0, 2), min_size=1, max_size=60)


def epoch_of(sampler: EpochSampler) -> list[int]:
    return [item for batch in sampler for item in batch]


@given(LABELS, st.integers(1, 70), st.integers(0, 9))
def test_an_epoch_has_each_example_once(labels: list[int], batch_size: int, epoch: int) -> None:
    sampler = EpochSampler(make_dataset(labels), batch_size)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    sizes = [len(batch) for batch in batches]
    assert sorted(epoch_of(sampler)) == list(range(len(labels))) and list(sampler) == batches
    assert len(sampler) == len(batches) == -(-len(labels) // batch_size)
    assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1


def test_epochs_and_seeds_differ() -> None:
    data = make_dataset([0] * 20)
    sampler = EpochSampler(data, 8)
    first = epoch_of(sampler)
    sampler.set_epoch(1)
    assert epoch_of(sampler) != first and int(data._epoch) == 1
    data.seed, sampler.epoch = 1, 0
    assert epoch_of(sampler) != first


@given(LABELS, st.integers(1, 40), st.none() | st.integers(1, 90), st.booleans(), st.integers(1, 5))
def test_the_batches_are_the_same_for_any_number_of_processes(
    labels: list[int], batch_size: int, num_samples: int | None, balanced: bool, num_processes: int
) -> None:
    def sampler(rank: int = 0, num_processes: int = 1) -> EpochSampler:
        return EpochSampler(
            make_dataset(labels), batch_size, num_samples, balanced=balanced, rank=rank,
            num_processes=num_processes,
        )  # fmt: skip

    whole = list(sampler())
    parts = [list(sampler(rank, num_processes)) for rank in range(num_processes)]
    items = [item for batch in whole for item in batch]
    assert PADDING not in items and len(set(items)) == len(items) == (num_samples or len(labels))
    for step, batch in enumerate(whole):
        shares = [part[step] for part in parts]
        assert len({len(share) for share in shares}) == 1
        real = [[item for item in share if item != PADDING] for share in shares]
        assert [item for share in real for item in share] == batch
        assert all(share[: len(kept)] == kept for share, kept in zip(shares, real, strict=True))
        padded = [len(share) - len(kept) for share, kept in zip(shares, real, strict=True)]
        assert max(padded) <= 1 and padded == sorted(padded)  # the last processes, one item each
    assert all(len(part) == len(whole) for part in parts)


@given(LABELS, st.integers(1, 300), st.booleans(), st.integers(0, 9))
def test_an_epoch_shows_the_classes_as_often_as_it_says(
    labels: list[int], num_samples: int, balanced: bool, epoch: int
) -> None:
    sampler = EpochSampler(make_dataset(labels), 16, num_samples, balanced=balanced)
    sampler.set_epoch(epoch)
    drawn = np.array(epoch_of(sampler)) % len(labels)
    times = np.bincount(drawn, minlength=len(labels))
    repeats = sampler.repeats()
    assert sorted(repeats) == sorted(set(labels))
    for label, mean in repeats.items():
        own = times[np.array(labels) == label]
        assert own.max() - own.min() <= 1  # in rounds
        if balanced:
            assert abs(own.sum() - num_samples / len(repeats)) < 1
            assert own.sum() == pytest.approx(mean * len(own), abs=1)
        else:
            assert mean == pytest.approx(num_samples / len(labels))


def test_balanced_shows_a_rare_class_again_as_other_samples() -> None:
    sampler = EpochSampler(make_dataset([0] * 9 + [1]), 10, 20, balanced=True)
    assert sampler.repeats() == pytest.approx({0: 10 / 9, 1: 10})
    items = epoch_of(sampler)
    assert sorted(item for item in items if item % 10 == 9) == [9 + 10 * repeat for repeat in range(10)]


@given(st.integers(1, 50), st.integers(1, 12), st.integers(1, 3), st.data())
def test_going_on_within_an_epoch_is_the_tail_of_it(
    num_samples: int, batch_size: int, num_processes: int, draw: st.DataObject
) -> None:
    data = make_dataset([0, 1, 2, 0, 1])
    rank = draw.draw(st.integers(0, num_processes - 1))
    sampler = EpochSampler(data, batch_size, num_samples, rank=rank, num_processes=num_processes)
    sampler.set_epoch(3)
    whole = list(sampler)
    start = draw.draw(st.integers(0, len(whole)))
    sampler.set_start(start)
    assert list(sampler) == whole[start:] and len(sampler) == len(whole) - start
    assert sampler.num_batches == len(whole)
    sampler.set_epoch(3)
    assert list(sampler) == whole
    resumed = EpochSampler(
        data, batch_size, num_samples, rank=rank, num_processes=num_processes, start_batch=start
    )
    resumed.epoch = 3
    assert list(resumed) == whole[start:]


@pytest.mark.parametrize(
    "options",
    [
        {"rank": 2, "num_processes": 2},
        {"rank": -1},
        {"batch_size": 0},
        {"start_batch": 3},
        {"start_batch": -1},
    ],
)
def test_impossible_place_fails(options: dict[str, int]) -> None:
    with pytest.raises(AssertionError):
        EpochSampler(make_dataset([0] * 8), **{"batch_size": 4, **options})


def test_nothing_to_train_on_fails() -> None:
    with pytest.raises(ValueError, match="nothing to train on"):
        EpochSampler(make_dataset([]), 4)
