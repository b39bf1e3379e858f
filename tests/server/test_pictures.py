"""What the API says of pictures: kinds, sides, a score a message, and the picture drawn on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import server_media as media
from emotion.v1.conversation_pb2 import Message
from emotion.v1.emotion_service_pb2 import (
    AnalyzeConversationRequest,
    AnalyzeEmotionRequest,
    AnalyzeEmotionResponse,
)
from emotion.v1.types_pb2 import AGENT, CUSTOMER, Image, PictureResult, ReadMessage, Text
from PIL import Image as Picture
from server_process import Server, in_process
from sklearn.datasets import load_sample_image
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor
from typer.testing import CliRunner

from modalities.errors import InputError
from modalities.image.decode import ImageLimits
from server import models
from server.annotate import NEGATIVE, POSITIVE, annotate, colour_of
from server.cli import app
from server.models import Models
from server.settings import Settings


def ask(loaded: Models, *contents: bytes, text: str | None = None) -> AnalyzeEmotionResponse:
    request = AnalyzeEmotionRequest(images=[Image(content=content) for content in contents])
    if text is not None:
        request.text.content = text
    return in_process(loaded, lambda pipeline: pipeline.analyze(request))


@pytest.fixture(scope="module")
def chat(loaded: Models) -> AnalyzeEmotionResponse:
    return ask(loaded, media.screenshot())


def said(response: AnalyzeEmotionResponse) -> list[ReadMessage]:
    return [m for m in response.messages if m.kind == ReadMessage.MESSAGE]


def test_a_picture_says_what_sort_it_is(chat: AnalyzeEmotionResponse) -> None:
    (picture,) = chat.pictures
    assert picture.kind == PictureResult.SCREENSHOT
    assert picture.confidence > 0.9
    assert "6 chat bubbles" in picture.reason
    assert (picture.width, picture.height) == Picture.open(media.EXAMPLES / "screenshot.png").size


def test_each_side_has_one_estimate_and_its_course(chat: AnalyzeEmotionResponse) -> None:
    left, right = chat.modalities[2].sides
    assert (left.side, left.role) == (ReadMessage.LEFT, AGENT)
    assert (right.side, right.role) == (ReadMessage.RIGHT, CUSTOMER)
    for side in (left, right):
        own = [m.estimate.score for m in said(chat) if m.side == side.side]
        assert list(side.scores) == pytest.approx(own)
        assert side.shift == pytest.approx(own[-1] - own[0], abs=1e-6)  # quarters of three
    # Nothing else is in the request: the customer's side is the answer.
    assert right.estimate.score == pytest.approx(chat.fused.score, abs=1e-6)


def test_a_message_is_scored_as_the_same_text_of_a_conversation(
    loaded: Models, chat: AnalyzeEmotionResponse
) -> None:
    messages = [Message(role=one.role, text=Text(content=one.text)) for one in said(chat)]
    request = AnalyzeConversationRequest(messages=messages)
    texts = in_process(loaded, lambda pipeline: pipeline.analyze_conversation(request))
    for shown, result in zip(said(chat), texts.messages, strict=True):
        text = result.estimate
        assert shown.estimate.score == pytest.approx(text.score, abs=1e-5)
        assert shown.estimate.confidence == pytest.approx(text.confidence, abs=1e-5)
        for read, written in zip(shown.estimate.emotions, text.emotions, strict=True):
            assert read.probability == pytest.approx(written.probability, abs=1e-5)


def test_a_page_sent_twice_counts_once(loaded: Models, chat: AnalyzeEmotionResponse) -> None:
    twice = ask(loaded, media.screenshot(), media.screenshot())
    assert [m.text for m in said(twice)] == [m.text for m in said(chat)]
    assert twice.fused.score == pytest.approx(chat.fused.score, abs=1e-6)
    assert len(twice.pictures) == 2


def test_a_photograph_without_a_person_is_never_sad(loaded: Models) -> None:
    photo = media.encode(Picture.fromarray(load_sample_image("china.jpg")))
    response = ask(loaded, photo)
    assert response.pictures[0].kind == PictureResult.PHOTO
    assert response.fused.abstained
    assert not response.fused.emotions
    assert "without a face" in response.modalities[2].reason
    with_text = ask(loaded, photo, text=media.SENTENCE)
    alone = in_process(loaded, lambda pipeline: pipeline.analyze(media.request(media.SENTENCE)))
    assert with_text.fused.score == pytest.approx(alone.fused.score, abs=1e-6)


def test_a_broken_page_keeps_its_place(loaded: Models) -> None:
    response = ask(loaded, b"no picture", media.screenshot())
    broken, whole = response.pictures
    assert broken.kind == PictureResult.KIND_UNSPECIFIED
    assert "not an image" in broken.reason
    assert whole.kind == PictureResult.SCREENSHOT
    assert {m.page for m in response.messages} == {1}


def test_the_answer_is_drawn_on_the_picture(chat: AnalyzeEmotionResponse, tmp_path: Path) -> None:
    (written,) = annotate([media.screenshot()], chat, tmp_path / "out.png", ImageLimits())
    assert written == tmp_path / "out.png"
    before = np.asarray(Picture.open(media.EXAMPLES / "screenshot.png").convert("RGB"))
    after = np.asarray(Picture.open(written))
    assert after.shape == before.shape
    for message in said(chat):
        middle = (message.box.left + message.box.right) // 2
        assert tuple(after[message.box.bottom - 1, middle]) == colour_of(message.estimate.score)
    worst = min(said(chat), key=lambda m: m.estimate.score)
    red, green, _ = colour_of(worst.estimate.score)
    assert red > green


def test_several_pages_are_numbered(chat: AnalyzeEmotionResponse, tmp_path: Path) -> None:
    two = AnalyzeEmotionResponse()
    two.CopyFrom(chat)
    two.pictures.append(chat.pictures[0])
    written = annotate([media.screenshot()] * 2, two, tmp_path / "out.png", ImageLimits())
    assert [path.name for path in written] == ["out-1.png", "out-2.png"]
    assert all(path.exists() for path in written)


def test_only_picture_formats_are_drawn(chat: AnalyzeEmotionResponse, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.png"):
        annotate([media.screenshot()], chat, tmp_path / "out.txt", ImageLimits())


def test_colours_run_from_red_to_green() -> None:
    assert colour_of(-1.0) == NEGATIVE
    assert colour_of(1.0) == POSITIVE
    red, green, blue = colour_of(0.0)
    assert red == green == blue


def test_the_command_line_draws(server: Server, tmp_path: Path) -> None:
    arguments = ["analyze", "--image", media.EXAMPLES / "screenshot.png", "--server"]
    arguments += [server.address, "--annotate", tmp_path / "drawn.png"]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert "drawn.png" in result.stderr
    assert Picture.open(tmp_path / "drawn.png").size == Picture.open(arguments[2]).size


def test_a_published_encoder_reads_photographs_too(tmp_path: Path) -> None:
    labels = {0: "happy", 1: "sad", 2: "neutral"}
    config = ViTConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2,
        image_size=32, patch_size=16, id2label=labels, label2id={v: k for k, v in labels.items()},
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    loaded = models.load(Settings(vision=str(tmp_path)))
    response = ask(loaded, media.encode(Picture.fromarray(load_sample_image("china.jpg"))))
    assert media.states(response) == ["ABSENT", "ABSENT", "USED"]
    assert response.pictures[0].kind == PictureResult.PHOTO
    assert response.fused.HasField("score")


def test_a_published_encoder_that_is_not_here_is_unavailable() -> None:
    loaded = models.load(Settings(vision="nobody/no-such-model"))
    missing = loaded.missing["image"]
    assert "hf download nobody/no-such-model" in missing.remedy
    response = ask(loaded, media.encode(media.photo()))
    assert media.states(response) == ["ABSENT", "ABSENT", "UNAVAILABLE"]
    assert response.modalities[2].remedy == missing.remedy
