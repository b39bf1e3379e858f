"""One encoder pass, the library's own tokens, heads that fit: on checkpoints the test writes.

The Whisper checkpoints have openai-whisper's own format and random weights: right for shapes,
equality and refusals, never for what they say. The embedded checkpoint is the real one.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import whisper
import whisper.timing
import whisper.tokenizer
from whisper.decoding import DecodingResult
from whisper.model import ModelDimensions, Whisper
from whisper_head import write_head as write_untaught

from modalities.errors import InputError, UnavailableError
from modalities.reading import Array, Source
from modalities.voice import transcribe as transcribe_module
from modalities.voice.infer import FLOOR_SNR_DB, TOO_NOISY, SegmentResult, VoiceReader
from modalities.voice.prepare import Segment, decode, prepare
from modalities.voice.speaker import Speaker
from modalities.voice.states import MARGIN_S, at_reference
from modalities.voice.transcribe import OPTIONS, _dropped, _words, language_code
from weights import path_of

RECORDING = (Path(__file__).parents[2] / "examples" / "recording.ogg").read_bytes()

SMALL = ModelDimensions(
    n_mels=80, n_audio_ctx=1500, n_audio_state=32, n_audio_head=2, n_audio_layer=2,
    n_vocab=51865, n_text_ctx=48, n_text_state=32, n_text_head=2, n_text_layer=2,
)  # fmt: skip
TINY = ModelDimensions(80, 1500, 384, 6, 4, 51865, 448, 384, 6, 4)
BASE = ModelDimensions(80, 1500, 512, 8, 6, 51865, 448, 512, 8, 6)


def write_whisper(path: Path, dims: ModelDimensions, seed: int = 0) -> Path:
    """Random weights, large enough that what is heard changes what is said."""
    torch.manual_seed(seed)
    model = Whisper(dims)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=2 * parameter.shape[-1] ** -0.5)
    torch.save({"dims": asdict(dims), "model_state_dict": model.state_dict()}, path)
    return path


def write_head(whisper_path: Path) -> Path:
    model = whisper.load_model(str(whisper_path), device="cpu")
    return write_untaught(model, whisper_path)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return decode(RECORDING, max_duration_s=60).samples


@pytest.fixture(scope="module")
def segments(speech: np.ndarray) -> list[Segment]:
    """Sixteen stretches of mixed lengths."""
    lengths_s = np.geomspace(0.3, 8.5, 16)
    starts = np.linspace(0, 0.5, 16)
    return [
        Segment(speech[int(a * 16_000) : int((a + n) * 16_000)], float(a), float(a + n), 20.0)
        for a, n in zip(starts, lengths_s, strict=True)
    ]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_whisper(tmp_path_factory.mktemp("whisper") / "small.pt", SMALL)
    write_head(path)
    return path


@pytest.fixture
def heard_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights repeat themselves, what repeats itself is heard again: here it is not."""
    monkeypatch.setattr(transcribe_module, "COMPRESSION_RATIO", np.inf)


def load(path: Path, margin_s: float | None = None) -> VoiceReader:
    return VoiceReader.load_whisper(str(path), path.parent, "cpu", path_of("voice"), margin_s)


def test_embedded_reader_gives_calibrated_readings() -> None:
    reader = VoiceReader.load(path_of("voice"), "cpu")
    (found,) = prepare(RECORDING, max_duration_s=60).segments
    (result,) = reader.infer([found])
    reading = result.reading
    assert reading.source is Source.VOICE
    assert np.exp(reading.log_sentiment).sum() == pytest.approx(1, abs=1e-5)
    assert np.exp(reading.log_emotions).sum() == pytest.approx(1, abs=1e-5)
    assert reading.embedding.shape == (reader.voice.dims.n_hidden,)
    assert reading.speaker_known == 0
    assert reading.quality.speech_s == pytest.approx(found.duration_s)
    assert reading.quality.snr_db == found.snr_db
    assert result.transcript is None and result.transcript_model is None
    assert result.emotion_model == f"voice@{reader.revision}"
    assert reader.cost(found) == pytest.approx(found.duration_s + MARGIN_S, abs=0.02)


