"""A server that most tests share, the embedded models in this process, and a Whisper checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from server_process import Server, start
from whisper.model import ModelDimensions, Whisper
from whisper_head import write_head

from server import models
from server.models import Models
from server.settings import Settings


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("server") / "log")
    yield running
    running.channel.close()
    assert running.stop() == 0


@pytest.fixture(scope="session")
def loaded() -> Models:
    """The embedded models in this process."""
    return models.load(Settings())


@pytest.fixture(scope="session")
def whisper_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in openai-whisper's format and its emotion head, with random weights: right
    for the way that words and sound take, never for what is said."""
    dims = ModelDimensions(
        n_mels=80, n_audio_ctx=1500, n_audio_state=32, n_audio_head=2, n_audio_layer=2,
        n_vocab=51865, n_text_ctx=16, n_text_state=32, n_text_head=2, n_text_layer=2,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("whisper") / "random.pt"
    torch.manual_seed(0)  # of the first seeds one whose text does not repeat itself
    model = Whisper(dims)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=2 * parameter.shape[-1] ** -0.5)
    torch.save({"dims": asdict(dims), "model_state_dict": model.state_dict()}, path)
    write_head(model, path)
    return path
