"""Figures of folds are of answers by heads that heard nothing of what is held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_voice_heads import DIMS, RECIPE, table

from modalities.reading import EMOTIONS
from training import folds, voice_head
from training.folds import Answers
from training.voice_head import WAYS


def test_what_is_held_out_teaches_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One speaker's labels are exchanged: a head that learnt from them would answer them."""
    monkeypatch.setattr(folds, "RECIPE", RECIPE)
    monkeypatch.setattr(voice_head, "DROPOUT", 0.0)
    whole = table(20, 40)
    exchanged = [
        type(item)(item.data_set, item.speaker, item.held, 3 - item.emotion, 2 - item.sentiment)
        if item.speaker == "some/0"
        else item
        for item in whole.items
    ]
    whole = type(whole)(exchanged, whole.layers, whole.tones, whole.quality, whole.is_copy)
    answers = folds.held_out_speakers(DIMS, whole, tmp_path)
    assert set(answers.said) == set(WAYS)
    right = answers.said["after"].argmax(1) == np.array([item.emotion for item in whole.items])
    ours = np.array([item.speaker == "some/0" for item in whole.items])
    assert right[~ours].mean() > 0.85 and right[ours].mean() < 0.2
    assert answers.judged("some", "after").n == 800


def test_a_set_is_judged_among_the_classes_asked() -> None:
    whole = table(2, 4)
    said = torch.full((8, 7), -9.0)
    said[:, 4] = 0.0  # fear, which is not asked
    said[:, 2] = -0.1
    answers = Answers(whole, {"alone": said.log_softmax(-1).numpy()})
    asked = EMOTIONS[1:3]
    assert answers.judged("some", "alone", asked).uar == 0.5
    assert answers.judged("some", "alone").uar == 0
    assert answers.judged("some", "alone", asked).ece == pytest.approx(0.5, abs=0.01)
