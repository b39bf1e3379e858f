"""Texts → readings: a caller's own, a transcript's and a picture's all go this way."""

from __future__ import annotations

from collections.abc import Sequence

from modalities.errors import InputError
from modalities.reading import Modality, Reading
from modalities.text.prepare import PreparedText
from server.analysis import Call, Outcome, TextPart
from server.runner import Runner, naming


async def read_text(part: TextPart, call: Call, runner: Runner) -> Outcome:
    with naming(part.field):
        (reading,) = await read_texts([part.content], call, runner)
        if reading is None:
            raise InputError("the text has no readable character")
    return Outcome(Modality.TEXT, readings=[reading])


async def read_texts(texts: Sequence[str], call: Call, runner: Runner) -> list[Reading | None]:
    """A reading a text, None for one without a readable character."""
    models = runner.models_of(call)
    model = models.text
    if model is None:
        raise models.missing["text"]
    call.models["text"] = model.revision

    def tokenize() -> list[PreparedText | None]:
        prepared: list[PreparedText | None] = []
        for text in texts:
            try:
                prepared.append(model.prepare(text))
            except InputError:
                prepared.append(None)
        return prepared

    if call.at_once(sum(map(len, texts))):
        prepared = runner.at_once(call, Modality.TEXT, tokenize)
    else:
        prepared = await runner.prepare(call, Modality.TEXT, tokenize)
    found = iter(await runner.infer(call, "text", [item for item in prepared if item]))
    return [next(found) if item else None for item in prepared]
