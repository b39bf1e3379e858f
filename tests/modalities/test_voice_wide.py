"""The wide path: whom it believes about a clip that sounds like a training set, or like none."""

from __future__ import annotations

import pytest
import torch

from modalities.voice.prosody import N_ROBUST
from modalities.voice.wide import FAR, WidePath, weighed

N = N_ROBUST + 30


@pytest.fixture
def wide() -> WidePath:
    """Three sets around points of a plane that the first two functionals span."""
    torch.manual_seed(0)
    made = WidePath(N, 8, 3, (3, 7)).eval()
    made.directions.copy_(torch.eye(2, N))
    made.centres.copy_(torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0]]))
    return made


def at(*place: float) -> torch.Tensor:
    x = torch.zeros(1, N)
    x[0, :2] = torch.tensor(place)
    return x


def test_a_distance_is_one_where_a_clip_of_the_set_is_on_average(wide: WidePath) -> None:
    torch.manual_seed(0)
    here = torch.zeros(20_000, N)
    here[:, :2] = torch.randn(20_000, 2) + torch.tensor([3.0, 0.0])
    assert wide.distances(here)[:, 0].mean().item() == pytest.approx(1, abs=0.05)


def test_a_strange_clip_is_left_to_the_robust_judge(wide: WidePath) -> None:
    judges, familiar = wide(torch.cat([at(3, 0), at(0, -4)]))
    assert familiar[0] > 0.9 > 0.01 > familiar[1]
    assert len(judges) == 1 + 3 + 1
    *known, robust = (emotions for _, emotions in weighed(judges, familiar))
    for own, (_, of) in zip(known, judges[:-1], strict=True):
        torch.testing.assert_close(own, of * familiar.unsqueeze(1))
    torch.testing.assert_close(robust, judges[-1][1] * (1 - familiar).unsqueeze(1))


def test_familiarity_is_half_at_its_distance(wide: WidePath) -> None:
    _, familiar = wide(at(3, -((2 * FAR) ** 0.5)))
    assert familiar.item() == pytest.approx(0.5, abs=1e-5)


def test_the_expert_of_the_set_it_sounds_like_is_believed(wide: WidePath) -> None:
    with torch.no_grad():
        for head in wide.experts:
            head.weight.zero_()
            head.bias.copy_(torch.arange(3.0).repeat_interleave(head.out_features // 3))
    for index, centre in enumerate(wide.centres.tolist()):
        experts = wide(at(*centre))[0][1:-1]
        sentiment, emotions = (sum(heads) for heads in zip(*experts, strict=True))
        torch.testing.assert_close(sentiment, torch.full((1, 3), float(index)), atol=0.2, rtol=0)
        torch.testing.assert_close(emotions, torch.full((1, 7), float(index)), atol=0.2, rtol=0)


def test_one_set_alone_is_always_familiar() -> None:
    judges, familiar = WidePath(N, 8, 1, (3, 7)).eval()(torch.randn(4, N))
    assert (familiar > 0.9).all()
    assert all(torch.isfinite(emotions).all() for _, emotions in judges)


def test_an_answer_does_not_depend_on_the_batch(wide: WidePath) -> None:
    x = torch.randn(5, N)
    together, familiar = wide(x)
    for row in range(5):
        alone, by = wide(x[row : row + 1])
        torch.testing.assert_close(by[0], familiar[row])
        for judge, same in zip(alone, together, strict=True):
            torch.testing.assert_close(judge[1][0], same[1][row])
