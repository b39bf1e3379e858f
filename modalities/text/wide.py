"""The wide path: a linear model over hashed n-grams of tokens, which knows set phrases by heart.

One token, pairs and triples are hashed into one table of logits (Weinberger et al., "Feature
hashing for large scale multitask learning", ICML 2009), the linear half of a wide & deep model
(Cheng et al., 2016). A Chinese character is a token, so these are character n-grams there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

ORDERS = 3  # n-grams of 1 … ORDERS tokens
# Odd 64-bit constants of the golden ratio and of MurmurHash3's finaliser; products wrap around.
MIX, FINISH = -0x61C8864680B583EB, -0x00AE502812AA7333
HIGH_BITS = 40  # of a product the high bits are the well-mixed ones


def bags(ids: Tensor, mask: Tensor, n_buckets: int) -> tuple[Tensor, Tensor]:
    """Ids and mask (b, t) → buckets and weights (b, m) of the n-grams.

    A bag's weights are 1/√(different buckets), so that it has length 1; a bucket that comes again
    and one with padding in it weigh 0. `n_buckets` is a power of two, at most 2^24.
    """
    buckets, real = [], []
    key = torch.zeros_like(ids)
    for n in range(min(ORDERS, ids.shape[1])):
        key = key[:, : ids.shape[1] - n] * MIX + ids[:, n:] + 1  # (b, t − n)
        buckets.append((key * FINISH >> HIGH_BITS) & (n_buckets - 1))
        real.append(mask[:, n:].bool())
    # Padding sorts last, as a bucket that there is not; then equal buckets are neighbours.
    bag = torch.cat(buckets, 1).masked_fill(~torch.cat(real, 1), n_buckets).sort(-1).values
    first = torch.ones_like(bag, dtype=torch.bool)
    first[:, 1:] = bag[:, 1:] != bag[:, :-1]
    counted = first & (bag < n_buckets)  # (b, m)
    weights = counted / counted.sum(-1, keepdim=True).sqrt()  # (b, m)
    return bag.clamp_max(n_buckets - 1), weights


class WidePath(nn.Module):
    """Token ids (b, t) and their mask → logits (b, n_classes), without a bias."""

    def __init__(self, n_buckets: int, n_classes: int) -> None:
        super().__init__()
        self.n_buckets = n_buckets
        self.table = nn.EmbeddingBag(n_buckets, n_classes, mode="sum")
        nn.init.zeros_(self.table.weight)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        buckets, weights = bags(ids, mask, self.n_buckets)
        return self.table(buckets, per_sample_weights=weights.to(self.table.weight.dtype))
