"""What the pipeline does where a model is missing, altered or fails."""

from __future__ import annotations

import copy
import logging
import shutil
import time
from pathlib import Path

import pytest
import server_media as media
import torch
from emotion.v1.types_pb2 import ModalityResult, SourceResult
from server_process import in_process

from modalities.errors import InputError, UnavailableError
from server import models
from server.models import AlteredError, Models
from server.pipeline import FailedError
from server.settings import Settings


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the embedded weights, to be spoilt."""
    for path in Settings().weights.iterdir():
        if path.suffix == ".safetensors" or path.name == "SHA256SUMS":
            shutil.copy(path, tmp_path)
    return tmp_path


def broken_text(loaded: Models) -> Models:
    """The same models with a text model that has lost its weights."""
    spoilt = copy.copy(loaded)
    spoilt.text = copy.copy(loaded.text)
    assert spoilt.text is not None
    del spoilt.text.run
    return spoilt


def test_altered_weights_are_refused(bundle: Path) -> None:
    path = bundle / "text.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(AlteredError, match=r"text\.safetensors does not match"):
        models.load(Settings(weights=bundle))


def test_weights_without_a_checksum_are_refused(bundle: Path) -> None:
    (bundle / "SHA256SUMS").write_text("")
    with pytest.raises(AlteredError):
        models.load(Settings(weights=bundle))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_that_is_not_there_is_told() -> None:
    with pytest.raises(UnavailableError, match="no CUDA device"):
        models.load(Settings(device="cuda"))


def test_without_fusion_nothing_is_answered(bundle: Path) -> None:
    (bundle / "fusion.safetensors").unlink()
    with pytest.raises(UnavailableError):
        models.load(Settings(weights=bundle))


def test_a_missing_model_is_unavailable_and_the_others_are_scored(bundle: Path) -> None:
    (bundle / "text.safetensors").unlink()
    loaded = models.load(Settings(weights=bundle))
    request = media.request(media.SENTENCE, None, media.encode(media.portrait()))
    response = in_process(loaded, lambda pipeline: pipeline.analyze(request))
    assert media.states(response) == ["UNAVAILABLE", "ABSENT", "USED"]
    assert response.modalities[0].remedy
    assert response.fused.HasField("score")

    alone = in_process(loaded, lambda p: p.analyze(media.request(media.SENTENCE)))
    assert media.states(alone)[0] == "UNAVAILABLE"
    assert alone.fused.abstained
    assert not alone.fused.HasField("sentiment")


def test_words_and_emotion_of_a_checkpoint_that_the_head_does_not_know(
    whisper_checkpoint: Path,
) -> None:
    loaded = models.load(Settings(whisper=str(whisper_checkpoint)))
    assert loaded.voice is not None
    request = media.request(None, media.recording())
    request.config.words = True
    response = in_process(loaded, lambda pipeline: pipeline.analyze(request))
    segments = response.transcript.segments
    assert response.transcript.state == ModalityResult.USED
    assert response.transcript.text == " ".join(s.text for s in segments if s.text)
    # The head runs the blocks of its own file beside that checkpoint.
    assert response.metadata.encoder_passes == loaded.voice.encoder_passes == 2 * len(segments)
    assert [source.source for source in response.sources] == [
        SourceResult.Source.TRANSCRIPT,
        SourceResult.Source.VOICE,
    ]
    assert {"models/whisper", "models/text"} < {model.name for model in response.metadata.models}
    for segment in segments:
        assert -60 < segment.loudness_dbfs < 0 and bool(segment.language) == bool(segment.text)
        start, end = segment.start_offset.ToNanoseconds(), segment.end_offset.ToNanoseconds()
        for word in segment.words:
            assert start <= word.start_offset.ToNanoseconds() <= word.end_offset.ToNanoseconds()
            assert word.end_offset.ToNanoseconds() <= end
    assert any(segment.words for segment in segments)


def test_a_failing_model_fails_its_modality_only(
    loaded: Models, caplog: pytest.LogCaptureFixture
) -> None:
    request = media.request("秘密", None, media.encode(media.portrait()))
    request.request_id = "failing-1"
    with caplog.at_level(logging.ERROR):
        response = in_process(broken_text(loaded), lambda pipeline: pipeline.analyze(request))
    assert media.states(response) == ["FAILED", "ABSENT", "USED"]
    assert "failing-1" in response.modalities[0].remedy
    (record,) = caplog.records
    assert vars(record)["request_id"] == "failing-1"
    assert "秘密" not in caplog.text


def test_nothing_but_a_failure_is_an_error(loaded: Models) -> None:
    with pytest.raises(FailedError):
        in_process(broken_text(loaded), lambda p: p.analyze(media.request("好")))


def test_a_deadline_that_has_passed_is_a_timeout(loaded: Models) -> None:
    with pytest.raises(TimeoutError):
        in_process(loaded, lambda p: p.analyze(media.request("好"), time.monotonic() - 1))


def test_an_unknown_side_is_refused(loaded: Models) -> None:
    request = media.request("好")
    request.config.customer_side = 99
    with pytest.raises(InputError) as refused:
        in_process(loaded, lambda pipeline: pipeline.analyze(request))
    assert refused.value.field == "config.customer_side"
