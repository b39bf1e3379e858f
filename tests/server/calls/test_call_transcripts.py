"""A call with a Whisper decoder: the words of both sides, the emotion of the customer only."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
import recorded_media as calls
from emotion.v1.call_pb2 import StreamCallResponse
from emotion.v1.types_pb2 import Role, SourceResult
from live_streams import Live, chunks, config, final, live
from server_process import in_process

from server import models
from server.analysis import Role as DomainRole
from server.calls.recorded import CallOptions, score
from server.logs import JsonFormatter
from server.settings import Settings


def mulaw(wav: Path) -> bytes:
    content = wav.read_bytes()
    return content[content.index(b"data") + 8 :]


def test_words_of_both_sides_and_the_emotion_of_one(
    whisper_checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = models.load(Settings(whisper=str(whisper_checkpoint)))
    audio = mulaw(calls.write(tmp_path / "call.wav", calls.stereo()))
    responses: list[StreamCallResponse] = []

    async def work(at: Live) -> None:
        requests = [config(request_id="call-7", context={"customer_id": "Zhang"}), *chunks(audio)]
        responses.extend([r async for r in at.stub.StreamCall(iter(requests))])

    with caplog.at_level(logging.INFO):
        live(loaded, work)
    customer, agent, customer_again = final(responses)
    for utterance in (customer, agent, customer_again):
        assert utterance.text and 0 < utterance.confidence <= 1 and utterance.language
    for utterance in (customer, customer_again):
        assert utterance.role == Role.CUSTOMER and utterance.HasField("estimate")
        assert {source.source for source in utterance.sources} == {
            SourceResult.Source.VOICE,
            SourceResult.Source.TRANSCRIPT,
        }
    assert agent.role == Role.AGENT and "agents" in agent.not_scored
    assert not agent.HasField("estimate") and not agent.sources
    shape = responses[-1].summary.shape
    assert all(channel.speaking_rate_per_minute > 0 for channel in shape.channels)
    assert not shape.channels[1].HasField("course")
    log = [JsonFormatter().format(record) for record in caplog.records]
    assert any('"method": "StreamCall"' in line and "call-7" in line for line in log)
    secrets = ["Zhang", *customer.text.split(), *agent.text.split()]
    assert not [line for line in log for secret in secrets if len(secret) > 3 and secret in line]


def test_an_emotion_that_nobody_may_see_is_not_computed(
    whisper_checkpoint: Path, tmp_path: Path
) -> None:
    alone = shutil.copy(whisper_checkpoint, tmp_path / "alone.pt")  # without its head
    loaded = models.load(Settings(whisper=str(alone)))
    assert loaded.voice is not None and not loaded.voice.one_pass
    path = calls.write(tmp_path / "call.wav", calls.stereo())
    options = CallOptions((DomainRole.CUSTOMER, DomainRole.AGENT))
    call = in_process(loaded, lambda pipeline: score(path, pipeline, options, lambda _: None))
    assert [bool(utterance.readings) for utterance in call.utterances] == [True, False, True]
    assert loaded.voice.encoder_passes == 3 + 2
