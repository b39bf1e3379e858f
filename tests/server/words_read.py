"""How words must have been read: by the text model itself, with the turns before them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from fusion.pool import Fused
from modalities.reading import Reading
from modalities.text.prepare import Turn
from server.models import Models

VIETNAMESE = "Tôi đã đợi ba tuần rồi mà vẫn chưa nhận được hàng, thật thất vọng."  # is not read
ASKED, ANSWERED = "I ordered it two weeks ago.", "It has been delivered yesterday, was it not?"
DENIED = "No, it never came."


def said(one: Reading | Fused) -> list[float]:
    """Probabilities of sentiments and emotions."""
    return np.exp(np.concatenate([one.log_sentiment, one.log_emotions])).tolist()


def read(loaded: Models, content: str, before: Sequence[Turn] = ()) -> Reading:
    """What the text model says of it after these turns."""
    assert loaded.text is not None
    return loaded.text.infer([loaded.text.prepare(content, before)])[0]


def assert_read(
    loaded: Models, found: Sequence[float], content: str, before: Sequence[Turn] = ()
) -> None:
    """That `found` is what is read of it after these turns, which make a difference."""
    assert found == pytest.approx(said(read(loaded, content, before)), abs=1e-4)
    if before:
        assert found != pytest.approx(said(read(loaded, content)), abs=1e-3)
