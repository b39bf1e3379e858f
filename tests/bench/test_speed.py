"""The benchmark's own parts: that what is compared does the same work, and that figures add up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np
import pytest
import torch
import whisper
from whisper.model import ModelDimensions, Whisper

import weights
from bench.speed import content, profile, report, transcripts, whispers
from bench.speed.generator import Answers, closed_loop, open_loop
from bench.speed.measure import Section, added, figure_of, in_turn, row
from bench.speed.plain import PlainServer
from bench.speed.processes import Server, another_process, running
from bench.speed.sizes import weights_with_text_of
from bench.speed.text import pipeline_of
from modalities import checkpoint, eight_bits
from modalities.text.infer import TextReader
from modalities.voice.infer import VoiceReader
from modalities.voice.stream import SAMPLE_RATE_HZ
from server import models
from server.settings import Settings

N_TOKENS = 9
DIMS = ModelDimensions(80, 1500, 64, 2, 1, 51865, 448, 64, 2, 1)


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whisper") / "random.pt"


@pytest.fixture(scope="module")
def model(checkpoint_path: Path) -> Whisper:
    return whispers.write(DIMS, N_TOKENS, checkpoint_path)


@pytest.fixture(scope="module")
def generator() -> Iterator[Pool]:
    with another_process() as pool:
        yield pool


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    with running("bench.speed.plain") as server:
        yield server


def test_every_program_writes_the_same_tokens_whatever_it_hears(
    model: Whisper, checkpoint_path: Path
) -> None:
    said = whispers.sentence(N_TOKENS, model.num_languages)
    rng = np.random.default_rng(0)
    items = [content.noise(seconds, rng, whispers.LANGUAGE) for seconds in (2.0, 3.0)]
    reader = VoiceReader.load_whisper(
        str(checkpoint_path), Path(), "cpu", weights.path_of("voice"), transcripts.MARGIN_S
    )
    assert reader.one_pass  # the head lies beside it: one pass for both
    for result in reader.infer(items):
        assert result.transcript is not None
        assert list(result.transcript.tokens) == said
    assert transcripts.openai(model, items[0].samples) == said
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(items[0].samples)).unsqueeze(0)
    generated = whispers.as_transformers(model).generate(
        mel, language=whispers.LANGUAGE, task="transcribe", max_new_tokens=N_TOKENS + 1
    )
    assert generated[0].tolist()[:N_TOKENS] == said


def test_five_segments_are_one_window() -> None:
    items = content.segments(3)
    windows = transcripts.packed([item.samples for item in items])
    assert all(2 <= item.duration_s <= 10 for item in items)
    assert [len(window) / SAMPLE_RATE_HZ for window in windows] == pytest.approx([30] * 3, abs=0.01)


@pytest.fixture
def in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those that ours is compared with compute."""
    monkeypatch.setattr(eight_bits, "is_fast", lambda: False)


@pytest.mark.usefixtures("in_fp32")
def test_the_pipeline_holds_the_same_encoder() -> None:
    saved = checkpoint.load(weights.path_of("text"))
    classify = pipeline_of(saved)
    reader = TextReader.load(weights.path_of("text"))
    inner = classify.__closure__[0].cell_contents
    tokens = inner.tokenizer("the parcel is late", return_tensors="pt")
    with torch.inference_mode():
        theirs = inner.model.base_model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).last_hidden_state
        (window,) = reader.prepare("the parcel is late").windows
        ours = reader.model.encoder(input_ids=torch.tensor([window.ids])).last_hidden_state
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    assert len(classify(["a", "b c d"], batch_size=2)[0]) == saved.dims["n_emotions"]
    assert len(classify("a")) == saved.dims["n_emotions"]


@pytest.mark.usefixtures("in_fp32")
def test_the_plain_server_answers_as_the_reader_does() -> None:
    """A message without a turn before it: all of its tokens are the message's own."""
    answered = PlainServer().answer("The parcel is late again.").fused
    reader = TextReader.load(weights.path_of("text"))
    (reading,) = reader.infer([reader.prepare("The parcel is late again.")])
    assert answered.score == pytest.approx(reading.score, abs=1e-3)
    assert [one.probability for one in answered.emotions] == pytest.approx(
        np.exp(reading.log_emotions), abs=1e-3
    )


def test_half_of_a_recording_is_speech() -> None:
    samples = content.half_speech(60.0)
    loud = np.abs(samples[: 60 * 100 * 160].reshape(-1, 1600)).max(1) > 0.02  # of 0.1 s each
    assert 0.4 <= loud.mean() <= 0.55


def test_texts_have_natural_lengths_in_both_languages() -> None:
    reader = TextReader.load(weights.path_of("text"))
    texts = content.texts(400)
    tenth, median, last = np.quantile(
        [reader.cost(reader.prepare(text)) for text in texts], (0.1, 0.5, 0.9)
    )
    assert 5 <= tenth <= 9 and 13 <= median <= 18 and 34 <= last <= 44
    assert sum(text.isascii() for text in texts) == 200


