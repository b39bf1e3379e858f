"""Spans, as a collector that speaks OTLP receives them."""

from __future__ import annotations

import sys

import pytest
from watched_server import PARENT, WORDS, Watched

from modalities.errors import UnavailableError
from server.observe import tracing


def test_a_request_is_a_child_of_its_callers_span_and_its_stages_are_its_own(
    watched: Watched,
) -> None:
    _, trace, parent, _ = PARENT.split("-")
    spans = [span for span in watched.spans if span.trace_id.hex() == trace]
    (request,) = [span for span in spans if span.parent_span_id.hex() == parent]
    assert request.name == "emotion.v1.EmotionService/AnalyzeEmotion"
    attributes = {one.key: one.value for one in request.attributes}
    assert attributes["emotion.request_id"].string_value == "traced"
    assert attributes["rpc.grpc.status_code"].int_value == 0
    by_id = {span.span_id: span for span in spans}
    stages = {span.name for span in spans if span is not request}
    assert stages == {"total", "text.prepare", "text.infer", "fusion.infer"}
    (inference,) = [span for span in spans if span.name == "text.infer"]
    assert by_id[inference.parent_span_id].name == "total"


def test_errors_are_marked_and_nothing_tells_content(watched: Watched) -> None:
    failed = [span for span in watched.spans if span.status.code == 2]
    assert [span.name.split("/")[1] for span in failed] == ["AnalyzeEmotion"]
    told = "".join(str(span) for span in watched.spans)
    assert WORDS not in told
    assert not any(span.events for span in watched.spans)


def test_without_the_extra_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(UnavailableError) as error:
        tracing.begin("http://127.0.0.1:4317")
    assert "emotion-service[otel]" in error.value.remedy
