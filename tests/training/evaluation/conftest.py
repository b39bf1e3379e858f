"""A small manifest-like set of sentences, so that something runs without the data."""

from __future__ import annotations

import pytest

from training.rows import Row, labelled

SAID = {
    "positive": [
        "Thank you, the new phone is wonderful!",
        "太好了，今天就收到货，谢谢你们！",
        "Great service, I love it.",
        "质量很好，他很喜欢，下次还来。",
    ],
    "negative": [
        "This is the worst service ever, I want a refund.",
        "气死我了，打了三次电话都没人管！",
        "My husband waited two hours and nobody came.",
        "又坏了，太差劲了，再也不买了。",
    ],
}


@pytest.fixture
def sentences() -> list[Row]:
    """Eight texts, four positive and four negative."""
    return labelled(
        [
            Row("sentences", text, "test", label, language="en" if text.isascii() else "zh", line=i)
            for i, (label, text) in enumerate(
                ((label, text) for label, texts in SAID.items() for text in texts), 2
            )
        ]
    )
