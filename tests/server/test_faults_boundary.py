"""What the server does where a decoder fails: that content is refused, and the rest is scored."""

from __future__ import annotations

import subprocess
import sys

import server_media as media
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionResponse
from server_process import in_process

from modalities.reading import Source
from server.analysis import BytesPart, Call, Content, TextPart
from server.course import whole
from server.models import Models
from server.moments import Moment
from server.pipeline import Pipeline
from server.settings import Settings


def test_a_decoder_imports_no_torch() -> None:
    code = "import sys, server.workers.decoder; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_recording_that_takes_too_long_leaves_the_text_alone(loaded: Models) -> None:
    async def work(pipeline: Pipeline) -> AnalyzeEmotionResponse:
        return await pipeline.analyze(media.request(media.SENTENCE, media.long_silence(600)))

    answer = in_process(loaded, work, Settings(max_audio_s=1e6, max_decode_s=0.01))
    assert media.states(answer) == ["USED", "REJECTED", "ABSENT"]
    assert "could not be decoded within 0.01 seconds" in answer.modalities[1].reason


def test_what_could_not_be_read_is_not_handed_on_to_be_kept(loaded: Models) -> None:
    content = Content(
        TextPart("text", media.SENTENCE),
        BytesPart("audio", b"no sound"),
        (BytesPart("images[0]", b"no picture"), BytesPart("images[1]", media.screenshot())),
    )

    async def work(pipeline: Pipeline) -> Moment:
        analysis = await pipeline.analyze_content(content, Call("kept"))
        return whole(0, content, analysis)

    kept = in_process(loaded, work).content
    assert Source.VOICE not in kept
    assert kept[Source.VISION] == media.screenshot()
