from __future__ import annotations

import torch

from modalities.text.model import pad
from modalities.text.wide import WidePath, bags

WINDOWS = [(2, 7, 8, 9, 3), (2, 3), (2, 7, 7, 7, 7, 7, 7, 3), (2, 9, 8, 7, 3)]


def test_a_bag_has_length_one_and_padding_is_not_in_it() -> None:
    _, weights = bags(*pad(WINDOWS, 0), 1 << 12)
    assert torch.allclose(weights.square().sum(-1), torch.ones(len(WINDOWS)))
    assert (weights > 0).sum(-1).tolist()[:2] == [5 + 4 + 3, 2 + 1]
    # Six times the same token: three tokens, four pairs, four triples… each counts once.
    assert (weights[2] > 0).sum() == 3 + 3 + 3


def test_the_order_of_the_tokens_counts_and_the_batch_does_not() -> None:
    wide = WidePath(1 << 12, 10)
    torch.nn.init.normal_(wide.table.weight)
    together = wide(*pad(WINDOWS, 0))
    for window, answer in zip(WINDOWS, together, strict=True):
        assert torch.allclose(wide(*pad([window], 0))[0], answer, atol=1e-6)
        other_padding = wide(*pad([window, (2, *range(5, 40), 3)], 1))[0]
        assert torch.allclose(other_padding, answer, atol=1e-6)
    assert not torch.allclose(together[0], together[3], atol=1e-3)


def test_buckets_are_spread_evenly() -> None:
    ids = torch.arange(5, 5005).unsqueeze(0)
    buckets, weights = bags(ids, torch.ones_like(ids), 1 << 16)
    used = (weights > 0).sum().item()
    # Of 15,000 random throws into 65,536 buckets about 13,400 different ones are hit.
    assert used > 13_000
    assert buckets.max() < 1 << 16
