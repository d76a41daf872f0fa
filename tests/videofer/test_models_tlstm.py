from __future__ import annotations

from itertools import product

import pytest
import torch

from videofer.models.tlstm import HEADS, TwoStreamLSTM, compact


@pytest.fixture
def streams() -> TwoStreamLSTM:
    torch.manual_seed(0)
    return TwoStreamLSTM(6, 3, feature_hidden=7, emotion_hidden=5, dropout=0.5).eval()


def test_parameter_counts_of_the_published_size() -> None:
    streams = TwoStreamLSTM(512, 7, feature_hidden=1024, emotion_hidden=512, dropout=0.5)
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in streams.named_children()}
    assert counts == {
        "dropout": 0,
        "clip_head": 3_591,
        "feature_stream": 6_306_823,
        "emotion_stream": 1_070_599,
    }


def test_compact_keeps_the_order_of_valid_steps() -> None:
    sequence = torch.arange(1.0, 5.0)[None, :, None]
    mask = torch.tensor([[False, True, False, True]])
    assert compact(sequence, mask)[0, :, 0].tolist() == [2, 4, 0, 0]


def test_masked_clips_are_as_if_they_had_never_been(streams: TwoStreamLSTM) -> None:
    features = torch.randn(4, 6)
    for kept in product([False, True], repeat=4):
        if not any(kept):
            continue
        mask = torch.tensor(kept)
        poisoned = torch.where(mask[:, None], features, torch.nan)
        masked = streams(poisoned[None], mask[None])
        removed = streams(features[mask][None], torch.ones(1, sum(kept), dtype=torch.bool))
        for name in (*HEADS, "published_score"):
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
    torch.testing.assert_close(outputs["published_score"], 0.2 * guesses.mean(1) + 0.8 * emotion_logits)


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
