"""What is measured before the first request, and that it can be seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from emotion.v1.model_service_pb2 import GetModelRequest, Model

from modalities.text.language import LANGUAGES
from server.catalogue import Catalogue
from server.models import load
from server.pipeline import Pipeline
from server.settings import Settings
from server.warmup import FACTORS, tune, warm_up


class Clock:
    """A model that takes a fixed time a batch and a time an item, on a clock of its own."""

    name, revision, max_batch_cost = "clock", "test", 8.0

    def __init__(self, base_s: float, each_s: float) -> None:
        self.base_s, self.each_s, self.now_s = base_s, each_s, 0.0

    def cost(self, item: float) -> float:
        return item

    def infer(self, items: Sequence[float]) -> list[float]:
        self.now_s += self.base_s + self.each_s * len(items)
        return list(items)


@pytest.mark.parametrize(
    ("base_s", "each_s", "factor"),
    [(0.0, 0.001, 1.0), (0.01, 0.001, 4.0), (0.0, 1.0, 1.0)],
    ids=["nothing to share", "a batch's own cost is shared", "no time to measure more"],
)
def test_the_least_batch_that_is_nearly_the_fastest(
    base_s: float, each_s: float, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Clock(base_s, each_s)
    for name in ("monotonic", "perf_counter"):
        monkeypatch.setattr(f"server.warmup.time.{name}", lambda: model.now_s)
    tune(model, 1.0)
    assert model.max_batch_cost == 8.0 * factor


def test_what_was_measured_and_what_is_read_is_seen_in_get_model() -> None:
    settings = Settings()
    models = load(settings, pictures=False)
    assert models.text is not None and models.voice is not None
    usual = models.text.max_batch_cost

    async def work() -> list[Model]:
        async with Pipeline(models, settings) as pipeline:
            await warm_up(pipeline.runner)
        catalogue = Catalogue(models, settings)
        return [
            await catalogue.get_model(GetModelRequest(name=f"models/{name}"), None)
            for name in ("text", "voice", "satisfaction")
        ]

    text, voice, head = asyncio.run(work())
    assert text.max_batch_cost == models.text.max_batch_cost
    assert text.max_batch_cost / usual in FACTORS
    precision = str(models.text.precision).removeprefix("torch.")
    assert (text.batch_cost_unit, text.precision) == ("tokens", precision)
    assert (voice.batch_cost_unit, voice.max_batch_cost) == ("seconds", models.voice.max_batch_cost)
    assert (head.max_batch_cost, head.batch_cost_unit, head.precision) == (0, "", "")
    assert tuple(text.languages) == LANGUAGES
    assert not voice.languages and not head.languages
