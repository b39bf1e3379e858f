"""`python -m bench.explain`: do the words that an explanation names really move the score?

On texts of split `test` that trained and chose nothing, drawn with a fixed seed; turns of dialogues
are read with those before them. Of each text the fifth of its words that push the most towards the
text's own side is deleted (the characters are cut out, the rest is read anew) and so are as many
random words, ten draws; the property holds where |change of score| is the greater than the mean of
the draws. Texts of fewer than five words, and those that are not read once words are cut out, are
left out and counted. The completeness error is the explanation's own. Costs are of the text model
alone, one text at a time.

`--split dev` is for choosing, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import weights
from modalities.errors import UnavailableError
from modalities.text.explain import TextExplanation, WordShare, explain_text
from modalities.text.infer import TextReader
from modalities.text.language import LANGUAGES
from training.rows import Row, load

RESULTS = Path(__file__).parent / "results" / "explain.json"
SETS = {  # texts drawn of each
    "shopping": 40, "ewect": 40, "waimai": 40,
    "airline": 40, "goemotions": 40, "meld": 40,
    "brighter": 80, "wisesight_th": 20, "kote_ko": 20, "written": 60, "written_turns": 40,
}  # fmt: skip
LEAST_WORDS = 5
DELETED = 0.2  # share of the words, rounded up
DRAWS = 10


@dataclass(frozen=True)
class Judged:
    """One text: score changes, and what the explanation cost beside the plain answer."""

    language: str  # "zh", "en" or "others"
    completeness_error: float
    top: float
    randoms: tuple[float, ...]
    steps: int
    explain_s: float
    plain_s: float

    @property
    def holds(self) -> bool:
        return self.top > statistics.mean(self.randoms)


def without(text: str, words: Sequence[WordShare]) -> str:
    for word in sorted(words, key=lambda word: -word.start):
        text = text[: word.start] + text[word.end :]
    return text


def strongest(found: TextExplanation, count: int) -> list[WordShare]:
    """The words that push most to where the text stands."""
    side = math.copysign(1, found.log_odds)
    return sorted(found.words, key=lambda word: -side * word.contribution)[:count]


def judge(reader: TextReader, row: Row, rng: random.Random) -> Judged | None:
    """None for a text with too few words. Raises UnavailableError where it is not read, or is not
    without some of its words."""
    started = time.process_time()
    whole = reader.infer([reader.prepare(row.content, row.before)])[0].score
    answered = time.process_time()
    found = explain_text(reader, row.content, row.before)
    explained = time.process_time()
    if len(found.words) < LEAST_WORDS:
        return None
    count = math.ceil(DELETED * len(found.words))
    draws = [rng.sample(found.words, count) for _ in range(DRAWS)]
    texts = [without(row.content, words) for words in (strongest(found, count), *draws)]
    readings = reader.infer([reader.prepare(text, row.before) for text in texts])
    top, *randoms = (abs(reading.score - whole) for reading in readings)
    return Judged(
        row.language if row.language in ("zh", "en") else "others",
        found.completeness_error,
        top,
        tuple(randoms),
        found.steps,
        explained - answered,
        answered - started,
    )


def summary(judged: Sequence[Judged]) -> dict[str, Any]:
    errors = [one.completeness_error for one in judged]
    return {
        "texts": len(judged),
        "deletion_holds": round(statistics.mean(one.holds for one in judged), 4),
        "mean_change_top": round(statistics.mean(one.top for one in judged), 4),
        "mean_change_random": round(
            statistics.mean(statistics.mean(one.randoms) for one in judged), 4
        ),
        "completeness_error_max": round(max(errors), 5),
        "completeness_error_p95": round(float(np.quantile(errors, 0.95)), 5),
        "steps_median": statistics.median(one.steps for one in judged),
        "steps_max": max(one.steps for one in judged),
        "cpu_ms_median": round(1e3 * statistics.median(one.explain_s for one in judged), 1),
        "cpu_over_plain_median": round(
            statistics.median(one.explain_s / one.plain_s for one in judged), 1
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--split", choices=("test", "dev"), default="test")
    split = parser.parse_args().split
    reader = TextReader.load(weights.path_of("text"))
    rng = random.Random(0)
    explain_text(reader, "warm up")
    judged: list[Judged] = []
    too_short = unread = 0
    for name, count in SETS.items():
        rows = [row for row in load("text", name, split) if row.language[:2] in LANGUAGES]
        for row in random.Random(0).sample(rows, count):
            try:
                one = judge(reader, row, rng)
            except UnavailableError:
                unread += 1
                continue
            if one is None:
                too_short += 1
            else:
                judged.append(one)
        print(name, len(judged), flush=True)
    languages = ("zh", "en", "others")
    report = {
        "command": "python -m bench.explain",
        "split": split,
        "model": reader.revision,
        "sets": SETS,
        "too_short": too_short,
        "unread": unread,
        "all": summary(judged),
        **{lang: summary([one for one in judged if one.language == lang]) for lang in languages},
    }
    text = json.dumps(report, indent=2, ensure_ascii=False)
    print(text)
    if split == "test":
        RESULTS.write_text(text + "\n")


if __name__ == "__main__":
    main()
