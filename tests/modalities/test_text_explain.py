"""The parts of words: they add up, stand where the caller wrote them, and matter when cut out."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

import weights
from bench.explain import strongest, without
from modalities import checkpoint
from modalities.errors import InputError
from modalities.reading import NEGATIVE, POSITIVE
from modalities.text.explain import explain_text, wide_by_token
from modalities.text.infer import TextReader
from training.text_base import start, train_tokenizer

TEXTS = (
    "客服态度太差了，等了三天都没人理我，再也不会来了！",
    "物流很快，包装精美，味道也很好，下次还会再来",
    "This is the worst airline ever, they lost my bag and nobody answers the phone.",
    "Thank you so much for the quick help, the new seat is great!",
    "退款 refund 说好三天 still nothing，really disappointed 😡",
)


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader.load(weights.path_of("text"))


def log_odds(reader: TextReader, text: str) -> float:
    (reading,) = reader.infer([reader.prepare(text)])
    return float(reading.log_sentiment[POSITIVE] - reading.log_sentiment[NEGATIVE])


@pytest.mark.parametrize("text", TEXTS)
def test_the_words_add_up_to_the_answer(reader: TextReader, text: str) -> None:
    found = explain_text(reader, text, 8)
    assert found.log_odds == pytest.approx(log_odds(reader, text), abs=1e-4)
    added = found.base + sum(word.contribution for word in found.words)
    assert added == pytest.approx(found.log_odds, abs=0.02 * abs(found.log_odds - found.base))
    assert found.completeness_error <= 0.02
    assert found.omitted_tokens == 0


def test_the_wide_path_is_shared_out_exactly(reader: TextReader) -> None:
    wide = reader.model.wide
    for text in (*TEXTS, "好", "好 好 好 好", "no no no no no"):  # n-grams that come again
        (window,) = reader.prepare(text).windows
        ids = torch.tensor(window)
        by_token = wide_by_token(wide, ids, 3, len(ids) + 2)
        whole = wide(ids[None], torch.ones_like(ids)[None])[0, :3]
        assert torch.allclose(by_token.sum(0), whole, atol=1e-5)
        assert not by_token[len(ids) :].any()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  太差了😡😡 ", ["太", "差", "了", "😡", "😡"]),
        ("ＡＢＣ很好！", ["ＡＢＣ", "很", "好", "！"]),
        ("refunding 3kg，unbelievably", ["refunding", "3kg", "，", "unbelievably"]),
        ("👍🏽 ❤️ ok", ["👍🏽", "❤️", "ok"]),
        ("it's ㎏ ﬁne\u3000ｏｋ", ["it", "'", "s", "㎏", "ﬁne", "ｏｋ"]),
        ("cafe\u0301 réglé", ["cafe\u0301", "réglé"]),
    ],
)
def test_offsets_point_into_the_callers_text(
    reader: TextReader, text: str, words: list[str]
) -> None:
    found = explain_text(reader, text, 8)
    assert [text[word.start : word.end] for word in found.words] == words


def test_of_a_long_text_the_windows_that_count_most_are_read(reader: TextReader) -> None:
    plain, angry = (
        "The parcel is on the table. " * 25,
        "Worst service ever, awful, I hate it! " * 8,
    )
    text = plain + angry
    whole, part = explain_text(reader, text, 8), explain_text(reader, text, 1)
    assert whole.windows == len(reader.prepare(text).windows) > part.windows == 1
    assert whole.completeness_error <= 0.02 and part.completeness_error <= 0.02
    assert whole.log_odds == pytest.approx(part.log_odds, abs=1e-4)
    n_tokens = sum(len(window) - 2 for window in reader.prepare(text).windows)
    assert 0 < part.omitted_tokens < n_tokens
    assert part.words[0].start > len(plain) / 2  # not the calm beginning


def test_deleting_the_strongest_words_moves_the_score_more_than_random_ones(
    reader: TextReader,
) -> None:
    rng = random.Random(0)
    held = 0
    for text in TEXTS:
        found = explain_text(reader, text, 8)
        count = math.ceil(0.2 * len(found.words))
        cut = [without(text, strongest(found, count))]
        cut += [without(text, rng.sample(found.words, count)) for _ in range(10)]
        scores = [reading.score for reading in reader.infer([reader.prepare(t) for t in cut])]
        whole = reader.infer([reader.prepare(text)])[0].score
        top, *others = (abs(score - whole) for score in scores)
        held += top > np.mean(others)
    assert held >= 4


def test_the_reader_answers_as_before_and_keeps_no_gradient(reader: TextReader) -> None:
    before = log_odds(reader, TEXTS[0])
    with torch.inference_mode():  # a caller in a batch's thread
        explain_text(reader, TEXTS[0], 8)
    assert log_odds(reader, TEXTS[0]) == before
    assert all(parameter.grad is None for parameter in reader.model.parameters())


@pytest.mark.parametrize("text", ["", " \n", "\x00"])
def test_a_text_without_a_character_is_refused(reader: TextReader, text: str) -> None:
    with pytest.raises(InputError):
        explain_text(reader, text, 8)


@pytest.mark.parametrize("kind", ["wordpiece", "bytes"])
def test_a_published_encoder_is_explained_too(tmp_path: Path, kind: str) -> None:
    """A folder as transformers saves one, with random weights: right for adding up, not for sense.
    Byte-level pieces cut an emoji into several tokens of one place."""
    if kind == "wordpiece":
        backend = train_tokenizer(TEXTS * 3)
    else:
        backend = Tokenizer(models.BPE(vocab=_bytes(), merges=[], unk_token="[UNK]"))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.post_processor = train_tokenizer(["a"]).post_processor
    PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(tmp_path / "hub")  # fmt: skip
    config = BertConfig(
        vocab_size=backend.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(tmp_path / "hub")
    model, tokenizer = start(str(tmp_path / "hub"), TEXTS, tmp_path, 0, 0)
    torch.nn.init.normal_(model.wide.table.weight, std=0.1)
    path = tmp_path / "text.safetensors"
    checkpoint.save(path, model.dims, model.state_dict(), tokenizer=tokenizer.to_str())
    reader = TextReader.load(path)
    text = TEXTS[4]
    found = explain_text(reader, text, 8)
    assert found.log_odds == pytest.approx(log_odds(reader, text), abs=1e-4)
    assert found.completeness_error <= 0.02
    assert "😡" in [text[word.start : word.end] for word in found.words]
    ends = [word.end for word in found.words]
    assert all(a <= b.start for a, b in zip(ends, found.words[1:], strict=False))


def _bytes() -> dict[str, int]:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    return {letter: number for number, letter in enumerate(letters)}
