"""The voice recipes: tiny runs of the real thing, and the arithmetic they stand on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import whisper
from whisper.model import ModelDimensions, Whisper

from modalities import checkpoint as saved_as
from modalities.errors import InputError, UnavailableError
from modalities.reading import EMOTIONS
from modalities.voice.infer import VoiceReader, head_path_of
from modalities.voice.model import VoiceDimensions, features, wide_path
from modalities.voice.prepare import Segment
from modalities.voice.prosody import N_PROSODY
from training import folds, voice
from training import whisper as asr
from training.augment import Augment, another_speaker, spec_augment
from training.clips import SMOOTHING, Clip, allowed, clips, head_loss, sentiment_weights
from training.data import load_splits, speech_rows
from training.loop import Recipe
from training.options import Options
from training.rows import Row, load, sets_of

SMALL = ModelDimensions(
    n_mels=80, n_audio_ctx=1500, n_audio_state=32, n_audio_head=2, n_audio_layer=1,
    n_vocab=51865, n_text_ctx=64, n_text_state=32, n_text_head=2, n_text_layer=1,
)  # fmt: skip
SMALL_VOICE = VoiceDimensions(80, 750, 32, 2, 1, mel_stride=2, normalised=True, n_wide=16)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def rows(data: Path) -> list[Row]:
    """A few of each set and split."""
    found = []
    for name in sets_of("voice"):
        for split in ("train", "dev"):
            found += load("voice", name, split)[::37][:7]
    return found


@pytest.fixture(scope="module")
def embedded(rows: list[Row], run_dir: Path) -> Path:
    path = run_dir / "voice.safetensors"
    voice.train(rows, run_dir / "voice", path, Options(epochs=1), SMALL_VOICE)
    return path


@pytest.fixture(scope="module")
def checkpoint(data: Path, run_dir: Path) -> Path:
    path = run_dir / "tiny.pt"
    asr.train(
        run_dir / "whisper", path, epochs=1, dims=SMALL, limit=6, head_limit=16, head_epochs=1
    )
    return path


def test_the_voice_recipe_writes_what_the_service_reads(embedded: Path) -> None:
    rows = load("voice", "urdu", "dev")[:5]
    log_sentiment, log_emotions = voice.predict(embedded, rows)
    assert log_sentiment.shape == (5, 3) and log_emotions.shape == (5, 7)
    np.testing.assert_allclose(np.exp(log_emotions).sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(np.exp(log_sentiment).sum(1), 1, atol=1e-5)
    reader = VoiceReader.load(embedded)
    assert all(0 < t < np.inf for t in reader.temperature.values())


def test_a_run_repeats_itself_to_the_bit(rows: list[Row], run_dir: Path, embedded: Path) -> None:
    for name in ("waves", "spans"):  # decoding takes most of the time
        for path in (run_dir / "voice").glob(f"{name}-*.npy"):
            (run_dir / "again").mkdir(exist_ok=True)
            (run_dir / "again" / path.name).write_bytes(path.read_bytes())
    again = run_dir / "again.safetensors"
    voice.train(rows, run_dir / "again", again, Options(epochs=1), SMALL_VOICE)
    first, second = saved_as.load(embedded), saved_as.load(again)
    assert first.extra == second.extra  # the temperatures
    assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)


def test_the_encoder_weighs_what_it_is_worth(rows: list[Row], run_dir: Path) -> None:
    items = clips(rows, "dev", run_dir / "voice")
    target = torch.tensor([item.emotion for item in items])
    model = voice.start(None, SMALL_VOICE).eval()
    torch.nn.init.normal_(model.head.emotions.weight, std=3)  # loud, and untaught

    frames = [features(item.samples(), model.dims) for item in items]

    def surprise() -> float:
        emotions = allowed(voice.path_logits(model, frames)[1].sum(0), items)
        return float(torch.nn.functional.cross_entropy(emotions, target))

    before = surprise()
    temperature = voice.weigh_paths(model, [], frames, items)
    assert surprise() < 0.9 * before and all(0 < t < np.inf for t in temperature.values())


@pytest.mark.parametrize("options", [{"freeze": 1}, {"peft": "lora"}], ids=str)
def test_fine_tuning_keeps_what_is_frozen(
    options: dict[str, object], rows: list[Row], run_dir: Path, embedded: Path
) -> None:
    folder = run_dir / "-".join(options)
    folder.mkdir()
    for path in (run_dir / "voice").glob("*-*.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    out = folder / "voice.safetensors"
    chosen = Options(base=str(embedded), epochs=1, **options)  # type: ignore[arg-type]
    voice.train(rows, folder, out, chosen)
    before, after = saved_as.load(embedded), saved_as.load(out)
    assert before.dims == after.dims and before.state.keys() == after.state.keys()
    changed = {n for n in before.state if not torch.equal(before.state[n], after.state[n])}
    assert {"wide.network.1.weight", "wide.robust.1.weight", "head.emotions.weight"} <= changed
    assert not any(n.startswith("encoder.conv") for n in changed)
    in_block = {n for n in changed if n.startswith("encoder.blocks.0.")}
    assert bool(in_block) == ("peft" in options)


def test_a_whisper_base_gets_a_head(rows: list[Row], checkpoint: Path, run_dir: Path) -> None:
    out = run_dir / "head.safetensors"
    some = rows[:3] + [row for row in rows if row.split == "dev"][:3]
    voice.train(some, run_dir / "head", out, Options(base=str(checkpoint), epochs=1))
    theirs, ours = saved_as.load(head_path_of(checkpoint)), saved_as.load(out)
    assert ours.dims == theirs.dims and ours.state.keys() == theirs.state.keys()
    with pytest.raises(InputError, match="only its head"):
        voice.train(some, run_dir / "no", out, Options(base=str(checkpoint), peft="lora"))
    with pytest.raises(UnavailableError):
        voice.train(some, run_dir / "no", out, Options(base="no-such-whisper"))


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
    assert all(rate.error_rate >= 0 for rate in figures.values())


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
    for name in sets_of("voice"):
        for row in speech_rows(name):
            speakers.setdefault((name, row["speaker"]), set()).add(row["split"])
    assert all(len(splits) == 1 for splits in speakers.values())


def clip(emotion: int, sentiment: int, held: tuple[bool, ...]) -> Clip:
    return Clip(np.zeros(1, np.int16), 0, 1, "some", "some/one", held, emotion, sentiment)


def test_a_set_teaches_only_labels_it_has() -> None:
    held = tuple(name in ("angry", "happy", "neutral", "sad") for name in EMOTIONS)
    emotions = torch.zeros(1, 7, requires_grad=True)
    head_loss(torch.zeros(1, 3), emotions, [clip(0, 1, held)], torch.ones(3)).backward()
    assert emotions.grad is not None
    assert tuple((emotions.grad[0] != 0).tolist()) == held


def test_the_loss_is_least_at_the_smoothed_label() -> None:
    held = (True, True, False, False, False, False, False)
    share = SMOOTHING / 2
    best = torch.tensor([[1 - share, share, 1, 1, 1, 1, 1]]).log()
    sentiment = torch.zeros(1, 3)
    items, weights = [clip(0, -1, held)], torch.ones(3)
    least = head_loss(sentiment, best, items, weights)
    for step in (-0.1, 0.1):
        moved = best + torch.tensor([step, 0, 0, 0, 0, 0, 0])
        assert head_loss(sentiment, moved, items, weights) > least


def test_sentiments_weigh_against_how_often_they_are_drawn() -> None:
    every = (True,) * 7
    items = [clip(0, 0, every), clip(0, 1, every), clip(0, 1, every), clip(6, -1, every)]
    weights = sentiment_weights(items, [1.0, 1.0, 2.0, 5.0])
    assert weights[2] == 0  # none is drawn
    assert weights[0] == pytest.approx(3 * float(weights[1]))


def test_augmented_waves_stay_waves() -> None:
    torch.manual_seed(0)
    wave = torch.sin(torch.arange(20_000) * 0.05)
    augment = Augment()
    made = [augment(wave) for _ in range(20)]
    assert all(torch.isfinite(w).all() and w.abs().max() < 1.5 for w in made)  # a filter rings
    assert {len(w) for w in made} == {len(wave)}
    assert torch.isfinite(spec_augment()(torch.randn(1, 80, 90))).all()


def test_a_telephone_line_ends_at_4_khz() -> None:
    torch.manual_seed(0)
    heard = Augment().telephone(torch.randn(16_000).clamp(-3, 3) / 4)
    power = torch.fft.rfft(heard).abs().square()  # a bin is 1 Hz
    assert power[4_300:].sum() < 1e-2 * power.sum()


def test_another_speaker_changes_voice_and_tempo_but_not_what_is_voiced() -> None:
    torch.manual_seed(0)
    frames = features(torch.sin(torch.arange(32_000) * 0.08), SMALL_VOICE)
    made = [another_speaker(frames, 80) for _ in range(10)]
    assert all(len(other) == 80 + N_PROSODY for other in made)
    assert len({other.shape[1] for other in made}) > 5
    pitch = [float(other[80].median() - frames[80].median()) for other in made]
    assert max(pitch) > 0.05 and min(pitch) < -0.05 and max(map(abs, pitch)) < 0.5  # octaves
    assert all(set(other[81].tolist()) <= set(frames[81].tolist()) for other in made)


def test_folds_answer_from_what_is_not_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out clips carry the wrong label: a model that learnt from them would answer it."""
    monkeypatch.setattr(folds, "RECIPE", Recipe(epochs=12, learning_rate=3e-3, patience=12))
    torch.manual_seed(0)
    n, every = 256, (True,) * 7
    n_functionals = len(wide_path(voice.DIMS).mean)
    emotion = torch.arange(n) % 2
    plain = torch.randn(n, n_functionals) * 0.1 + emotion.unsqueeze(1)
    heard, often = plain.repeat(2, 1, 1), torch.tensor([0.5, 0.5])
    asked = np.arange(n) >= n - 40
    items = [
        clip(int(1 - e if out else e), -1, every) for e, out in zip(emotion, asked, strict=True)
    ]
    answers = folds._answers(folds.Table([], items, plain, heard, often), ~asked, asked, EMOTIONS)
    assert (answers[0] == emotion[asked].numpy()).mean() > 0.9


@pytest.mark.parametrize(
    ("a", "b", "distance"), [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
)
def test_edit_distance(a: str, b: str, distance: int) -> None:
    assert asr.edit_distance(list(a), list(b)) == distance == asr.edit_distance(list(b), list(a))