def test_a_segment_that_asks_for_no_emotion_gets_none(small: Path, segments: list[Segment]) -> None:
    items = [replace(item, emotion=place % 2 == 0) for place, item in enumerate(segments[:4])]
    embedded, whisper_reader = VoiceReader.load(path_of("voice"), "cpu"), load(small)
    for reader in (embedded, whisper_reader):
        for item, found, asked in zip(
            items, reader.infer(items), reader.infer(segments[:4]), strict=True
        ):
            assert found.transcript == asked.transcript
            assert (found.emotion is None) == (not item.emotion)
            if found.emotion is not None:
                np.testing.assert_allclose(
                    found.emotion.log_emotions, asked.reading.log_emotions, atol=1e-4
                )


def test_embedded_reading_does_not_depend_on_the_batch(segments: list[Segment]) -> None:
    reader = VoiceReader.load(path_of("voice"), "cpu")
    together = reader.infer(segments)
    for segment, batched in zip(segments, together, strict=True):
        (alone,) = reader.infer([segment])
        for name in ("log_sentiment", "log_emotions"):
            a, b = (np.exp(getattr(r.reading, name)) for r in (alone, batched))
            assert np.abs(a - b).max() <= 1e-4
    assert reader.encoder_passes == 32


@pytest.mark.usefixtures("heard_once")
def test_one_encoder_pass_feeds_text_and_emotion(small: Path, segments: list[Segment]) -> None:
    reader = load(small, MARGIN_S)
    assert reader.one_pass and reader.whisper is not None
    calls: list[int] = []
    for encoder in (reader.whisper.encoder, reader.voice.blocks):
        encoder.conv1.register_forward_hook(lambda _m, inputs, _o: calls.append(len(inputs[0])))
    results = reader.infer([replace(s, words=True) for s in segments[:4]])
    assert reader.encoder_passes == sum(calls) == 4
    for result in results:
        assert result.emotion_model == reader.model
        assert result.transcript_model == reader.whisper_model
        assert result.transcript is not None and result.transcript.tokens


@pytest.mark.usefixtures("heard_once")
@pytest.mark.parametrize("margin_s", [None, 0.0])
def test_with_another_margin_the_head_has_a_pass_of_its_own(
    small: Path, segments: list[Segment], margin_s: float | None
) -> None:
    own, one_pass = load(small, margin_s), load(small, MARGIN_S)
    assert not own.one_pass
    for ours, theirs in zip(own.infer(segments[:4]), one_pass.infer(segments[:4]), strict=True):
        np.testing.assert_allclose(
            ours.reading.log_emotions, theirs.reading.log_emotions, atol=5e-3
        )  # its own blocks are in fp16
    assert own.encoder_passes == 8 and one_pass.encoder_passes == 4