def test_rounds_are_taken_in_turn_and_the_first_does_not_count() -> None:
    order: list[str] = []
    seconds = in_turn({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3
    assert [len(found) for found in seconds.values()] == [2, 2]


def test_a_row_has_the_medians_and_the_median_of_the_rounds_own_ratios() -> None:
    made = row("x", "y", [1.0, 2.0, 4.0], added([1.0, 2.0, 8.0], [1.0, 2.0, 8.0]), scale=1000)
    assert (made["ours"], made["theirs"], made["ratio"]) == (2000, 4000, 2)
    rate = row("x", "y", [30.0], [10.0], higher_is_better=True)
    assert rate["ratio"] == 3
    assert figure_of(Section("", "", [made]), "x", "y") is made


def test_a_closed_loop_asks_each_request_once(plain: Server, generator: Pool) -> None:
    payloads = [content.text_request(text).SerializeToString() for text in content.texts(3)]
    before = plain.cpu_s()
    answers = generator.apply(closed_loop, (plain.address, payloads, 4, 20))
    assert answers.good == 20 == len(answers.seconds)
    assert min(answers.seconds) > 0 and max(answers.seconds) <= answers.wall_s
    assert plain.cpu_s() > before


def test_an_open_loop_counts_from_when_a_request_was_due(plain: Server, generator: Pool) -> None:
    payloads = [content.text_request("late").SerializeToString()]
    answers = generator.apply(open_loop, (plain.address, payloads, 40.0, 0.5, 10.0, 0))
    assert answers.good == 20
    # Long to read, so that no answer can come before gRPC's timer has noticed the deadline.
    long = [content.text_request("late " * 20_000).SerializeToString()]
    hopeless = generator.apply(open_loop, (plain.address, long, 40.0, 0.2, 1e-4, 0))
    assert set(hopeless.codes) == {"DEADLINE_EXCEEDED"}
    assert hopeless.quantile_ms(0.5) is None and hopeless.quantile_ms(0.5, good=False)


def test_quantiles_are_of_those_that_were_answered() -> None:
    answers = Answers(1.0, (0.1, 0.3, 9.0), ("OK", "OK", "RESOURCE_EXHAUSTED"))
    assert answers.quantile_ms(0.5) == 200
    assert answers.quantile_ms(0.5, good=False) == 9000


@pytest.mark.parametrize(
    ("frames", "part"),
    [
        (["main (a.py:1)", "sgemm (libtorch_cpu.so)", "0x1 (libc.so.6)"], "kernels and readers"),
        (["main (a.py:1)", "THPVariable (libtorch_python.so)"], "Python"),
        (["run (rapidocr/main.py:2)", "sort (rapidocr/cal.py:9)"], "kernels and readers"),
        (["main (a.py:1)", "upb_insert (_message.abi3.so)"], "gRPC and messages"),
        (["main (a.py:1)", "sgemm (libtorch_cpu.so)", "hook (b.py:3)"], "Python"),
        (["main (a.py:1)", "exp (numpy/_core/_multiarray_umath.so)"], "numpy"),
        (["main (a.py:1)", "pthread_cond_wait (libc.so.6)", "0x1 (libc.so.6)"], None),
        (
            ["work (a.py:1)", "PyThread_acquire_lock_timed (libpython.so)", "0x1 (libc.so)"],
            None,
        ),
        (["recv (a.py:1)", "os_read (libpython3.11.so)", "read (libc.so.6)"], None),
        (["conv (a.py:1)", "0x7fe03073e010 (?)"], "kernels and readers"),
    ],
)
def test_the_innermost_known_place_of_a_stack_decides(frames: list[str], part: str | None) -> None:
    assert profile.part_of(frames) == part


def test_samples_divide_a_threads_own_cpu_time() -> None:
    stacks = (
        "thread (1): MainThread;main (a.py:1) 3\n"
        "thread (1): MainThread;main (a.py:1);sgemm (libtorch_cpu.so) 1\n"
        "thread (1): MainThread;main (a.py:1);epoll_wait (libc.so.6) 90\n"
    )
    taken = {1: 4.0, 2: 5.0, 3: 1.0}  # the second is a pool of kernels, the third gRPC's
    shares = profile.divided(stacks, taken, {2: "python", 3: "grpc_global_tim"})
    assert shares == pytest.approx(
        {"Python": 0.3, "kernels and readers": 0.6, "gRPC and messages": 0.1, "numpy": 0.0}
    )


def test_the_page_tells_figures_and_what_is_not_yet_measured() -> None:
    section = Section("Text", "So.", [row("a", "b", [1.0], [2.0])], {"More": [{"x": None}]})
    kept = asdict(section) | {"commit": "abc", "date": "2026-01-01", "seconds": 1.0}
    of_run = {"command": "make bench", "machine": "m", "processor": "p", "torch_threads": 2}
    whole = of_run | {"python": "3", "versions": {"torch": "2"}, "costs": {"text": {"a": 1}}}
    page = report.page(whole | {"sections": {"text": kept}}, [])
    assert "| a | b | 1.0 | 2.0 | s | 2.0 |" in page
    assert report.NOT_YET in page and "| text, a |" in page
    gpu = {"command": "c", "device": "H", "torch": "2", "figures": {"fusion": {"ms": 0.5}}}
    assert "| fusion, ms | 0.5 |" in report.page(whole | {"sections": {}}, [gpu])


def test_a_server_takes_the_weights_with_a_text_model_of_another_size() -> None:
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    with weights_with_text_of(**size) as folder:
        loaded = models.load(Settings(weights=folder))
    assert loaded.text is not None
    assert loaded.text.dims.encoder.items() >= size.items()
    (reading,) = loaded.text.infer([loaded.text.prepare("still broken")])
    assert reading.embedding.shape == (32,)
    # The head for satisfaction reads what the embedded model has read, and says so.
    assert set(loaded.missing) == {"satisfaction", "whisper"}
