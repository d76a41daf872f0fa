from __future__ import annotations

from itertools import combinations, product

import pytest
import torch

from videofer.models.noise import DROPOUT, uniform
from videofer.models.tlstm import HEADS, Head, TwoStreamLSTM, compact


@pytest.fixture
def streams() -> TwoStreamLSTM:
    torch.manual_seed(0)
    return TwoStreamLSTM(6, 3, feature_hidden=7, emotion_hidden=5, dropout=0.5).eval()


def test_parameter_counts_of_the_published_size() -> None:
    streams = TwoStreamLSTM(512, 7, feature_hidden=1024, emotion_hidden=512, dropout=0.5)
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in streams.named_children()}
    assert counts == {"clip_head": 3_591, "feature_stream": 6_306_823, "emotion_stream": 1_070_599}


def test_compact_keeps_the_order_of_valid_steps() -> None:
    sequence = torch.arange(1.0, 5.0)[None, :, None]
    mask = torch.tensor([[False, True, False, True]])
    assert compact(sequence, mask)[0, :, 0].tolist() == [2, 4, 0, 0]


def test_compact_is_that_of_the_definition_for_every_mask() -> None:
    masks = torch.tensor(list(product([False, True], repeat=5)))
    sequence = torch.randn(len(masks), 5, 3)
    poisoned = sequence.masked_fill(~masks[:, :, None], torch.nan)
    made = compact(poisoned, masks)
    for row, mask in enumerate(masks):
        kept = sequence[row, mask]
        assert torch.equal(made[row, : len(kept)], kept)
        assert not made[row, len(kept) :].any()


def test_masked_clips_are_as_if_they_had_never_been(streams: TwoStreamLSTM) -> None:
    features = torch.randn(4, 6)
    for kept in product([False, True], repeat=4):
        if not any(kept):
            continue
        mask = torch.tensor(kept)
        poisoned = torch.where(mask[:, None], features, torch.nan)
        masked = streams(poisoned[None], mask[None])
        removed = streams(features[mask][None], torch.ones(1, sum(kept), dtype=torch.bool))
        for name in HEADS:
            torch.testing.assert_close(masked[name], removed[name], msg=f"{name} {kept}")


def test_heads_are_those_of_the_definition(streams: TwoStreamLSTM) -> None:
    features = torch.randn(2, 4, 6)
    outputs = streams(features, torch.ones(2, 4, dtype=torch.bool))
    guesses = streams.clip_head(features).softmax(-1)
    torch.testing.assert_close(outputs["clip"].exp(), guesses.mean(dim=1))
    emotion_logits = streams.emotion_stream.head(streams.emotion_stream.lstm(guesses)[1][0][0])
    torch.testing.assert_close(outputs["emotion"], emotion_logits.log_softmax(-1))
    feature_logits = streams.feature_stream.head(streams.feature_stream.lstm(features)[1][0][0])
    torch.testing.assert_close(outputs["feature"], feature_logits.log_softmax(-1))


@pytest.mark.parametrize("heads", [c for n in (1, 2, 3) for c in combinations(HEADS, n)])
def test_a_head_alone_is_that_of_all_three(heads: tuple[Head, ...], streams: TwoStreamLSTM) -> None:
    alone = TwoStreamLSTM(6, 3, feature_hidden=7, emotion_hidden=5, dropout=0.5, heads=heads).eval()
    alone.load_state_dict({k: v for k, v in streams.state_dict().items() if k in alone.state_dict()})
    features, mask = torch.randn(2, 4, 6), torch.tensor([[True, False, True, True], [True] * 4])
    outputs, expected = alone(features, mask), streams(features, mask)
    assert tuple(outputs) == heads
    for head in heads:
        assert torch.equal(outputs[head], expected[head])
    sum(value[:, 0].sum() for value in outputs.values()).backward()
    for name, parameter in alone.named_parameters():  # nothing is built that is not trained
        assert parameter.grad is not None and parameter.grad.any(), name


def test_dropout_by_seed_is_the_sample_s_own(streams: TwoStreamLSTM) -> None:
    streams.train()
    features, mask = torch.randn(4, 5, 6), torch.ones(4, 5, dtype=torch.bool)
    mask[1, 2] = mask[3, 0] = False
    seeds = torch.tensor([5, 6, 7, 2**60])
    together = streams(features, mask, seeds)
    assert not torch.equal(together["clip"], streams(features, mask, seeds + 1)["clip"])
    for row in range(4):  # alone, with other clips masked away, after other random numbers: the same
        torch.rand(3)
        one = slice(row, row + 1)
        alone = streams(features[one], mask[one], seeds[one])
        removed = streams(features[one][:, mask[row]], mask[one][:, mask[row]], seeds[one])
        for head in HEADS:
            torch.testing.assert_close(alone[head], together[head][one])
            torch.testing.assert_close(removed[head], together[head][one])


def test_dropout_by_seed_is_that_of_the_definition(streams: TwoStreamLSTM) -> None:
    features, mask, seeds = torch.randn(3, 4, 6), torch.ones(3, 4, dtype=torch.bool), torch.tensor([1, 2, 3])
    kept = uniform(seeds, 24, DROPOUT).reshape(3, 4, 6) >= 0.5
    expected = streams(features * kept * 2, mask)["clip"]
    torch.testing.assert_close(streams.train()(features, mask, seeds)["clip"], expected)
    torch.testing.assert_close(  # none in eval mode
        streams.eval()(features, mask, seeds)["clip"], streams(features, mask)["clip"]
    )


def test_without_seeds_dropout_is_torch_s_own(streams: TwoStreamLSTM) -> None:
    streams.train()
    features, mask = torch.ones(1, 400, 6), torch.ones(1, 400, dtype=torch.bool)
    outputs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outputs.append(streams(features, mask)["emotion"])
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])


def test_order_of_clips_matters_to_the_streams_only(streams: TwoStreamLSTM) -> None:
    features, mask = torch.randn(2, 4, 6), torch.ones(2, 4, dtype=torch.bool)
    forward, backward = streams(features, mask), streams(features.flip(1), mask)
    torch.testing.assert_close(forward["clip"], backward["clip"])
    for name in ("emotion", "feature"):
        assert not torch.allclose(forward[name], backward[name], atol=1e-4)


def test_all_clips_masked_is_finite_forward_and_backward(streams: TwoStreamLSTM) -> None:
    features = torch.full((2, 3, 6), torch.nan)
    features[0] = 1.0
    features.requires_grad_()
    mask = torch.tensor([[True, True, True], [False, False, False]])
    outputs = streams(features, mask)
    assert all(value.isfinite().all() for value in outputs.values())
    sum(value.sum() for value in outputs.values()).backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert (features.grad[1] == 0).all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in streams.parameters())