def test_with_base_the_embedded_head_hears_the_same_in_the_one_pass(
    whisper_base: Path, segments: list[Segment]
) -> None:
    reader, embedded = load(whisper_base), VoiceReader.load(path_of("voice"))
    assert reader.one_pass and reader.margin_s == MARGIN_S
    items = [replace(item, language="en") for item in segments[2:12:3]]
    for ours, theirs in zip(reader.infer(items), embedded.infer(items), strict=True):
        assert ours.sound is not None and theirs.sound is not None
        for name in ("log_emotions", "log_sentiment"):
            one, other = (np.exp(getattr(r.reading, name)) for r in (ours, theirs))
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_repeats_itself_is_heard_again_with_all_30_seconds(
    small: Path, segments: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, whole = load(small, MARGIN_S), load(small, 30.0)
    items = segments[4:8]
    with monkeypatch.context() as patch:
        patch.setattr(transcribe_module, "COMPRESSION_RATIO", np.inf)
        once, full = reader.infer(items), whole.infer(items)
    ratios = [one.transcript.compression_ratio for one in once if one.transcript]
    assert reader.encoder_passes == len(ratios) == 4
    bound = sorted(ratios)[1]
    monkeypatch.setattr(transcribe_module, "COMPRESSION_RATIO", bound)
    again = [ratio > bound for ratio in ratios]
    assert any(again) and not all(again)
    found = reader.infer(items)
    assert [one.passes for one in found] == [1 + repeats for repeats in again]
    assert reader.encoder_passes == 8 + sum(again)
    for repeats, one, before, whole_one in zip(again, found, once, full, strict=True):
        assert one.transcript and before.transcript and whole_one.transcript
        expected = whole_one.transcript if repeats else before.transcript
        assert one.transcript.tokens == expected.tokens
        assert one.transcript.no_speech_prob == pytest.approx(expected.no_speech_prob, abs=1e-4)
        np.testing.assert_allclose(
            one.reading.log_emotions, before.reading.log_emotions, atol=1e-5
        )  # the mood is that of the first pass


def test_later_utterances_are_heard_after_the_earlier(segments: list[Segment]) -> None:
    reader, speaker = VoiceReader.load(path_of("voice")), Speaker()
    known = []
    for result in reader.infer(segments[4:8]):
        assert result.sound is not None
        reading = reader.relative(result.sound, speaker)
        if not known:
            np.testing.assert_array_equal(reading.log_emotions, result.reading.log_emotions)
        else:
            assert np.abs(reading.log_emotions - result.reading.log_emotions).max() > 1e-3
        known.append(reading.speaker_known)
        speaker = speaker.after(result.sound)
    assert known == pytest.approx([0, 1 / 4, 2 / 5, 3 / 6])


def test_under_the_floor_no_mood_is_heard(segments: list[Segment]) -> None:
    reader = VoiceReader.load(path_of("voice"))
    clear, hiss = segments[5], np.random.default_rng(0).standard_normal(len(segments[5].samples))
    loud = 4 * float(np.square(clear.samples).mean()) ** 0.5
    samples = clear.samples + (loud * hiss).astype(np.float32)
    noisy = replace(clear, samples=samples, snr_db=FLOOR_SNR_DB - 0.1)
    missed = replace(clear, snr_db=-9.0)  # beside what the VAD took for noise
    results = reader.infer([noisy, clear, missed, replace(noisy, emotion=False)])
    assert [result.emotion is None for result in results] == [True, False, False, True]
    assert [result.not_heard for result in results] == [TOO_NOISY, "", "", ""]


def test_the_less_is_clear_the_less_is_sure(segments: list[Segment]) -> None:
    reader = VoiceReader.load(path_of("voice"))
    items = [replace(segments[9], snr_db=snr_db) for snr_db in (40.0, 25.0, 15.0, 5.0, 0.0)]
    sure = [float(np.exp(r.reading.log_sentiment).max()) for r in reader.infer(items)]
    assert sure[0] == sure[1] and sure[1:] == sorted(sure[1:], reverse=True)


def check_tokens(reader: VoiceReader, segments: list[Segment]) -> list[tuple[int, ...]]:
    """Our batch against `whisper.decode` on the library's own features, one at a time."""
    model = reader.whisper
    assert model is not None
    results = reader.infer(segments)
    for segment, result in zip(segments, results, strict=True):
        mel = whisper.log_mel_spectrogram(
            whisper.pad_or_trim(at_reference(torch.from_numpy(segment.samples))), model.dims.n_mels
        )
        language = segment.language and language_code(segment.language)
        with torch.inference_mode():
            features = model.encoder(mel[None])
            expected = whisper.decode(
                model, features, transcribe_module.OPTIONS, language=language
            )[0]
        transcript = result.transcript
        assert transcript is not None
        assert list(transcript.tokens) == expected.tokens
        assert transcript.language == expected.language
        assert transcript.avg_logprob == pytest.approx(expected.avg_logprob, abs=1e-3)
        assert transcript.no_speech_prob == pytest.approx(expected.no_speech_prob, abs=1e-4)
        (alone,) = reader.infer([segment])
        assert alone.transcript is not None
        assert alone.transcript.tokens == transcript.tokens
    return [result.transcript.tokens for result in results if result.transcript]


def test_tokens_are_the_librarys(small: Path, segments: list[Segment]) -> None:
    mixed = [
        segments[15],
        replace(segments[3], language="zh-CN"),
        segments[8],
        replace(segments[12], language="Polish"),
    ]
    said = check_tokens(load(small), mixed)
    assert len(set(said)) == len(said)  # what is said depends on what was heard


@pytest.mark.parametrize("dims", [TINY, BASE], ids=["tiny", "base"])
def test_tokens_are_the_librarys_at_true_dimensions(
    dims: ModelDimensions, tmp_path: Path, segments: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcribe_module, "OPTIONS", replace(OPTIONS, sample_len=16))
    reader = load(write_whisper(tmp_path / "random.pt", dims), 30.0)
    said = check_tokens(reader, [segments[15], segments[7]])
    assert all(len(tokens) == 16 for tokens in said)


@pytest.mark.usefixtures("heard_once")
def test_finished_rows_leave_the_batch(small: Path, segments: list[Segment]) -> None:
    """A token that rows say at different steps becomes the end of the text."""
    reader = VoiceReader.load_whisper(str(small), small.parent, "cpu", path_of("voice"), 0.0)
    assert reader.whisper is not None
    decoder, items = reader.whisper.decoder, segments[:8]
    before = said(reader, items)
    steps = {t: {one.index(t) if t in one else 99 for one in before} for one in before for t in one}
    token = max(steps, key=lambda t: len(steps[t]))
    eot = whisper.tokenizer.get_tokenizer(True).eot
    decoder.token_embedding.weight.data[eot] = decoder.token_embedding.weight.data[token] * 1.01
    widths: list[int] = []
    hook = decoder.ln.register_forward_hook(lambda _m, inputs, _o: widths.append(len(inputs[0])))
    together = said(reader, items)
    hook.remove()
    assert len(set(map(len, together))) > 2
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == 8 and len(set(widths)) > 2
    assert together == [said(reader, [item])[0] for item in items]


def said(reader: VoiceReader, items: list[Segment]) -> list[tuple[int, ...]]:
    return [result.transcript.tokens for result in reader.infer(items) if result.transcript]


@pytest.mark.usefixtures("heard_once")
def test_true_length_encoding_hears_the_segment_and_its_margin(
    small: Path, segments: list[Segment]
) -> None:
    """Batches of mixed lengths: each as if the library's encoder were as long as that segment."""
    reader = VoiceReader.load_whisper(
        str(small), small.parent, "cpu", path_of("voice"), margin_s=1.0
    )
    model = reader.whisper
    assert model is not None
    items = [segments[15], replace(segments[3], language="zh"), segments[9], segments[8]]
    results = reader.infer(items)
    reader.encode_cost = 0.0  # every segment alone
    for item, result, alone in zip(items, results, reader.infer(items), strict=True):
        frames = 2 * -(-(len(item.samples) + 16_000) // 320)
        assert reader.cost(item) == frames / 100
        wave = whisper.pad_or_trim(at_reference(torch.from_numpy(item.samples)), frames * 160)
        x = whisper.log_mel_spectrogram(wave, 80)[None]
        with torch.inference_mode():
            x = torch.nn.functional.gelu(model.encoder.conv1(x))
            x = torch.nn.functional.gelu(model.encoder.conv2(x)).permute(0, 2, 1)
            x = x + model.encoder.positional_embedding[: frames // 2]
            for block in model.encoder.blocks:
                x = block(x)
            heard = model.encoder.ln_post(x)
            sot = whisper.tokenizer.get_tokenizer(True, num_languages=99).sot
            logits = model.decoder(torch.tensor([[sot]]), heard)[0, 0]
        assert result.transcript is not None and alone.transcript is not None
        no_speech = logits.softmax(-1)[50362]
        assert result.transcript.no_speech_prob == pytest.approx(float(no_speech), abs=1e-4)
        assert result.transcript.tokens == alone.transcript.tokens
        np.testing.assert_allclose(
            np.exp(result.reading.log_emotions), np.exp(alone.reading.log_emotions), atol=1e-4
        )


def test_bf16_stays_near_fp32_in_any_batch(small: Path, segments: list[Segment]) -> None:
    items = segments[2:8:2]
    for reader in (load(small, MARGIN_S), VoiceReader.load(path_of("voice"), "cpu")):
        exact = emotions(reader.infer(items))
        reader.precision = torch.bfloat16
        together = emotions(reader.infer(items))
        alone = emotions([reader.infer([item])[0] for item in items])
        assert np.abs(together - alone).max() <= 2e-2
        assert 0 < np.abs(together - exact).max() <= 3e-2


def emotions(results: list[SegmentResult]) -> Array:
    """Probabilities (n, 7)."""
    return np.exp(np.stack([result.reading.log_emotions for result in results]))


def test_an_english_only_checkpoint_transcribes(tmp_path: Path, segments: list[Segment]) -> None:
    reader = load(write_whisper(tmp_path / "random.en.pt", replace(SMALL, n_vocab=51864)))
    (result,) = reader.infer(segments[:1])
    assert result.transcript is not None and result.transcript.language == "en"


def test_words_have_offsets(
    small: Path, segments: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcribe_module, "AVG_LOGPROB", -np.inf)  # random texts are
    monkeypatch.setattr(transcribe_module, "COMPRESSION_RATIO", np.inf)  # dropped otherwise
    reader = load(small)
    asked = [replace(s, words=True, start_s=100.0) for s in segments[10:14]]
    found = [r.transcript for r in reader.infer(asked) if r.transcript]
    assert all(transcript.words for transcript in found)
    for segment, transcript in zip(asked, found, strict=True):
        offsets = [(word.start_s, word.end_s) for word in transcript.words]
        assert offsets == sorted(offsets)
        for start_s, end_s in offsets:
            assert 100.0 <= start_s <= end_s <= 100.0 + segment.duration_s + 1e-6


def test_words_are_the_librarys(small: Path, segments: list[Segment]) -> None:
    model = whisper.load_model(str(small), device="cpu")
    segment = segments[13]
    tokenizer = whisper.tokenizer.get_tokenizer(True, num_languages=99, language="en")
    tokens = tokenizer.encode(" I want my money back, right now!")
    mel = whisper.log_mel_spectrogram(
        whisper.pad_or_trim(at_reference(torch.from_numpy(segment.samples)))
    )
    n_frames = len(segment.samples) // 160
    expected = whisper.timing.find_alignment(model, tokenizer, tokens, mel, n_frames)
    whisper.timing.merge_punctuations(expected, "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、")
    with torch.inference_mode():
        features = model.encoder(mel[None])[0]
        words = _words(model, features, segment, result("", tokens=tokens))
    assert [word.text for word in words] == ["I", "want", "my", "money", "back,", "right", "now!"]
    kept = [timing for timing in expected if timing.word.strip()]
    for word, timing in zip(words, kept, strict=True):
        assert word.start_s == pytest.approx(segment.start_s + timing.start)
        assert word.end_s == pytest.approx(segment.start_s + timing.end)


def result(text: str, **figures: Any) -> DecodingResult:
    usual = {"avg_logprob": -0.3, "no_speech_prob": 0.1, "compression_ratio": 1.2}
    return DecodingResult(torch.zeros(1), "en", text=text, **{**usual, **figures})


def test_invented_texts_are_dropped_as_whisper_does() -> None:
    assert _dropped(result("Hello.")) is None
    assert _dropped(result("Hello.", no_speech_prob=0.9)) is None  # but surely decoded
    assert "no speech" in (_dropped(result("Hi", no_speech_prob=0.7, avg_logprob=-1.2)) or "")
    assert "repeats" in (_dropped(result("la " * 99, compression_ratio=5.0)) or "")


def test_a_dropped_text_never_leaves(
    small: Path, segments: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcribe_module, "COMPRESSION_RATIO", 0.0)
    (found,) = load(small).infer([replace(segments[9], words=True)])
    assert found.transcript is not None
    assert (found.transcript.text, found.transcript.words) == ("", ())
    assert found.transcript.dropped and found.transcript.tokens


@pytest.mark.parametrize(
    ("tag", "code"), [("zh", "zh"), ("zh-Hans-CN", "zh"), ("Chinese", "zh"), ("EN_us", "en")]
)
def test_language_tags(tag: str, code: str) -> None:
    assert language_code(tag) == code


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(InputError):
        language_code("klingon")


def test_without_a_head_the_embedded_model_reads_the_emotion(
    tmp_path: Path, segments: list[Segment]
) -> None:
    reader = load(write_whisper(tmp_path / "headless.pt", SMALL))
    embedded = VoiceReader.load(path_of("voice"), "cpu")
    for ours, theirs in zip(reader.infer(segments[:3]), embedded.infer(segments[:3]), strict=True):
        np.testing.assert_allclose(
            ours.reading.log_emotions, theirs.reading.log_emotions, atol=1e-5
        )
        assert ours.emotion_model == reader.model == embedded.model
        assert ours.transcript_model == reader.whisper_model
        assert (ours.transcript_model or "").startswith("headless@")


def test_another_checkpoints_head_runs_its_own_blocks(
    small: Path, tmp_path: Path, segments: list[Segment]
) -> None:
    path = write_whisper(tmp_path / "other.pt", SMALL, seed=3)
    (tmp_path / "other.emotion.safetensors").write_bytes(
        small.with_name("small.emotion.safetensors").read_bytes()
    )
    other, own = load(path, MARGIN_S), load(small, MARGIN_S)
    assert own.one_pass and not other.one_pass
    for ours, theirs in zip(other.infer(segments[:2]), own.infer(segments[:2]), strict=True):
        np.testing.assert_allclose(
            ours.reading.log_emotions, theirs.reading.log_emotions, atol=5e-3
        )


def test_what_is_no_voice_model_is_refused(tmp_path: Path) -> None:
    path = write_whisper(tmp_path / "a.pt", SMALL)
    path.with_name("a.emotion.safetensors").write_bytes(path_of("fusion").read_bytes())
    with pytest.raises(UnavailableError, match="no voice model"):
        load(path)


def test_an_absent_checkpoint_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as raised:
        VoiceReader.load_whisper("tiny", tmp_path, "cpu", path_of("voice"))
    assert raised.value.remedy == "emotion models pull tiny"
    with pytest.raises(UnavailableError, match="neither"):
        VoiceReader.load_whisper(str(tmp_path / "none.pt"), tmp_path, "cpu", path_of("voice"))
    assert not list(tmp_path.iterdir())  # nothing was fetched


def test_an_altered_published_checkpoint_is_refused(tmp_path: Path) -> None:
    write_whisper(tmp_path / "whisper-tiny.pt", SMALL)
    with pytest.raises(UnavailableError, match="SHA-256"):
        VoiceReader.load_whisper("tiny", tmp_path, "cpu", path_of("voice"))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('ran')",)


@pytest.mark.parametrize("content", [Evil(), {"dims": 3}, [1, 2]], ids=["pickle", "dims", "list"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(UnavailableError, match="not a Whisper checkpoint"):
        load(tmp_path / "x.pt")
    (tmp_path / "x.pt").write_bytes(b"not even a zip file")
    with pytest.raises(UnavailableError, match="not a Whisper checkpoint"):
        load(tmp_path / "x.pt")
