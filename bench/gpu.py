"""`python -m bench.gpu`: how near the models come to what one GPU allows, in one command.

Needs torch, transformers, openai-whisper and grpcio alone, and no weights: Whisper
large-v3-turbo, BERT-base and ViT-B dimensions with random weights, the embedded fusion pool.
Ceilings (bf16 matrix products, bytes copied) are measured in the same run. Writes
bench/results/gpu-<name>.json. `--small` takes a few small shapes, to try it on a CPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import re
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

if importlib.util.find_spec("av") is None:
    # What reads recordings imports PyAV; no file is read here, only samples.
    sys.modules["av"] = types.ModuleType("av")

import weights
from bench.speed import whispers
from bench.speed.measure import REPEATS, in_turn
from fusion.pool import FusionModel, FusionPool
from modalities.device import autocast, default_precision
from modalities.image.model import VisionDimensions, VisionModel
from modalities.text.model import MESSAGE, TextDimensions, TextModel
from modalities.voice.infer import VoiceReader
from modalities.voice.prepare import Segment
from modalities.voice.states import encode
from modalities.voice.stream import SAMPLE_RATE_HZ

RESULTS = Path(__file__).parent / "results"
TOKENS = 64  # a segment
BATCHES = (1, 2, 4, 8, 16, 32, 64)
FUSED = 4096
Figures = dict[str, Any]


class Bench:
    """All figures of one device."""

    def __init__(self, device: str, small: bool) -> None:
        self.device, self.small = device, small
        self.repeats = 1 if small else REPEATS
        self.precision = default_precision(device)

    def seconds(self, work: Callable[[], object]) -> float:
        """Median of a work on the device, after one that does not count."""

        def done() -> None:
            work()
            self.wait()

        return statistics.median(in_turn({"": done}, self.repeats)[""])

    def wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def ceilings(self) -> Figures:
        """FLOP/s of the best of some square bf16 products, bytes/s of a copy, read and written."""
        dtype = torch.bfloat16 if self.device == "cuda" else torch.float32
        rates = {}
        for n in (256,) if self.small else (4096, 8192, 12288):
            a, b = (torch.randn(n, n, device=self.device, dtype=dtype) for _ in range(2))
            rates[n] = 2 * n**3 / self.seconds(lambda a=a, b=b: a @ b)  # type: ignore[misc]
        source = torch.empty((2**20 if self.small else 2**30), device=self.device, dtype=torch.int8)
        target = torch.empty_like(source)
        copied = 2 * source.numel() / self.seconds(lambda: target.copy_(source))
        return {"matrix_flop_s": max(rates.values()), "bytes_s": copied}

    def at_best_batch(
        self, forward: Callable[[int], Callable[[], object]], flop_each: float, ceiling: float
    ) -> Figures:
        """Items a second and the share of the matrix ceiling, at the best of BATCHES."""
        rates: dict[int, float] = {}
        for n in BATCHES[:2] if self.small else BATCHES:
            try:
                rates[n] = n / self.seconds(forward(n))
            except torch.OutOfMemoryError:
                break
        best = max(rates, key=lambda n: rates[n])
        return {
            "best_batch": best,
            "items_s": round(rates[best], 2),
            "flop_s": rates[best] * flop_each,
            "share_of_matrix_ceiling": round(rates[best] * flop_each / ceiling, 4),
            "items_s_by_batch": {str(n): round(rate, 2) for n, rate in rates.items()},
        }


def flop_of(n_layer: int, d: int, d_inner: int, positions: int, extra: float = 0.0) -> float:
    """Multiply-adds of a transformer's encoder over so many positions, each counted as two."""
    projections = 4 * d * d + 2 * d * d_inner
    attention = 2 * positions * d
    return 2.0 * n_layer * positions * (projections + attention) + extra


