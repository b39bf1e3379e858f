"""The voice recipes: tiny runs of the real thing, and the arithmetic they stand on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import whisper
from whisper.model import ModelDimensions, Whisper

from modalities.errors import UnavailableError
from modalities.voice.infer import VoiceReader
from modalities.voice.model import VoiceDimensions
from modalities.voice.prepare import Segment
from training import voice
from training import whisper as asr
from training.augment import Augment, spec_augment
from training.data import data_dir, load_splits, speech_rows

SMALL = ModelDimensions(
    n_mels=80, n_audio_ctx=1500, n_audio_state=32, n_audio_head=2, n_audio_layer=1,
    n_vocab=51865, n_text_ctx=64, n_text_state=32, n_text_head=2, n_text_layer=1,
)  # fmt: skip
SMALL_VOICE = VoiceDimensions(80, 750, 32, 2, 1, mel_stride=2, normalised=True)


@pytest.fixture(scope="module")
def data() -> Path:
    try:
        return data_dir()
    except UnavailableError as error:
        pytest.skip(f"{error.reason}: {error.remedy}")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def embedded(data: Path, run_dir: Path) -> Path:
    path = run_dir / "voice.safetensors"
    voice.train(run_dir / "voice", path, epochs=1, dims=SMALL_VOICE, limit=24)
    return path


@pytest.fixture(scope="module")
def checkpoint(data: Path, run_dir: Path) -> Path:
    path = run_dir / "tiny.pt"
    asr.train(
        run_dir / "whisper", path, epochs=1, dims=SMALL, limit=6, head_limit=16, head_epochs=1
    )
    return path


def test_the_voice_recipe_writes_what_the_service_reads(embedded: Path) -> None:
    rows = [row for row in speech_rows("urdu") if row["split"] == "dev"][:5]
    log_sentiment, log_emotions = voice.predict(embedded, rows)
    assert log_sentiment.shape == (5, 3) and log_emotions.shape == (5, 7)
    np.testing.assert_allclose(np.exp(log_emotions).sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(np.exp(log_sentiment).sum(1), 1, atol=1e-5)
    reader = VoiceReader.load(embedded)
    assert all(0 < t < np.inf for t in reader.temperature.values())


def test_the_whisper_recipe_gives_text_and_emotion_from_one_pass(
    checkpoint: Path, embedded: Path
) -> None:
    model = whisper.load_model(str(checkpoint), device="cpu")
    assert model.dims == SMALL
    reader = VoiceReader.load_whisper(str(checkpoint), checkpoint.parent, "cpu", embedded)
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    (result,) = reader.infer([Segment(noise, 0.0, 1.0, 0.0)])
    assert reader.encoder_passes == 1 and reader.fallback is None
    assert result.transcript is not None
    assert result.emotion_model == result.transcript_model == reader.model


def test_error_rates_tell_seen_sentences_from_unseen(
    checkpoint: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = checkpoint.parent / "whisper"
    some = asr.utterances(run_dir, 6)
    monkeypatch.setattr(asr, "utterances", lambda _run_dir: some)  # the whole set takes minutes
    figures = asr.evaluate(checkpoint, run_dir, embedded, limit=1)
    assert "en WER, seen sentences" in figures and "zh CER, seen sentences" in figures
    assert all(rate >= 0 for rate in figures.values())


def test_the_tied_row_gives_the_exact_softmax() -> None:
    torch.manual_seed(0)
    tokens = [7, 100, 50_257, 50_258, 50_363]
    trainee = asr.Trainee(SMALL, tokens).eval()
    torch.nn.init.normal_(trainee.decoder.token_embedding.weight)
    model = Whisper(SMALL).eval()
    model.load_state_dict(trainee.whisper_state())
    mel, ids = torch.randn(1, 80, 3000), torch.tensor([[3, 0, 1]])
    with torch.inference_mode():
        compact = trainee(mel, ids)[0].log_softmax(-1)
        whole = model(mel, torch.tensor([[tokens[i] for i in ids[0]]])).log_softmax(-1)
    torch.testing.assert_close(compact[..., :-1], whole[..., tokens], atol=1e-4, rtol=1e-4)


def test_held_out_speakers_and_sentences_train_nothing(data: Path, run_dir: Path) -> None:
    items = asr.utterances(run_dir / "whisper", 6)
    corpus = asr.Corpus(items, SMALL, seed=0)
    sentences = load_splits("asr_sentences")
    assert corpus.train and corpus.dev
    assert all(item.split == "train" for item in corpus.train)
    assert all(sentences.get(item.text, "train") == "train" for item in corpus.train)
    speakers: dict[tuple[str, str], set[str]] = {}
    for name in voice.SETS:
        for row in speech_rows(name):
            speakers.setdefault((name, row["speaker"]), set()).add(row["split"])
    assert all(len(splits) == 1 for splits in speakers.values())


def test_a_set_teaches_only_labels_it_has() -> None:
    item = voice.Clip(np.zeros(1, np.int16), 0, 1, "urdu", 0, 1)
    emotions = torch.zeros(1, 7, requires_grad=True)
    voice.head_loss(torch.zeros(1, 3), emotions, [item], torch.ones(3)).backward()
    assert emotions.grad is not None
    assert (emotions.grad[0] != 0).tolist() == voice.ALLOWED["urdu"].tolist()


def test_augmented_waves_stay_waves() -> None:
    torch.manual_seed(0)
    wave = torch.sin(torch.arange(20_000) * 0.05)
    made = [Augment()(wave) for _ in range(20)]
    assert all(torch.isfinite(w).all() and w.abs().max() <= 1.1 for w in made)
    assert len({len(w) for w in made}) > 2  # the speed changed
    assert torch.isfinite(spec_augment()(torch.randn(1, 80, 90))).all()


@pytest.mark.parametrize(
    ("a", "b", "distance"), [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
)
def test_edit_distance(a: str, b: str, distance: int) -> None:
    assert asr.edit_distance(list(a), list(b)) == distance == asr.edit_distance(list(b), list(a))
