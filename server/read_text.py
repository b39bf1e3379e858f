"""Texts → readings: a caller's own, a transcript's and a picture's all go this way, each with the
turns before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from modalities.errors import InputError, UnavailableError
from modalities.reading import Modality, Reading
from modalities.text.infer import TextReader
from modalities.text.prepare import PreparedText, Turn
from server.analysis import Call, Outcome, Role, TextPart
from server.runner import Runner, naming
from server.turns import Place, Said

MAX_REASONS = 3  # told of several texts

Unread = InputError | UnavailableError  # why there is no reading of a text


async def read_text(
    part: TextPart, sender: Role, place: Place, call: Call, runner: Runner
) -> Outcome:
    said = [Said(sender, part.content)]
    with naming(part.field):
        (found,) = await read_texts(said, Modality.TEXT, place, call, runner)
        if not isinstance(found, Reading):
            raise found
    return Outcome(Modality.TEXT, readings=[found])


async def read_texts(
    said: Sequence[Said],
    part: Modality,
    place: Place,
    call: Call,
    runner: Runner,
    *,
    one_turn: bool = False,
) -> list[Reading | Unread]:
    """A reading a text, or why there is none: no readable character, or a language that is not
    read. `place` is told of those that are read, as what its `part` says.

    Each is read with the turns before `place` and with those before it in `said`; not the latter
    where all are of one turn, as the stretches of a recording are.
    """
    models = runner.models_of(call)
    model = models.text
    if model is None:
        raise models.missing["text"]
    call.models["text"] = model.revision
    # First alone, for whoever waits for `place` must know whether they are read, and no more.
    prepared = await _tokenized([(one.text, ()) for one in said], model, call, runner)
    turns = [
        one for one, item in zip(said, prepared, strict=True) if isinstance(item, PreparedText)
    ]
    if one_turn and turns:
        turns = [Said(turns[0].role, " ".join(turn.text for turn in turns))]
    place.tell(part, turns)
    turns = await place.before()
    after: dict[int, list[Turn]] = {}  # by place in `said`
    for row, (one, item) in enumerate(zip(said, prepared, strict=True)):
        if one.is_turn and isinstance(item, PreparedText):
            if turns:
                after[row] = one.after(turns)
            if not one_turn:
                turns.append(one)
    if after:
        texts = [(said[row].text, before) for row, before in after.items()]
        with_turns = await _tokenized(texts, model, call, runner)
        for row, item in zip(after, with_turns, strict=True):
            prepared[row] = item
    items = [item for item in prepared if isinstance(item, PreparedText)]
    found = iter(await runner.infer(call, "text", items))
    return [next(found) if isinstance(item, PreparedText) else item for item in prepared]


def not_scored(reasons: Counter[str], n_texts: int, what: str) -> str:
    """How many of so many texts have no reading, and why."""
    why = "; ".join(reason for reason, _ in reasons.most_common(MAX_REASONS))
    return f"the words of {reasons.total()} of {n_texts} {what} are not scored: {why}"


def remedy_of(unread: Sequence[Unread]) -> str:
    """What to do about them; empty where there is nothing."""
    return next((error.remedy for error in unread if isinstance(error, UnavailableError)), "")


async def _tokenized(
    texts: Sequence[tuple[str, Sequence[Turn]]], model: TextReader, call: Call, runner: Runner
) -> list[PreparedText | Unread]:
    """Of texts and the turns before each."""

    def tokenize() -> list[PreparedText | Unread]:
        prepared: list[PreparedText | Unread] = []
        for text, before in texts:
            try:
                prepared.append(model.prepare(text, before))
            except (InputError, UnavailableError) as error:
                prepared.append(error)
        return prepared

    n_characters = sum(len(text) + sum(len(turn.text) for turn in before) for text, before in texts)
    if call.at_once(n_characters):
        return runner.at_once(call, Modality.TEXT, tokenize)
    return await runner.prepare(call, Modality.TEXT, tokenize)