@torch.inference_mode()
def whisper_figures(bench: Bench, ceiling: float) -> Figures:
    """Our encoder over 30 s, and the full path with text and emotion against transformers' own."""
    dims = whispers.TURBO
    if bench.small:
        dims = replace(whispers.TINY, n_audio_layer=1, n_text_layer=1, n_audio_state=64,
                       n_text_state=64, n_audio_head=2, n_text_head=2)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.pt"
        model = whispers.write(dims, TOKENS, path)
        reader = VoiceReader.load_whisper(
            str(path), Path(folder), bench.device, weights.path_of("voice")
        )
    assert reader.whisper is not None
    encoder = reader.whisper.encoder
    d, t = dims.n_audio_state, dims.n_audio_ctx
    convolutions = 2.0 * 3 * (2 * t * dims.n_mels * d + t * d * d)

    def forward(n: int) -> Callable[[], object]:
        mel = torch.randn(n, dims.n_mels, 2 * t, device=bench.device)
        lengths = torch.full((n,), 2 * t, device=bench.device)

        def run() -> object:
            with autocast(bench.device, bench.precision):
                return encode(encoder, mel, lengths)

        return run

    flop = flop_of(dims.n_audio_layer, d, 4 * d, t, convolutions)
    encoder = bench.at_best_batch(forward, flop, ceiling)
    return {"encoder": encoder, "path": _path(bench, model, reader)}


def _path(bench: Bench, model: Any, reader: VoiceReader) -> Figures:
    n = 2 if bench.small else 32
    rng = torch.Generator().manual_seed(0)
    waves = [
        0.05 * torch.randn(round(s * SAMPLE_RATE_HZ), generator=rng)
        for s in torch.linspace(2, 10, n).tolist()
    ]
    items = [
        Segment(wave.numpy(), 0.0, len(wave) / SAMPLE_RATE_HZ, 20.0, whispers.LANGUAGE)
        for wave in waves
    ]
    pipelines = {
        size: _pipeline(bench, model, size) for size in ((n,) if bench.small else (8, 16, 32))
    }

    def ours() -> None:
        found = {len(r.transcript.tokens) for r in reader.infer(items) if r.transcript}
        assert found == {TOKENS}, found
        bench.wait()

    def theirs(size: int) -> Callable[[], None]:
        def run() -> None:
            texts = pipelines[size]([{"raw": w.numpy(), "sampling_rate": 16_000} for w in waves])
            assert len(texts) == n and all(text["text"].strip() for text in texts)
            bench.wait()

        return run

    once = {size: bench.seconds(theirs(size)) for size in pipelines}
    best = min(once, key=lambda size: once[size])
    seconds = in_turn({"ours": ours, "theirs": theirs(best)}, bench.repeats)
    ratios = [b / a for a, b in zip(seconds["ours"], seconds["theirs"], strict=True)]
    return {
        "segments": n,
        "tokens_a_segment": TOKENS,
        "ours_s": round(statistics.median(seconds["ours"]), 4),
        "transformers_s": round(statistics.median(seconds["theirs"]), 4),
        "transformers_batch": best,
        "ratio": round(statistics.median(ratios), 3),
    }


def _pipeline(bench: Bench, model: Any, batch_size: int) -> Callable[..., list[Any]]:
    """transformers' speech recognition, batched, in the device's precision; no emotion."""
    from transformers import (
        AutomaticSpeechRecognitionPipeline,
        WhisperFeatureExtractor,
        WhisperTokenizer,
    )

    with tempfile.TemporaryDirectory() as folder:
        whispers.as_tokenizer(model.num_languages).save(f"{folder}/tokenizer.json")
        tokenizer = WhisperTokenizer.from_pretrained(folder, pad_token="<|endoftext|>")

    converted = whispers.as_transformers(model).to(bench.device, bench.precision)
    made = AutomaticSpeechRecognitionPipeline(
        model=converted,
        feature_extractor=WhisperFeatureExtractor(feature_size=model.dims.n_mels),
        tokenizer=tokenizer,
        device=bench.device,
        dtype=bench.precision,
    )  # fmt: skip
    # As many as the sentence has, and its end: the model stops by itself.
    options = {
        "language": whispers.LANGUAGE, "task": "transcribe", "num_beams": 1,
        "max_new_tokens": TOKENS + 1,
    }  # fmt: skip

    def transcribe(inputs: list[dict[str, Any]]) -> list[Any]:
        return made(inputs, batch_size=batch_size, generate_kwargs=options)

    return transcribe


