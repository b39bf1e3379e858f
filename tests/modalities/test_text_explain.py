"""The parts of words: they add up, stand where the caller wrote them, and matter when cut out."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_text import save_tiny_text, tiny_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, RobertaConfig, RobertaModel

from bench.explain import strongest, without
from modalities import checkpoint
from modalities.errors import InputError, UnavailableError
from modalities.reading import NEGATIVE, POSITIVE
from modalities.text.explain import MOST_ERROR, explain_text
from modalities.text.infer import TextReader
from modalities.text.prepare import PreparedText, Turn, Window
from training.text_base import start

TEXTS = (
    "客服态度太差了，等了三天都没人理我，再也不会来了！",
    "物流很快，包装精美，味道也很好，下次还会再来",
    "This is the worst airline ever, they lost my bag and nobody answers the phone.",
    "Thank you so much for the quick help, the new seat is great!",
    "退款 refund 说好三天 still nothing，really disappointed 😡",
    "Die Lieferung kam pünktlich und alles ist heil, vielen Dank!",
    "サポートの対応が最悪でした。二度と買いません。",
    "배송이 너무 늦어서 정말 화가 나요",
)
BEFORE = (Turn(True, "Where is my parcel?"), Turn(False, "It is lost, I am sorry."))

HTML = """\
<html><head><style>p { color: red } /* terrible */</style></head><body><p>Dear team,</p>
<p>the <b>heating</b> is broken &amp; it's soooooo cold&hellip;</p>
<blockquote>Thank you for choosing us, we love our guests!</blockquote></body></html>"""
MAIL = """\
Hello,
I am very disappointed, nobody came.

Kind regards,
Joyce Happy

