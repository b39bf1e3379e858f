"""`python -m bench.stickers`: what mood the service reads in stickers that it never saw.

stickers.csv labels every sticker of split `test` (287; the set has no more that the shipped image
model did not see): positive, neutral, negative or unclear, as an agent would take it who is sent
it, from the words and the drawing together. Labelled by looking at the pictures, by the assistant
that wrote this benchmark, in file order (`first`) and again in shuffled order without the first
labels (`second`); `label` is what both say, else what the notes of both looks tell (8 stickers).
The agreement is thus of one labeller with itself, minutes apart, and says nothing of how far
another would agree. No model of ours took part, nor the set's category.

Macro-F1 is over the three moods, on the stickers that are not unclear. Each goes through the
service's pipeline as a picture: `text` is the answer of its source IMAGE_TEXT alone, `picture` that
of VISION, `picture and text` the fused one. Where a source has nothing to say its answer is
neutral. `majority` is the commonest label, given to all.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest, AnalyzeEmotionResponse
from emotion.v1.types_pb2 import Estimate, Image, SourceResult
from sklearn.metrics import cohen_kappa_score, f1_score

from modalities.reading import SENTIMENTS
from server.errors import RejectedError
from server.models import load
from server.pipeline import Pipeline
from server.settings import Settings
from training.data import data_dir, read_table
from training.rows import STICKERS, read_bytes

FOLDER = Path(__file__).parent
SOURCES = {"text": SourceResult.IMAGE_TEXT, "picture": SourceResult.VISION}
Answers = dict[str, str]  # what each source, or "picture and text", says


def labels() -> list[dict[str, str]]:
    """Rows of stickers.csv: file, first, second, label."""
    return read_table(FOLDER / "stickers.csv")


def agreement(rows: Sequence[dict[str, str]]) -> float:
    """Cohen's kappa of the two passes."""
    return float(cohen_kappa_score([r["first"] for r in rows], [r["second"] for r in rows]))


def answers(response: AnalyzeEmotionResponse | None) -> Answers:
    """The likeliest sentiment by source; only those that have one."""
    if response is None:
        return {}
    by_source = {source.source: source.estimate for source in response.sources}
    found = {name: by_source[source] for name, source in SOURCES.items() if source in by_source} | {
        "picture and text": response.fused
    }
    return {
        name: likeliest(estimate)
        for name, estimate in found.items()
        if estimate.HasField("sentiment")
    }


def likeliest(estimate: Estimate) -> str:
    return max(SENTIMENTS, key=lambda name: getattr(estimate.sentiment, name))


def judge(truth: Sequence[str], said: Sequence[Answers]) -> dict[str, Any]:
    """Macro-F1 of each answer, `unclear` left out, on all and where words were read."""
    clear = [(label, one) for label, one in zip(truth, said, strict=True) if label != "unclear"]
    worded = [(label, one) for label, one in clear if "text" in one]
    majority = Counter(label for label, _ in clear).most_common(1)[0][0]

    def scores(items: Sequence[tuple[str, Answers]]) -> dict[str, Any]:
        true = [label for label, _ in items]
        given = {"majority": [majority] * len(items)} | {
            name: [one.get(name, "neutral") for _, one in items]
            for name in (*SOURCES, "picture and text")
        }
        return {"n": len(items)} | {
            name: round(
                float(f1_score(true, one, labels=SENTIMENTS, average="macro", zero_division=0)), 4
            )
            for name, one in given.items()
        }

    return {"all": scores(clear), "with words read": scores(worded)}


async def _read(files: Sequence[str]) -> list[AnalyzeEmotionResponse | None]:
    settings = Settings(whisper="none")
    archive = data_dir() / STICKERS
    gate = asyncio.Semaphore(4)

    async def one(name: str, pipeline: Pipeline) -> AnalyzeEmotionResponse | None:
        content = read_bytes(f"{archive}!{name}")
        async with gate:
            try:
                return await pipeline.analyze(
                    AnalyzeEmotionRequest(images=[Image(content=content)])
                )
            except RejectedError:
                return None

    async with Pipeline(load(settings), settings) as pipeline:
        return await asyncio.gather(*(one(name, pipeline) for name in files))


def main() -> None:
    rows = labels()
    responses = asyncio.run(_read([row["file"] for row in rows]))
    truth = [row["label"] for row in rows]
    unclear = [r for r, label in zip(responses, truth, strict=True) if label == "unclear"]
    report = {
        "command": "python -m bench.stickers",
        "stickers": len(rows),
        "labels": Counter(truth),
        "kappa": round(agreement(rows), 4),
        "macro_f1": judge(truth, [answers(response) for response in responses]),
        "unclear_abstained": sum(r is None or r.fused.abstained for r in unclear),
    }
    text = json.dumps(report, indent=2, ensure_ascii=False)
    print(text)
    (FOLDER / "results").mkdir(exist_ok=True)
    (FOLDER / "results" / "stickers.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
