"""Bad input: each refused with its field, or a clear state, and the server serves on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import server_media as media
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
from emotion.v1.model_service_pb2 import GetServiceLimitsRequest
from emotion.v1.types_pb2 import Estimate
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from PIL import Image, ImageDraw
from server_process import Server, start

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
    "CMYK JPEG": (lambda: media.encode(media.portrait("CMYK"), "JPEG"), ""),
    "no text": (lambda: media.encode(media.portrait()), ""),
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
        media.request(None, None, b"no picture", media.encode(media.portrait()))
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


def test_limits_are_settings_and_sigterm_finishes_what_was_accepted(tmp_path: Path) -> None:
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
        media.request("好", None, media.encode(media.portrait()))
    )
    health_pb2_grpc.HealthStub(small.channel).Check(health_pb2.HealthCheckRequest())
    with ThreadPoolExecutor(1) as pool:
        status = pool.submit(small.stop)
        assert media.states(accepted.result(30)) == ["USED", "ABSENT", "USED"]
        assert status.result(30) == 0
    small.channel.close()
    assert '"event": "stopped", "finished": true' in small.log.read_text()
