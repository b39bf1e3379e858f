"""`emotion serve` as its clients see it: a process, a port, real content."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import server_media as media
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest, AnalyzeEmotionResponse
from emotion.v1.model_service_pb2 import GetModelRequest, GetServiceLimitsRequest, ListModelsRequest
from emotion.v1.types_pb2 import AnalysisConfig, Context, Estimate, SourceResult
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from server_process import Server, in_process, start

from modalities.reading import EMOTIONS, SENTIMENTS
from server.models import Models

ANALYZE = "/emotion.v1.EmotionService/AnalyzeEmotion"


def violations(error: grpc.RpcError) -> list[str]:
    """The fields that a BadRequest names."""
    status = rpc_status.from_call(error)
    assert status is not None
    info, *rest = status.details
    assert info.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)
    fields = []
    for packed in rest:
        bad = error_details_pb2.BadRequest()
        if packed.Unpack(bad):
            fields += [violation.field for violation in bad.field_violations]
    return fields


@pytest.fixture(scope="module")
def answers(server: Server) -> dict[str, AnalyzeEmotionResponse]:
    """Answers to all seven mixes of a text (t), a recording (v) and a photo (i)."""
    parts = {"t": media.SENTENCE, "v": media.recording(), "i": media.encode(media.photo())}
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
    fusion = response.fusion
    sentiment = np.array([bias.bias for bias in fusion.sentiment_bias], np.float64)
    emotions = np.array([bias.bias for bias in fusion.emotion_bias], np.float64)
    for source in response.sources:
        own_sentiment, own_emotions = distributions(source.estimate)
        sentiment += source.weight * np.log(own_sentiment)
        emotions += source.weight * np.log(own_emotions)
    sentiment = np.exp(sentiment / fusion.temperature)
    emotions = np.exp(emotions / fusion.temperature)
    sentiment, emotions = sentiment / sentiment.sum(), emotions / emotions.sum()
    groups = {"positive": ["happy"], "neutral": ["neutral"]}
    groups["negative"] = ["angry", "sad", "fear", "disgust"]
    surprise = emotions[EMOTIONS.index("surprise")]
    agreed = np.zeros_like(emotions)
    for probability, name in zip(sentiment, SENTIMENTS, strict=True):
        members = [EMOTIONS.index(label) for label in groups[name]]
        scale = probability / (emotions[members].sum() + probability * surprise)
        agreed[members] = emotions[members] * scale
        agreed[EMOTIONS.index("surprise")] += probability * surprise * scale
    return sentiment, agreed


@pytest.mark.parametrize("mix", ["t", "v", "i", "tv", "ti", "vi", "tvi"])
def test_fusion_is_exact(answers: dict[str, AnalyzeEmotionResponse], mix: str) -> None:
    response = answers[mix]
    sentiment, emotions = distributions(response.fused)
    expected_sentiment, expected_emotions = recomputed(response)
    np.testing.assert_allclose(np.log(sentiment), np.log(expected_sentiment), atol=1e-5)
    np.testing.assert_allclose(np.log(emotions), np.log(expected_emotions), atol=1e-5)

    terms = [source.contribution for source in response.sources]
    log_odds = np.log(sentiment[0]) - np.log(sentiment[2])
    assert sum(terms) + response.fusion.bias_contribution == pytest.approx(log_odds, abs=1e-5)
    shares = [source.share for source in response.sources] + [response.fusion.bias_share]
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
    request = media.request(media.SENTENCE, media.recording(), media.encode(media.photo()))
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
    request.context.CopyFrom(Context(customer_id="customer-4711", tags=["tag-4711"]))
    request.request_id = "seen-in-the-log"
    assert server.emotion.AnalyzeEmotion(request).request_id == "seen-in-the-log"
    log = server.log.read_text()
    assert "seen-in-the-log" in log
    for hidden in ("secretword", "秘密", "4711"):
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
    assert list(by_name) == [f"models/{n}" for n in ("fusion", "image", "text", "voice", "whisper")]
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
        page = server.models.ListModels(ListModelsRequest(page_size=2, page_token=token))
        pages.append([model.name for model in page.models])
        if not (token := page.next_page_token):
            break
    assert [len(page) for page in pages] == [2, 2, 1]
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


@pytest.fixture
def then_serves_on(server: Server) -> Iterator[None]:
    """Whatever a test sends, the next good call succeeds."""
    yield
    response = server.emotion.AnalyzeEmotion(media.request("谢谢，很满意"))
    assert media.states(response)[0] == "USED"
    assert server.process.poll() is None


REFUSED: dict[str, tuple[Callable[[], AnalyzeEmotionRequest], list[str]]] = {
    "empty request": (lambda: media.request(), ["text"]),
    "empty text": (lambda: media.request(""), ["text.content"]),
    "blank text": (lambda: media.request(" \t\n　"), ["text.content"]),
    "blank text beside a recording": (
        lambda: media.request(" ", media.recording()),
        ["text.content"],
    ),
    "text over the limit": (lambda: media.request("长" * 10_001), ["text.content"]),
    "zero-length audio": (lambda: media.request(None, b""), ["audio.content"]),
    "audio without samples": (lambda: media.request(None, media.silence(0)), ["audio.content"]),
    "a text named .wav": (lambda: media.request(None, b"hello, not sound"), ["audio.content"]),
    "three hours": (lambda: media.request(None, media.long_silence(10_800)), ["audio.content"]),
    "three hours beside a text": (
        lambda: media.request("好", media.long_silence(10_800)),
        ["audio.content"],
    ),
    "decompression bomb": (lambda: media.request(None, None, media.bomb()), ["images[0].content"]),
    "bomb beside a text": (lambda: media.request("好", None, media.bomb()), ["images[0].content"]),
    "1 x 1 image": (
        lambda: media.request(None, None, media.encode(media.photo(1, 1))),
        ["images[0].content"],
    ),
    "second of two images over the limit": (
        lambda: media.request(None, None, media.encode(media.photo()), media.bomb()),
        ["images[1].content"],
    ),
    "all broken": (
        lambda: media.request(None, b"no sound", b"no picture", b"none either"),
        ["audio.content", "images[0].content", "images[1].content"],
    ),
    "nine images": (lambda: media.request(None, None, *[b"x"] * 9), ["images"]),
    "bad request_id": (
        lambda: AnalyzeEmotionRequest(request_id="a b\n", text={"content": "好"}),
        ["request_id"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.usefixtures("then_serves_on")
def test_bad_input_is_refused_with_its_field(server: Server, name: str) -> None:
    make, fields = REFUSED[name]
    with pytest.raises(grpc.RpcError) as refused:
        server.emotion.AnalyzeEmotion(make())
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(refused.value) == fields


@pytest.mark.usefixtures("then_serves_on")
def test_invalid_utf8_is_refused_with_its_field(server: Server) -> None:
    raw = media.request("AAAA").SerializeToString().replace(b"AAAA", b"A\xff\xfeA")
    with pytest.raises(grpc.RpcError) as refused:
        server.channel.unary_unary(ANALYZE)(raw)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(refused.value) == ["text.content"]


@pytest.mark.usefixtures("then_serves_on")
def test_bytes_that_are_no_request_are_refused(server: Server) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        server.channel.unary_unary(ANALYZE)(b"\xff\xff\xff\xff")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.usefixtures("then_serves_on")
def test_a_message_over_grpcs_own_limit(server: Server) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        server.emotion.AnalyzeEmotion(media.request(None, bytes(33 * 1024 * 1024)))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def only_times() -> bytes:
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (480, 200), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((160, 30), "12:45", fill="black", font_size=40)
    draw.text((120, 120), "2024-05-01", fill="black", font_size=40)
    return media.encode(picture)


# Valid content in which there is nothing to read: the answer says so and abstains.
NOTHING_TO_READ: dict[str, tuple[Callable[[], AnalyzeEmotionRequest], str]] = {
    "silence": (lambda: media.request(None, media.silence(2)), "no speech"),
    "noise": (lambda: media.request(None, media.noise(3)), "no speech"),
    "only times": (lambda: media.request(None, None, only_times()), "times"),
}


@pytest.mark.parametrize("name", NOTHING_TO_READ)
@pytest.mark.usefixtures("then_serves_on")
def test_nothing_to_read_abstains(server: Server, name: str) -> None:
    make, reason = NOTHING_TO_READ[name]
    response = server.emotion.AnalyzeEmotion(make())
    (rejected,) = [result for result in response.modalities if result.state == 3]
    assert reason in rejected.reason
    assert not rejected.HasField("estimate")
    assert response.fused == Estimate(abstained=True)
    assert not response.sources


USABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "animated GIF": (media.animated_gif, "first"),
    "CMYK JPEG": (lambda: media.encode(media.photo(mode="CMYK"), "JPEG"), ""),
    "no text": (lambda: media.encode(media.photo()), ""),
}


@pytest.mark.parametrize("name", USABLE)
@pytest.mark.usefixtures("then_serves_on")
def test_unusual_pictures_are_read(server: Server, name: str) -> None:
    make, reason = USABLE[name]
    response = server.emotion.AnalyzeEmotion(media.request(None, None, make()))
    assert media.states(response)[2] == "USED"
    assert reason in response.modalities[2].reason
    assert response.fused.HasField("score")


@pytest.mark.usefixtures("then_serves_on")
def test_truncated_audio_is_read_as_far_as_it_goes(server: Server) -> None:
    response = server.emotion.AnalyzeEmotion(media.request(None, media.truncated_recording()))
    assert media.states(response)[1] == "USED"
    assert "cut short" in response.modalities[1].reason


@pytest.mark.usefixtures("then_serves_on")
def test_audio_without_its_start_is_refused(server: Server) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        server.emotion.AnalyzeEmotion(media.request(None, media.recording()[:100]))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(refused.value) == ["audio.content"]


def test_one_good_page_beside_a_broken_one(server: Server) -> None:
    response = server.emotion.AnalyzeEmotion(
        media.request(None, None, b"no picture", media.encode(media.photo()))
    )
    assert media.states(response)[2] == "USED"
    assert "images[0].content" in response.modalities[2].reason


def test_a_deadline_that_has_no_room_is_told(server: Server) -> None:
    with pytest.raises(grpc.RpcError) as late:
        server.emotion.AnalyzeEmotion(media.request(None, None, media.screenshot()), timeout=0.05)
    assert late.value.code() in (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )


def test_limits_are_settings_and_sigterm_finishes_what_was_accepted(tmp_path) -> None:
    small = start(
        tmp_path / "log", "--set", "max_audio_s=1.5", "--set", "max_text_characters=20",
        "--set", "max_images=1", "--set", "max_image_side_pixels=100",
    )  # fmt: skip
    limits = small.models.GetServiceLimits(GetServiceLimitsRequest())
    assert limits.max_audio_duration.ToMilliseconds() == 1500
    for request, field in (
        (media.request("字" * 21), "text.content"),
        (media.request(None, media.silence(2)), "audio.content"),
        (media.request(None, None, media.encode(media.photo(101, 50))), "images[0].content"),
        (media.request(None, None, b"a", b"b"), "images"),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            small.emotion.AnalyzeEmotion(request)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert violations(refused.value) == [field]
    accepted = small.emotion.AnalyzeEmotion.future(
        media.request("好", None, media.encode(media.photo(100, 100)))
    )
    health_pb2_grpc.HealthStub(small.channel).Check(health_pb2.HealthCheckRequest())
    with ThreadPoolExecutor(1) as pool:
        status = pool.submit(small.stop)
        assert media.states(accepted.result(30)) == ["USED", "ABSENT", "USED"]
        assert status.result(30) == 0
    small.channel.close()
    assert '"event": "stopped", "finished": true' in small.log.read_text()
