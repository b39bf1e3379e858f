"""The voice recipe: a tiny run of the real thing, and the arithmetic that it stands on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from whisper.model import ModelDimensions, Whisper

from modalities import checkpoint as saved_as
from modalities.errors import InputError, UnavailableError
from modalities.voice import model as voice_model
from modalities.voice.infer import VoiceReader
from modalities.voice.model import dimensions
from modalities.voice.states import MARGIN_S
from training import states, voice
from training.data import speech_rows
from training.options import Options
from training.rows import Row, load, sets_of

SMALL = ModelDimensions(
    n_mels=80, n_audio_ctx=1500, n_audio_state=32, n_audio_head=2, n_audio_layer=2,
    n_vocab=51865, n_text_ctx=64, n_text_state=32, n_text_head=2, n_text_layer=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def rows(data: Path) -> list[Row]:
    """A few of two sets and of both splits."""
    found = []
    for name in ("urdu", "koemo"):
        for split in ("train", "dev"):
            found += load("voice", name, split)[::13][:8]
    return found


@pytest.fixture(scope="module")
def base(run_dir: Path) -> Path:
    torch.manual_seed(0)
    path = run_dir / "small.pt"
    model = Whisper(SMALL)
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.01)  # which has no values yet
    torch.save({"dims": asdict(SMALL), "model_state_dict": model.state_dict()}, path)
    return path


@pytest.fixture
def _cache(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "cache_dir", lambda: run_dir)


@pytest.fixture
def trained(rows: list[Row], base: Path, run_dir: Path, _cache: None) -> Path:
    path = run_dir / "voice.safetensors"
    if not path.exists():
        voice.train(rows, run_dir / "voice", path, Options(base=str(base), epochs=1))
    return path


def test_the_recipe_writes_what_the_service_reads(trained: Path, base: Path) -> None:
    rows = load("voice", "urdu", "dev")[:3]
    log_sentiment, log_emotions = voice.predict(trained, rows)
    assert log_sentiment.shape == (3, 3) and log_emotions.shape == (3, 7)
    np.testing.assert_allclose(np.exp(log_emotions).sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(np.exp(log_sentiment).sum(1), 1, atol=1e-5)
    model = voice_model.load(trained)
    assert model.dims == dimensions(SMALL, voice.N_HIDDEN) and model.dims.n_layer == 2
    assert all(0 < t < np.inf for t in model.temperature.values())
    trained.with_name("small.emotion.safetensors").write_bytes(trained.read_bytes())
    hearing = VoiceReader.load_whisper(str(base), base.parent, "cpu", trained, MARGIN_S)
    assert hearing.one_pass


def test_what_was_heard_is_not_computed_again(
    rows: list[Row], base: Path, run_dir: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the clips were heard before")

    monkeypatch.setattr(states, "compute", refuse)
    again = run_dir / "again.safetensors"
    voice.train(rows, run_dir / "again", again, Options(base=str(base), epochs=1))
    first, second = saved_as.load(trained), saved_as.load(again)
    assert first.extra["temperature"] == second.extra["temperature"]
    assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)


def test_a_model_of_ours_is_trained_on(rows: list[Row], run_dir: Path, trained: Path) -> None:
    out = run_dir / "more.safetensors"
    voice.train(rows, run_dir / "more", out, Options(base=str(trained), epochs=1))
    before, after = saved_as.load(trained), saved_as.load(out)
    assert before.dims == after.dims and before.state.keys() == after.state.keys()
    changed = {n for n in before.state if not torch.equal(before.state[n], after.state[n])}
    assert "head.plain.weight" in changed
    assert not any(n.startswith("blocks.") for n in changed) and "head.mean" not in changed


def test_the_encoder_stays_as_it_is(rows: list[Row], base: Path, run_dir: Path) -> None:
    for options in (Options(base=str(base), peft="lora"), Options(base=str(base), freeze=1)):
        with pytest.raises(InputError, match="only the head"):
            voice.train(rows, run_dir / "no", run_dir / "no.safetensors", options)
    with pytest.raises(UnavailableError):
        voice.train(rows, run_dir / "no", run_dir / "no.safetensors", Options(base="no-such"))


def test_large_sets_are_sampled_evenly() -> None:
    rows = [
        Row("nemo", f"{i}.opus", "train", "angry", emotion=("angry", "sad")[i % 2], speaker=str(s))
        for s in range(3)
        for i in range(900)
    ]
    chosen = states.sampled([*rows, *rows])
    assert len(chosen) == states.MOST["nemo"]
    assert {sum(row.speaker == str(s) for row in chosen) for s in range(3)} == {500}
    parts = states.parts(chosen[:200])
    assert [len(part) for copy, part in parts if copy == "clean"] == [64, 64, 64, 8]
    assert [len(part) for copy, part in parts if copy == "drawn"] == [32, 32, 32, 4]


def test_speakers_are_in_one_split_alone(data: Path) -> None:
    speakers: dict[tuple[str, str], set[str]] = {}
    for name in sets_of("voice"):
        for row in speech_rows(name):
            speakers.setdefault((name, row["speaker"]), set()).add(row["split"])
    assert all(len(splits) == 1 for splits in speakers.values())
