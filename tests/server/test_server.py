"""`emotion serve` as its clients see it: a process, a port, real content."""

from __future__ import annotations

import itertools

import grpc
import numpy as np
import pytest
import server_media as media
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionResponse
from emotion.v1.model_service_pb2 import GetModelRequest, GetServiceLimitsRequest, ListModelsRequest
from emotion.v1.types_pb2 import AnalysisConfig, Context, Estimate, SourceResult
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from server_process import Server, in_process

from modalities.reading import EMOTIONS, SENTIMENTS
from server.models import Models


@pytest.fixture(scope="module")
def answers(server: Server) -> dict[str, AnalyzeEmotionResponse]:
    """Answers to all seven mixes of a text (t), a recording (v) and a photo (i)."""
    parts = {"t": media.SENTENCE, "v": media.recording(), "i": media.encode(media.portrait())}
    mixes = ["".join(c) for n in (1, 2, 3) for c in itertools.combinations("tvi", n)]
    return {
        mix: server.emotion.AnalyzeEmotion(
            media.request(
                parts["t"] if "t" in mix else None,
                parts["v"] if "v" in mix else None,
                *([parts["i"]] if "i" in mix else []),
            )
        )
        for mix in mixes
    }


def distributions(estimate: Estimate) -> tuple[np.ndarray, np.ndarray]:
    assert [emotion.label for emotion in estimate.emotions] == list(EMOTIONS)
    return (
        np.array([getattr(estimate.sentiment, name) for name in SENTIMENTS], np.float64),
        np.array([emotion.probability for emotion in estimate.emotions], np.float64),
    )


def test_three_modalities_one_score(answers: dict[str, AnalyzeEmotionResponse]) -> None:
    response = answers["tvi"]
    assert media.states(response) == ["USED"] * 3
    sentiment, emotions = distributions(response.fused)
    assert sentiment.sum() == pytest.approx(1, abs=1e-6)
    assert emotions.sum() == pytest.approx(1, abs=1e-6)
    assert response.fused.score == pytest.approx(sentiment[0] - sentiment[2], abs=1e-6)
    assert response.transcript.segments
    assert response.metadata.encoder_passes == len(response.transcript.segments)
    assert {"models/text", "models/voice", "models/image", "models/fusion"} == {
        model.name for model in response.metadata.models if model.revision
    }
    assert {"text.prepare", "voice.infer", "fusion.infer", "total"} <= {
        timing.stage for timing in response.metadata.timings
    }


def test_absent_modalities_are_told(answers: dict[str, AnalyzeEmotionResponse]) -> None:
    assert media.states(answers["t"]) == ["USED", "ABSENT", "ABSENT"]
    assert media.states(answers["vi"]) == ["ABSENT", "USED", "USED"]
    assert not answers["t"].HasField("transcript")


def recomputed(response: AnalyzeEmotionResponse) -> tuple[np.ndarray, np.ndarray]:
    """The fused distributions from the response's own terms, as the API's comments say."""
    sentiment, emotions = np.zeros(len(SENTIMENTS)), np.zeros(len(EMOTIONS))
    for source in response.sources:
        own_sentiment, own_emotions = distributions(source.estimate)
        sentiment += source.weight * np.log(own_sentiment)
        emotions += source.weight * np.log(own_emotions)
    sentiment, emotions = np.exp(sentiment), np.exp(emotions)
    groups = {"positive": ["happy"], "neutral": ["neutral"]}
    groups["negative"] = ["angry", "sad", "fear", "disgust"]
    goes = np.isin(EMOTIONS, [*groups[SENTIMENTS[sentiment.argmax()]], "surprise"])
    most = (1 - 1e-6) * emotions[goes].max()
    emotions = np.where(goes, emotions, np.minimum(emotions, most))
    return sentiment / sentiment.sum(), emotions / emotions.sum()


@pytest.mark.parametrize("mix", ["t", "v", "i", "tv", "ti", "vi", "tvi"])
def test_fusion_is_exact(answers: dict[str, AnalyzeEmotionResponse], mix: str) -> None:
    response = answers[mix]
    sentiment, emotions = distributions(response.fused)
    expected_sentiment, expected_emotions = recomputed(response)
    np.testing.assert_allclose(np.log(sentiment), np.log(expected_sentiment), atol=1e-5)
    np.testing.assert_allclose(np.log(emotions), np.log(expected_emotions), atol=1e-5)

    terms = [source.contribution for source in response.sources]
    log_odds = np.log(sentiment[0]) - np.log(sentiment[2])
    assert sum(terms) == pytest.approx(log_odds, abs=1e-5)
    shares = [source.share for source in response.sources]
    assert sum(shares) == pytest.approx(1, abs=1e-6)
    for result in response.modalities:
        own = [s.share for s in response.sources if s.modality == result.modality]
        assert result.share == pytest.approx(sum(own), abs=1e-6)


def test_broken_parts_leave_the_text_alone(
    server: Server, answers: dict[str, AnalyzeEmotionResponse]
) -> None:
    response = server.emotion.AnalyzeEmotion(
        media.request(media.SENTENCE, b"RIFF no sound", b"\x89PNG no picture")
    )
    assert media.states(response) == ["USED", "REJECTED", "REJECTED"]
    assert all(result.reason for result in response.modalities[1:])
    for mine, other in zip(
        distributions(response.fused), distributions(answers["t"].fused), strict=True
    ):
        np.testing.assert_allclose(mine, other, atol=1e-6)