@torch.inference_mode()
def text_figures(bench: Bench, ceiling: float) -> Figures:
    """BERT-base dimensions, messages of 32 tokens."""
    size = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
    if bench.small:
        size = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    d, tokens = size["hidden_size"], 32
    config = {"model_type": "bert", "vocab_size": 21128, "intermediate_size": 4 * d, **size}
    model = TextModel(TextDimensions(config, 512, 0, 1, -1, -1)).eval().to(bench.device)
    model.precision = bench.precision

    def forward(n: int) -> Callable[[], object]:
        ids = torch.randint(5, 21128, (16 * n, tokens), device=bench.device)
        return lambda: model(ids, torch.full_like(ids, MESSAGE))

    flop = 16 * flop_of(size["num_hidden_layers"], d, 4 * d, tokens)
    found = bench.at_best_batch(forward, flop, ceiling)
    model.precision = torch.float32
    one = torch.randint(5, 21128, (1, tokens), device=bench.device)
    alone = bench.seconds(lambda: model(one, torch.full_like(one, MESSAGE)))
    return {
        "tokens": tokens,
        "an_item_is": "16 messages",
        **found,
        "times_one_by_one_in_fp32": round(16 * found["items_s"] * alone, 2),
    }


@torch.inference_mode()
def image_figures(bench: Bench, ceiling: float) -> Figures:
    """ViT-B/16 dimensions, 224 × 224 pixels."""
    size = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
    if bench.small:
        size = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    d = size["hidden_size"]
    config = {"model_type": "vit", "intermediate_size": 4 * d, **size}
    model = VisionModel(VisionDimensions(config, 224, mean=(0.5,) * 3, deviation=(0.5,) * 3))
    model.eval().to(bench.device)
    model.precision = bench.precision

    def forward(n: int) -> Callable[[], object]:
        shape = (n, 3, 224, 224)
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, device=bench.device)
        return lambda: model(pixels)

    patches = 14 * 14
    flop = flop_of(size["num_hidden_layers"], d, 4 * d, patches + 1, 2.0 * patches * 768 * d)
    return bench.at_best_batch(forward, flop, ceiling)


@torch.inference_mode()
def fusion_figures(bench: Bench, bytes_s: float) -> Figures:
    """The pool's forward pass over FUSED items of all sources that lie on the device."""
    model: FusionModel = FusionPool.load(weights.path_of("fusion"), bench.device).model
    n, m = FUSED, model.dims.n_sources

    def made(*shape: int) -> Tensor:
        return torch.rand(*shape, dtype=torch.double, device=bench.device)

    inputs = (
        made(n, m, model.dims.n_sentiments).log_softmax(-1),
        made(n, m, model.dims.n_emotions).log_softmax(-1),
        made(n, m, model.dims.n_quality),
        torch.ones(n, m, dtype=torch.double, device=bench.device),
    )
    seconds = bench.seconds(lambda: model(*inputs))
    read = sum(tensor.numel() * tensor.element_size() for tensor in inputs)
    return {
        "items": n,
        "ms": round(1000 * seconds, 4),
        "share_of_bytes_ceiling": round(read / seconds / bytes_s, 4),
    }


def measure(device: str, small: bool) -> Figures:
    """All figures; about five minutes on a data-centre GPU."""
    torch.manual_seed(0)
    bench = Bench(device, small)
    figures: Figures = {}

    def add(name: str, found: Figures) -> None:
        figures[name] = found
        print(f"{name}: {json.dumps(found)}", flush=True)

    add("ceilings", bench.ceilings())
    flop_s, bytes_s = figures["ceilings"]["matrix_flop_s"], figures["ceilings"]["bytes_s"]
    add("fusion", fusion_figures(bench, bytes_s))
    add("text", text_figures(bench, flop_s))
    add("image", image_figures(bench, flop_s))
    add("whisper", whisper_figures(bench, flop_s))
    return figures


def main(arguments: list[str]) -> Path:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.gpu")
    parser.add_argument("--small", action="store_true", help="small shapes, on a CPU as well")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not options.small:
        parser.error("torch finds no CUDA device; --small tries the script on a CPU")
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    started = time.monotonic()
    report = {
        "command": "python -m bench.gpu" + (" --small" if options.small else ""),
        "device": name,
        "date": datetime.now(UTC).date().isoformat(),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "small": options.small,
        "figures": measure(device, options.small),
    }
    report["seconds"] = round(time.monotonic() - started, 1)
    options.out.mkdir(parents=True, exist_ok=True)
    prefix = "small" if options.small else "gpu"
    path: Path = options.out / f"{prefix}-{re.sub(r'[^a-z0-9]+', '-', name.lower())}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"wrote {path}")
    return path


if __name__ == "__main__":
    main(sys.argv[1:])
