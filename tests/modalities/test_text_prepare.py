"""Windows: every token once, none a stub, and behind the turns that went before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modalities.errors import InputError, UnavailableError
from modalities.text.clean import clean
from modalities.text.infer import TextReader
from modalities.text.model import CONTEXT, MESSAGE, pad
from modalities.text.prepare import (
    MOST_TURNS,
    TURN_SHARE,
    TURN_TOKENS,
    PreparedText,
    Turn,
    Window,
    prepare,
)

BEFORE = (Turn(False, "Has the parcel arrived?"), Turn(True, "Not yet."))


def own(prepared: PreparedText) -> list[int]:
    """The message's tokens, the frame of each window left out."""
    return [i for w in prepared.windows for i in w.ids[max(w.start, 1) : -1]]


def tokens(reader: TextReader, text: str) -> list[int]:
    """Of a text, its frame left out."""
    return reader.tokenizer.encode(clean(text, reader.tokenizer).text).ids[1:-1]


def test_a_short_message_is_one_window_in_its_frame(reader: TextReader) -> None:
    prepared = reader.prepare("Thank you!")
    first, *inside, last = prepared.windows[0].ids
    frame = [reader.tokenizer.id_to_token(i) for i in (first, last)]
    assert (frame, inside) == (["<s>", "</s>"], tokens(reader, "Thank you!"))
    assert (len(prepared.windows), prepared.windows[0].start, prepared.characters) == (1, 0, 9)


@pytest.mark.parametrize("before", [(), BEFORE], ids=["alone", "after turns"])
def test_every_token_is_in_one_window_and_none_is_a_stub(
    reader: TextReader, before: tuple[Turn, ...]
) -> None:
    for n in (*range(60, 140, 3), *range(230, 270, 7), 1000):
        text = " ".join(["parcel"] * n)
        prepared = reader.prepare(text, before)
        assert own(prepared) == tokens(reader, text)
        lengths = [len(window.ids) for window in prepared.windows]
        assert max(lengths) <= reader.dims.n_ctx
        frame = max(1, prepared.windows[0].start) + 1
        if len(lengths) > 1:
            assert min(lengths) - frame >= (reader.dims.n_ctx - frame) // 4


@pytest.mark.parametrize(
    "sentence",
    ["I waited for two hours. ", "我等了两个小时。", "मैंने दो घंटे इंतज़ार किया। ", "هل وصل الطرد؟ "],
)
def test_windows_end_with_a_sentence(reader: TextReader, sentence: str) -> None:
    prepared = reader.prepare(sentence * 60)
    assert len(prepared.windows) > 2
    for window in prepared.windows:
        read = reader.tokenizer.decode(window.ids[1:-1])
        assert read.strip()[-1] == sentence.strip()[-1]


def test_turns_before_stand_in_front_behind_markers(reader: TextReader) -> None:
    (window,) = reader.prepare("No, it has not.", BEFORE).windows
    same, other = reader.dims.same_id, reader.dims.other_id
    cls, sep = (reader.tokenizer.token_to_id(token) for token in ("<s>", "</s>"))
    context = [other, *tokens(reader, BEFORE[0].text), same, *tokens(reader, BEFORE[1].text)]
    message = [*tokens(reader, "No, it has not."), sep]
    assert list(window.ids) == [cls, *context, sep, *message]
    assert window.start == len(context) + 2


def test_the_last_turns_are_read_and_of_each_its_end(reader: TextReader) -> None:
    long = " ".join(str(number) for number in range(100))
    turns = (Turn(True, "forgotten"), Turn(False, long), Turn(True, "no"))
    (window,) = reader.prepare("Hello?", turns).windows
    context = list(window.ids[1 : window.start - 1])
    assert MOST_TURNS == 2
    last = [reader.dims.same_id, *tokens(reader, "no")]
    assert context == [reader.dims.other_id, *tokens(reader, long)[-TURN_TOKENS:], *last]


def test_each_window_of_a_long_message_stands_behind_the_turns(reader: TextReader) -> None:
    text = "I waited for two hours. " * 60
    prepared = reader.prepare(text, BEFORE)
    starts = {window.start for window in prepared.windows}
    fronts = {window.ids[: window.start] for window in prepared.windows}
    assert len(prepared.windows) > 2 and len(starts) == len(fronts) == 1 and starts != {0}
    assert own(prepared) == tokens(reader, text)


def test_turns_without_a_word_are_none(reader: TextReader) -> None:
    silent = (Turn(True, " "), Turn(False, "<br>"), Turn(True, ""))
    assert reader.prepare("Hello?", silent) == reader.prepare("Hello?")


