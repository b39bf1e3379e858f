"""The table that the command line prints, from the messages of the API alone."""

from __future__ import annotations

import io

from emotion.v1.emotion_service_pb2 import AnalyzeEmotionResponse
from emotion.v1.types_pb2 import Estimate, SourceResult
from rich.console import Console

from server.show import show

TEXT = SourceResult(source=SourceResult.TEXT, estimate=Estimate(score=-0.71), share=0.91)
VOICE = SourceResult(
    source=SourceResult.VOICE, estimate=Estimate(score=0.2), share=0.09, weakness="snr_db"
)


def shown(*sources: SourceResult, score: float | None) -> str:
    response = AnalyzeEmotionResponse(sources=sources, fused=Estimate(score=score))
    response.metadata.timings.add(stage="total")
    console = Console(file=io.StringIO(), width=100)
    show(response, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_it_says_how_the_score_follows_from_its_sources() -> None:
    found = shown(TEXT, VOICE, score=-0.62)
    assert "score -0.62" in found
    assert "text −.71, voice +.20 (noisy, counts 9 %) → −.62" in found
    assert "text −.71 alone" in shown(TEXT, score=-0.71)


def test_without_a_source_there_is_nothing_to_say() -> None:
    assert "no score" in shown(score=None)
