from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from tiny_bert import tiny_bert

from training import text_base
from training.pretrain import CHOSEN_SHARE, masked, pretrain

TEXTS = [f"{who} {what} the {thing} today" for who in ("i", "you", "they") * 40
         for what in ("like", "hate") for thing in ("parcel", "phone", "shop")]  # fmt: skip


def test_only_real_tokens_are_chosen_and_most_of_them_hidden() -> None:
    torch.manual_seed(0)
    ids = torch.randint(5, 100, (200, 20))
    ids[:, 0], ids[:, -1] = 2, 3
    mask = torch.ones_like(ids)
    mask[:100, 10:] = 0
    replaced, chosen = masked(ids, mask, torch.arange(5), mask_id=4)
    assert not chosen[:, 0].any() and not chosen[:, -1].any()
    assert not (chosen & (mask == 0)).any()
    assert torch.equal(replaced[~chosen], ids[~chosen])
    candidates = (mask.bool() & (ids >= 5)).sum()
    assert chosen.sum() / candidates == pytest.approx(CHOSEN_SHARE, abs=0.03)
    assert (replaced[chosen] == 4).float().mean() == pytest.approx(0.8, abs=0.06)
    assert (replaced[chosen] == ids[chosen]).float().mean() == pytest.approx(0.11, abs=0.05)
    assert (replaced[chosen] >= 4).all()


def test_it_learns_the_texts_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(text_base, "N_VOCAB", 100)
    tokenizer = text_base.train_tokenizer(TEXTS)
    encoders = []
    for _ in range(2):  # the second finds the first one's run finished
        n_vocab = tokenizer.get_vocab_size()
        encoders.append(tiny_bert(vocab_size=n_vocab, num_hidden_layers=1))
        pretrain(encoders[-1], tokenizer, TEXTS, 16, 12, 0, tmp_path)
    said = capfd.readouterr().out
    losses = [float(value) for value in re.findall(r"validation -([\d.]+)", said)]
    assert losses[-1] < losses[0] - 0.3
    assert "resumed after epoch 12" in said
    for first, second in zip(*(encoder.parameters() for encoder in encoders), strict=True):
        assert torch.equal(first, second)