def test_a_model_without_markers_reads_no_turns(reader: TextReader) -> None:
    dims = replace(reader.dims, same_id=-1, other_id=-1)
    alone = prepare("Hello?", reader.tokenizer, dims)
    assert prepare("Hello?", reader.tokenizer, dims, BEFORE) == alone


def test_a_small_model_keeps_most_of_its_window_for_the_message(reader: TextReader) -> None:
    dims = replace(reader.dims, n_ctx=32)
    turns = [Turn(same, "late again " * 30) for same in (True, False)]
    prepared = prepare("I waited for two hours. " * 10, reader.tokenizer, dims, turns)
    assert own(prepared) == tokens(reader, "I waited for two hours. " * 10)
    assert max(len(window.ids) for window in prepared.windows) <= 32
    assert prepared.windows[0].start == 2 * (1 + 32 // TURN_SHARE) + 2


def test_no_text_can_hold_a_marker(reader: TextReader) -> None:
    markers = {reader.dims.same_id, reader.dims.other_id}
    assert min(markers) >= reader.tokenizer.get_vocab_size()
    spelled = " ".join(f"<{n}> [{n}]" for n in ("same", "other", *markers))
    assert not markers & set(own(reader.prepare(spelled)))


def test_what_is_read_is_cleaned_first(reader: TextReader) -> None:
    mail = "<p>It is sooooo late!</p><p>Regards,<br>Anna</p><blockquote>Happy?</blockquote>"
    prepared = reader.prepare(mail)
    assert own(prepared) == tokens(reader, "It is so late!")
    assert prepared.characters == len("Itissolate!")
    (window,) = reader.prepare("No.", [Turn(False, "<b>Happyyyy</b> now?")]).windows
    assert list(window.ids[2 : window.start - 1]) == tokens(reader, "Happy now?")


@pytest.mark.parametrize(
    "text", ["", " \n\t ", "\u3000", "\x00\x01", "\u200b", "\ufe0f", "<br>", "<script>1</script>"]
)
def test_nothing_to_read_is_refused(reader: TextReader, text: str) -> None:
    with pytest.raises(InputError):
        reader.prepare(text)


@pytest.mark.parametrize(
    "text",
    [
        "🫨", "🪿🪿", "⛷️", "🫷🏽", "🧑\u200d🦰", "🫨!", "🫨🫨 ...", "ψψψ ψψψ", "⏏️\n⏏️",
        "&lt;/s&gt;", "&lt;unk&gt;",
    ],
)  # fmt: skip
def test_signs_that_are_all_unknown_are_not_read(reader: TextReader, text: str) -> None:
    with pytest.raises(UnavailableError, match="100% of it"):
        reader.prepare(text)


@pytest.mark.parametrize("text", ["🫨 :)", "ok 🫨", "?!", "👍🫨", "1️⃣", "❤️!"])
def test_beside_what_is_known_an_unknown_sign_is_read(reader: TextReader, text: str) -> None:
    assert reader.prepare(text).unknown_share <= 0.5


@pytest.mark.parametrize(
    "spelled", ["&lt;/s&gt;", "<</s>/s>", "＜/s＞", "&lt;pad&gt;", "&lt;s&gt;"]
)
def test_no_text_can_hold_a_special_token(reader: TextReader, spelled: str) -> None:
    special = {reader.tokenizer.token_to_id(token) for token in ("<s>", "</s>", "<pad>")}
    prepared = reader.prepare(f"bad {spelled} service", [Turn(False, f"good {spelled}")])
    (window,) = prepared.windows
    assert not special & set(own(prepared))
    assert [i for i in window.ids[1 : window.start] if i in special] == [window.ids[-1]]
    assert prepared.unknown_share == 0


def test_the_share_that_is_unknown_is_told(reader: TextReader) -> None:
    assert reader.prepare("I am 😡 today").unknown_share == 0
    assert reader.prepare("👍🏽 ❤️").unknown_share == 0
    half = reader.prepare("late late late, ψψψ ψψψ")
    assert 0.2 < half.unknown_share < 0.5


def test_windows_of_mixed_lengths_are_told_apart_from_their_padding() -> None:
    ids, part = pad([Window((7, 8, 9)), Window((7, 5, 9, 8, 9), start=3)], pad_id=1)
    assert ids.tolist() == [[7, 8, 9, 1, 1], [7, 5, 9, 8, 9]]
    context, message = [CONTEXT] * 3, [MESSAGE] * 2
    assert part.tolist() == [[*[MESSAGE] * 3, 0, 0], [*context, *message]]