def test_in_process_and_served_are_the_same(
    loaded: Models, answers: dict[str, AnalyzeEmotionResponse]
) -> None:
    request = media.request(media.SENTENCE, media.recording(), media.encode(media.portrait()))
    local = in_process(loaded, lambda pipeline: pipeline.analyze(request))
    served = answers["tvi"]
    for mine, other in zip(distributions(local.fused), distributions(served.fused), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)
    assert [s.source for s in local.sources] == [s.source for s in served.sources]
    assert list(local.metadata.models) == list(served.metadata.models)


def test_transcript_without_a_decoder(answers: dict[str, AnalyzeEmotionResponse]) -> None:
    transcript = answers["v"].transcript
    assert transcript.state == 5  # UNAVAILABLE
    assert "emotion models pull" in transcript.remedy
    assert [source.source for source in answers["v"].sources] == [SourceResult.Source.VOICE]
    for segment in transcript.segments:
        assert segment.end_offset.ToNanoseconds() > segment.start_offset.ToNanoseconds()
        assert segment.HasField("estimate")
        assert not segment.text


def test_missing_whisper_is_logged_once(server: Server) -> None:
    assert server.log.read_text().count("models pull") == 1


def test_content_and_context_are_never_logged(server: Server) -> None:
    request = media.request("秘密的内容 secretword")
    request.context.CopyFrom(Context(customer_id="customer-qwxyz", tags=["tag-qwxyz"]))
    request.request_id = "seen-in-the-log"
    assert server.emotion.AnalyzeEmotion(request).request_id == "seen-in-the-log"
    log = server.log.read_text()
    assert "seen-in-the-log" in log
    for hidden in ("secretword", "秘密", "qwxyz"):
        assert hidden not in log


def test_a_chat_screenshot_has_sides_and_roles(server: Server) -> None:
    response = server.emotion.AnalyzeEmotion(media.request(None, None, media.screenshot()))
    assert media.states(response) == ["ABSENT", "ABSENT", "USED"]
    spoken = [message for message in response.messages if message.HasField("estimate")]
    sides = {(message.side, message.role) for message in spoken}
    assert sides == {(1, 2), (2, 1)}  # left: the agent; right: the customer
    flipped = media.request(None, None, media.screenshot())
    flipped.config.customer_side = AnalysisConfig.LEFT
    other = server.emotion.AnalyzeEmotion(flipped)
    sides = {(m.side, m.role) for m in other.messages if m.HasField("estimate")}
    assert sides == {(1, 1), (2, 2)}
    assert other.fused.score != response.fused.score


def test_health(server: Server) -> None:
    stub = health_pb2_grpc.HealthStub(server.channel)
    for name in ("", "emotion.v1.EmotionService", "emotion.v1.ModelService"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as unknown:
        stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection(server: Server) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    ask = reflection_pb2.ServerReflectionRequest
    listed, file = stub.ServerReflectionInfo(
        iter(
            [
                ask(list_services=""),
                ask(file_containing_symbol="emotion.v1.EmotionService"),
            ]
        )
    )
    names = {service.name for service in listed.list_services_response.service}
    assert {"emotion.v1.EmotionService", "emotion.v1.ModelService"} <= names
    assert file.file_descriptor_response.file_descriptor_proto


def test_models_and_limits(server: Server) -> None:
    listed = server.models.ListModels(ListModelsRequest()).models
    by_name = {model.name: model for model in listed}
    names = ("faces", "fusion", "image", "satisfaction", "text", "voice", "whisper")
    assert list(by_name) == [f"models/{name}" for name in names]
    assert by_name["models/text"].state == 1
    assert len(by_name["models/text"].revision) == 12
    assert by_name["models/whisper"].state == 2
    assert "pull" in by_name["models/whisper"].remedy
    assert server.models.GetModel(GetModelRequest(name="models/text")) == by_name["models/text"]
    with pytest.raises(grpc.RpcError) as unknown:
        server.models.GetModel(GetModelRequest(name="models/nobody"))
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND

    pages, token = [], ""
    while True:
        page = server.models.ListModels(ListModelsRequest(page_size=4, page_token=token))
        pages.append([model.name for model in page.models])
        if not (token := page.next_page_token):
            break
    assert [len(page) for page in pages] == [4, 3]
    assert list(itertools.chain(*pages)) == list(by_name)
    for bad in (ListModelsRequest(page_size=-1), ListModelsRequest(page_token="nonsense")):
        with pytest.raises(grpc.RpcError) as refused:
            server.models.ListModels(bad)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    limits = server.models.GetServiceLimits(GetServiceLimitsRequest())
    assert limits.max_message_bytes == 32 * 1024 * 1024
    assert limits.max_text_characters == 10_000
    assert limits.max_audio_duration.ToSeconds() == 600
    assert (limits.max_image_pixels, limits.max_image_side_pixels) == (50_000_000, 20_000)
    assert (limits.max_images, limits.max_messages) == (8, 500)
    assert (limits.max_streams, limits.max_chunk_bytes) == (40, 1024 * 1024)
    assert limits.max_call_duration.ToSeconds() == 4 * 3600
    assert limits.stream_idle_timeout.ToSeconds() == 60