On Mon, 5 Jan 2026 at 10:12, Lovely Home Support <help@example.com> wrote:
> We are delighted to help you!
> Your technician comes on Tuesday."""


def log_odds(reader: TextReader, item: PreparedText) -> float:
    (reading,) = reader.infer([item])
    return float(reading.log_sentiment[POSITIVE] - reading.log_sentiment[NEGATIVE])


def masked(reader: TextReader, window: Window, places: Sequence[int]) -> PreparedText:
    """The window with the unknown token at those places."""
    ids = [reader.dims.unk_id if i in places else token for i, token in enumerate(window.ids)]
    return PreparedText((Window(tuple(ids), window.start),), 1, 0.0)


ROUNDED = 0.15  # log-odds that rounding to eight bits may move: gradients are of fp32


def words_of(reader: TextReader, text: str) -> list[str]:
    return [text[word.start : word.end] for word in explain_text(reader, text).words]


@pytest.fixture(scope="module")
def unmixed(tmp_path_factory: pytest.TempPathFactory) -> TextReader:
    """A reader whose encoder has no layer: no word changes what another one says."""
    path = tmp_path_factory.mktemp("unmixed") / "text.safetensors"
    texts = ["the parcel is late again", "late, late", "has it arrived", "no"]
    return TextReader.load(save_tiny_text(path, texts, num_hidden_layers=0, initializer_range=0.5))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("before", [(), BEFORE], ids=["alone", "after two turns"])
def test_the_words_add_up_to_the_answer(
    reader: TextReader, text: str, before: Sequence[Turn]
) -> None:
    found = explain_text(reader, text, before)
    prepared = reader.prepare(text, before)
    (window,) = prepared.windows
    assert found.log_odds == pytest.approx(log_odds(reader, prepared), abs=1e-4)
    own = range(max(1, window.start), len(window.ids) - 1)
    assert found.base == pytest.approx(log_odds(reader, masked(reader, window, own)), abs=ROUNDED)
    change = abs(found.log_odds - found.base)
    assert found.completeness_error <= MOST_ERROR + ROUNDED / change
    added = found.base + sum(word.contribution for word in found.words)
    assert added == pytest.approx(found.log_odds, abs=found.completeness_error * change + 1e-6)
    assert found.omitted_tokens == 0


def test_what_was_said_before_stays_as_it_is(reader: TextReader) -> None:
    alone, after = explain_text(reader, "No."), explain_text(reader, "No.", BEFORE)
    assert [(word.start, word.end) for word in after.words] == [(0, 2), (2, 3)]
    assert after.log_odds != pytest.approx(alone.log_odds, abs=0.01)
    assert after.base != pytest.approx(alone.base, abs=0.01)


@pytest.mark.parametrize("before", [(), (Turn(False, "has it arrived"),)], ids=["alone", "after"])
def test_a_word_that_meets_no_other_adds_what_it_says_alone(
    unmixed: TextReader, before: Sequence[Turn]
) -> None:
    text = "the parcel is late again nonono"  # the last word is known by its letters alone
    prepared = unmixed.prepare(text, before)
    (window,) = prepared.windows
    whole = log_odds(unmixed, prepared)
    tokens = unmixed.tokenizer.encode(text).tokens[1:-1]
    places: list[list[int]] = []  # of each word's tokens in the window
    for place, token in enumerate(tokens, start=len(window.ids) - 1 - len(tokens)):
        if token.startswith("▁"):
            places.append([])
        places[-1].append(place)
    assert len(places[-1]) > 1
    found = explain_text(unmixed, text, before)
    assert [text[word.start : word.end] for word in found.words] == text.split()
    for word, own in zip(found.words, places, strict=True):
        alone = whole - log_odds(unmixed, masked(unmixed, window, own))
        assert word.contribution == pytest.approx(alone, abs=0.02 * abs(whole - found.base))
    assert len({round(word.contribution, 3) for word in found.words}) > 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  太差了😡😡 ", ["太", "差", "了", "😡", "😡"]),
        ("ＡＢＣ很好！", ["ＡＢＣ", "很好", "！"]),
        ("钱 退 了吗", ["钱", "退", "了吗"]),
        ("refunding 3kg，unbelievably", ["refunding", "3kg", "，", "unbelievably"]),
        ("👍🏽 ❤️ ok", ["👍🏽", "❤️", "ok"]),
        ("👨\u200d👩\u200d👧 happy❤️ok", ["👨\u200d👩\u200d👧", "happy", "❤️", "ok"]),
        ("it's ㎏ ﬁne\u3000ｏｋ, 'so'", ["it's", "㎏", "ﬁne", "ｏｋ", ",", "'", "so", "'"]),
        ("cafe\u0301 réglé, l’accueil", ["cafe\u0301", "réglé", ",", "l’accueil"]),
        ("서비스가 정말 최악이에요", ["서비스가", "정말", "최악이에요"]),
        ("सेवा बहुत खराब है", ["सेवा", "बहुत", "खराब", "है"]),
        ("الخدمة سيّئة جدًّا", ["الخدمة", "سيّئة", "جدًّا"]),
        ("บริการแย่มาก", ["บริการ", "แย่", "มาก"]),
        ("bad &lt;/s&gt; service", ["bad", "service"]),
    ],
)  # fmt: skip
def test_offsets_point_into_the_callers_text(
    reader: TextReader, text: str, words: list[str]
) -> None:
    assert words_of(reader, text) == words


def test_markup_and_what_others_wrote_have_no_share(reader: TextReader) -> None:
    assert words_of(reader, HTML) == [
        "Dear", "team", ",",
        "the", "heating", "is", "broken", "&amp;", "it's", "soooooo", "cold", "&hellip;",
    ]  # fmt: skip
    assert words_of(reader, MAIL) == [
        "Hello", ",", "I", "am", "very", "disappointed", ",", "nobody", "came", ".",
    ]  # fmt: skip
    own = MAIL[: MAIL.index("Kind regards")]
    assert explain_text(reader, MAIL).words == explain_text(reader, own).words
    # The words stand where they do in the caller's text, not where they did when it was cleaned.
    quoted_first = "> It is fixed, is it not?\n\n" + own
    shifted = explain_text(reader, quoted_first).words
    assert [quoted_first[word.start : word.end] for word in shifted] == words_of(reader, own)
    assert shifted[0].start == quoted_first.index("Hello")


def test_words_of_either_side_push_to_it(reader: TextReader) -> None:
    """The model is right about these, and an explanation that is upside down is not."""
    for text, good, bad in (
        ("The food was delicious but the waiter was rude.", "delicious", "rude"),
        ("味道很好，可是送餐太慢了，气死我了😡", "很好", "😡"),
        ("Das Zimmer war wunderbar, aber der Lärm war furchtbar.", "wunderbar", "furchtbar"),
    ):
        found = {
            text[word.start : word.end]: word.contribution
            for word in explain_text(reader, text).words
        }
        assert found[good] > 0 > found[bad]


def test_of_a_long_text_the_strongest_window_is_explained(reader: TextReader) -> None:
    plain = "The parcel is on the table. " * 30
    angry = "This is the worst service ever, awful, I hate it! " * 4
    text = plain + angry + plain
    prepared = reader.prepare(text)
    assert len(prepared.windows) > 2
    found = explain_text(reader, text)
    assert found.log_odds == pytest.approx(log_odds(reader, prepared), abs=1e-4)
    first, last = found.words[0].start, found.words[-1].end
    assert first < len(plain) + len(angry) and last > len(plain)  # not a calm one
    encoding = reader.tokenizer.encode(text)
    inside = sum(start < last and end > first for start, end in encoding.offsets[1:-1])
    assert found.omitted_tokens == len(encoding.ids) - 2 - inside > 0
    lowest = min(found.words, key=lambda word: word.contribution)
    assert len(plain) <= lowest.start < len(plain) + len(angry)


def test_deleting_the_strongest_words_moves_the_score_more_than_random_ones(
    reader: TextReader,
) -> None:
    rng = random.Random(0)
    moved = []  # log-odds, for a score near an end hardly moves whatever is deleted
    for text in TEXTS:
        found = explain_text(reader, text)
        count = math.ceil(0.2 * len(found.words))
        cut = [without(text, strongest(found, count))]
        cut += [without(text, rng.sample(found.words, count)) for _ in range(10)]
        whole, top, *others = (log_odds(reader, reader.prepare(t)) for t in [text, *cut])
        moved.append((abs(top - whole), np.mean([abs(other - whole) for other in others])))
    by_strongest, at_random = np.mean(moved, axis=0)
    assert by_strongest > at_random


def test_the_reader_answers_as_before_and_keeps_no_gradient(reader: TextReader) -> None:
    item = reader.prepare(TEXTS[0])
    before = log_odds(reader, item)
    with torch.inference_mode():  # a caller in a batch's thread
        explain_text(reader, TEXTS[0])
    assert log_odds(reader, item) == before
    assert all(parameter.grad is None for parameter in reader.model.parameters())


@pytest.mark.parametrize("text", ["", " \n", "\x00"])
def test_a_text_without_a_character_is_refused(reader: TextReader, text: str) -> None:
    with pytest.raises(InputError):
        explain_text(reader, text)


def test_a_language_that_is_not_read_is_refused(reader: TextReader) -> None:
    with pytest.raises(UnavailableError):
        explain_text(reader, "Przesyłka jeszcze nie dotarła, jestem bardzo rozczarowany.")


@pytest.mark.parametrize("kind", ["words", "bytes"])
def test_a_published_encoder_is_explained_too(tmp_path: Path, kind: str) -> None:
    """A folder as transformers saves one, with random weights: right for adding up, not for sense.
    RoBERTa counts its positions in its own way; byte-level pieces cut an emoji into several tokens
    of one place."""
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "initializer_range": 0.3,
        "pad_token_id": 1,
    }
    backend = tiny_tokenizer(TEXTS)
    torch.manual_seed(0)
    if kind == "words":
        encoder = BertModel(BertConfig(vocab_size=backend.get_vocab_size(), **sizes))
    else:
        letters = ("<s>", "<pad>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet()))
        frame = backend.post_processor
        backend = Tokenizer(models.BPE(vocab={x: i for i, x in enumerate(letters)}, merges=[]))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.post_processor = frame
        encoder = RobertaModel(RobertaConfig(vocab_size=len(letters), **sizes))
    special = {"pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>"}
    if kind == "words":
        special["unk_token"] = "<unk>"
    PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(tmp_path / "hub")
    encoder.save_pretrained(tmp_path / "hub")
    model, tokenizer = start(str(tmp_path / "hub"), 0)
    path = tmp_path / "text.safetensors"
    checkpoint.save(path, model.dims, model.state_dict(), tokenizer=tokenizer.to_str())
    reader = TextReader.load(path)
    text = "退款 refund still nothing😡"
    found = explain_text(reader, text)
    assert found.log_odds == pytest.approx(log_odds(reader, reader.prepare(text)), abs=1e-4)
    assert found.completeness_error <= MOST_ERROR + ROUNDED / abs(found.log_odds - found.base)
    assert "😡" in [text[word.start : word.end] for word in found.words]
    ends = [word.end for word in found.words]
    assert all(a <= b.start for a, b in zip(ends, found.words[1:], strict=False))
