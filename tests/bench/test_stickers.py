from __future__ import annotations

from pathlib import Path

import pytest
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionResponse
from emotion.v1.types_pb2 import Estimate, Sentiment, SourceResult

from bench import stickers
from training.data import load_splits


def test_labels_are_of_every_sticker_of_test() -> None:
    rows = stickers.labels()
    splits = load_splits("stickers")
    assert [row["file"] for row in rows] == sorted(f for f, split in splits.items()
                                                   if split == "test")  # fmt: skip
    for row in rows:
        passes = {row["first"], row["second"]}
        assert passes | {row["label"]} <= {"positive", "neutral", "negative", "unclear"}
        assert len(passes) == 2 or passes == {row["label"]}


def test_labels_name_files_of_the_set(data: Path) -> None:
    from training.rows import STICKERS, open_archive

    names = set(open_archive(str(data / STICKERS)).namelist())
    assert {row["file"] for row in stickers.labels()} <= names


def test_agreement_is_of_the_two_passes() -> None:
    pairs = [("positive", "positive"), ("negative", "negative"),
             ("positive", "negative"), ("negative", "negative")]  # fmt: skip
    rows = [{"first": first, "second": second} for first, second in pairs]
    assert stickers.agreement(rows) == pytest.approx(0.5)  # 3/4 alike, 1/2 by chance


def test_answers_are_the_likeliest_of_each_source() -> None:
    def estimate(positive: float, negative: float) -> Estimate:
        neutral = 1 - positive - negative
        return Estimate(sentiment=Sentiment(positive=positive, neutral=neutral, negative=negative))

    response = AnalyzeEmotionResponse(
        fused=estimate(0.1, 0.6),
        sources=[SourceResult(source=SourceResult.VISION, estimate=estimate(0.2, 0.2))],
    )
    assert stickers.answers(response) == {"picture": "neutral", "picture and text": "negative"}
    assert stickers.answers(AnalyzeEmotionResponse(fused=Estimate(abstained=True))) == {}
    assert stickers.answers(None) == {}


def test_judge_leaves_out_the_unclear_and_takes_silence_for_neutral() -> None:
    truth = ["negative", "negative", "neutral", "positive", "unclear"]
    said = [
        {"text": "negative", "picture and text": "negative"},
        {"picture": "negative", "picture and text": "negative"},
        {},
        {"text": "positive", "picture and text": "positive"},
        {"text": "positive", "picture and text": "positive"},
    ]
    found = stickers.judge(truth, said)
    assert found["all"]["n"] == 4
    assert found["all"]["picture and text"] == 1.0
    # text: negative 1 of 2 found, F1 2/3; neutral 1 of 2 right, F1 2/3; positive 1
    assert found["all"]["text"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3, abs=1e-4)
    # majority: negative, F1 2/3; nothing else is found
    assert found["all"]["majority"] == pytest.approx(2 / 9, abs=1e-4)
    assert found["with words read"]["n"] == 2
