"""Text, against the transformers pipeline and against a plain gRPC server without batching."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from tokenizers import Tokenizer

import weights
from bench.speed import content
from bench.speed.generator import Answers, closed_loop
from bench.speed.measure import REPEATS, Section, in_turn, row
from bench.speed.processes import another_process, running, serving
from modalities import checkpoint
from modalities.model import infer_all
from modalities.text.infer import TextReader

CLIENTS = 64
PIPELINE = "transformers pipeline"
BEST = "transformers pipeline at its best batch size"
PLAIN = "grpc.aio without batching, fp32"
N_TOKENS, FRAME = 12, 2  # of a message alone, and the special ones around it
ALONE = f"text, {N_TOKENS} tokens alone"
OF_BATCH, MANY = "text, batch of {}", "text, all at once"
THROUGHPUT, P99 = f"text, {CLIENTS} clients: throughput", f"text, {CLIENTS} clients: p99"
BATCHES = (1, 8, 32, 64, 128)

HOW = (
    "The embedded text model on messages of natural lengths, half Chinese, half English, tokenizer "
    "included. The pipeline holds the same encoder's weights and has transformers' own head for "
    "one of our two. Both servers are processes of their own, "
    f"asked by {CLIENTS} clients in a third one; ours reads as many batches at once as there are "
    "cores, the plain one as many requests; that answers with the text's estimate alone, does no "
    "fusion, and does not ask which language a text is in."
)


def measure(n_texts: int = 256, n_requests: int = 1000, repeats: int = REPEATS) -> Section:
    section = Section("Text", HOW)
    alone_row(section, repeats)
    _batch_rows(section, n_texts, repeats)
    server_rows(section, n_requests, repeats)
    return section


def alone_row(section: Section, repeats: int = REPEATS) -> None:
    """Messages of N_TOKENS, each asked alone, in process."""
    reader, pipeline = _programs()
    texts = [t for t in content.texts(512) if reader.cost(reader.prepare(t)) == N_TOKENS + FRAME]

    def ours() -> None:
        for text in texts:
            reader.infer([reader.prepare(text)])

    def theirs() -> None:
        for text in texts:
            pipeline(text)

    seconds = in_turn({"ours": ours, "theirs": theirs}, repeats)
    section.rows.append(
        row(
            ALONE, PIPELINE, seconds["ours"], seconds["theirs"],
            unit="ms a message", scale=1000 / len(texts),
        )
    )  # fmt: skip


def _batch_rows(section: Section, n_texts: int, repeats: int) -> None:
    reader, pipeline = _programs()
    texts = content.texts(n_texts)

    def ours(texts: list[str], batch: int) -> Callable[[], object]:
        return lambda: infer_all(reader, [reader.prepare(text) for text in texts], batch)

    def theirs(texts: list[str], batch: int) -> Callable[[], object]:
        return lambda: pipeline(texts, batch_size=batch)

    for n, batch in ((16, 1), (32, 32)):
        few = texts[:n]
        seconds = in_turn({"ours": ours(few, batch), "theirs": theirs(few, batch)}, repeats)
        section.rows.append(
            row(
                OF_BATCH.format(batch), PIPELINE, seconds["ours"], seconds["theirs"],
                unit="ms a message", scale=1000 / n,
            )
        )  # fmt: skip
    best = {
        name: min(BATCHES, key=lambda batch: _seconds(work(texts, batch)))
        for name, work in (("ours", ours), ("theirs", theirs))
    }
    seconds = in_turn(
        {"ours": ours(texts, best["ours"]), "theirs": theirs(texts, best["theirs"])}, repeats
    )
    section.rows.append(
        row(
            MANY, BEST, seconds["ours"], seconds["theirs"],
            unit="ms a message", scale=1000 / n_texts,
        )
    )  # fmt: skip
    section.tables["Best batch sizes of these"] = [best]


@cache
def _programs() -> tuple[TextReader, Any]:
    """Ours and the pipeline."""
    path = weights.path_of("text")
    return TextReader.load(path), pipeline_of(checkpoint.load(path))


def pipeline_of(saved: checkpoint.Checkpoint) -> Any:
    """A text-classification pipeline over the checkpoint's encoder, its head untaught."""
    from transformers import (
        AutoConfig,
        AutoModelForSequenceClassification,
        PreTrainedTokenizerFast,
        TextClassificationPipeline,
    )

    config = AutoConfig.for_model(**saved.dims["encoder"], num_labels=saved.dims["n_emotions"])
    model = AutoModelForSequenceClassification.from_config(config).eval()
    encoder = {
        name.removeprefix("encoder."): tensor
        for name, tensor in saved.state.items()
        if name.startswith("encoder.")
    }
    missing, unexpected = model.base_model.load_state_dict(encoder, strict=False)
    assert not unexpected and all(name.startswith("pooler.") for name in missing)
    inner = Tokenizer.from_str(saved.extra["tokenizer"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=inner.id_to_token(saved.dims["pad_id"]),
        model_max_length=saved.dims["n_ctx"],
    )
    made = TextClassificationPipeline(model=model, tokenizer=tokenizer, device="cpu")

    def classify(texts: str | list[str], batch_size: int = 1) -> list[Any]:
        return made(texts, batch_size=batch_size, top_k=None, truncation=True)

    return classify


def server_rows(section: Section, n_requests: int = 1000, repeats: int = REPEATS) -> None:
    """CLIENTS that each ask for the next message once they have an answer."""
    payloads = [content.text_request(text).SerializeToString() for text in content.texts(256)]
    with (
        another_process() as generator,
        running("bench.speed.plain") as plain,
        serving(cpu_threads=os.cpu_count()) as ours,
    ):
        answers: dict[str, list[Answers]] = {"ours": [], "plain": []}
        for _ in range(repeats + 1):
            for name, server in (("ours", ours), ("plain", plain)):
                asked = (server.address, payloads, CLIENTS, n_requests)
                answers[name].append(generator.apply(closed_loop, asked))
    kept = {name: found[1:] for name, found in answers.items()}
    assert all(one.good == n_requests for found in kept.values() for one in found)
    rates = {n: [one.good / one.wall_s for one in found] for n, found in kept.items()}
    late = {n: [one.quantile_ms(0.99) or 0.0 for one in found] for n, found in kept.items()}
    section.rows += [
        row(
            THROUGHPUT, PLAIN, rates["ours"], rates["plain"],
            unit="messages/s", higher_is_better=True, digits=1,
        ),
        row(P99, PLAIN, late["ours"], late["plain"], unit="ms", digits=2),
    ]  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
