"""Pictures → what they show and what is written in them, and who says it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from fusion.combine import combine, recency
from modalities.errors import InputError, LanguageError, LimitError, UnavailableError
from modalities.image.chat import Kind
from modalities.image.decode import ImageLimits
from modalities.image.pages import merge_pages
from modalities.image.prepare import PreparedImage
from modalities.image.sides import Side
from modalities.reading import Modality, Reading, Source
from server.analysis import BytesPart, Call, ChatSide, Line, Outcome, Role, State
from server.models import Models
from server.read_text import not_scored, read_texts, remedy_of
from server.runner import Runner, naming, together
from server.turns import Place, Said
from server.workers.pool import DECODERS

SPOKEN = (Kind.MESSAGE, Kind.TEXT)
LEAST_CONFIDENCE = 0.5  # of the OCR: below it a message is shown, but its words are not scored


async def read_images(
    parts: Sequence[BytesPart], sender: Role, place: Place, call: Call, runner: Runner
) -> Outcome:
    settings = runner.settings
    models = runner.models_of(call)
    preparer = models.preparer
    if preparer is None:
        raise models.missing["ocr"]
    limits = ImageLimits(settings.max_image_pixels, settings.max_image_side_pixels)
    outcome = Outcome(Modality.IMAGE)

    def prepare(content: bytes, page: int) -> PreparedImage:
        image = DECODERS.decode_image(content, limits, settings.max_decode_s)
        return preparer.read(image, page)

    async def look(page: int, part: BytesPart) -> PreparedImage | InputError:
        try:
            with naming(part.field):
                return await runner.prepare(
                    call, Modality.IMAGE, partial(prepare, part.content, page)
                )
        except LimitError:
            raise
        except InputError as error:
            return error

    outcome.pictures = await together([look(page, part) for page, part in enumerate(parts)])
    outcome.broken = [page for page in outcome.pictures if isinstance(page, InputError)]
    prepared = [page for page in outcome.pictures if isinstance(page, PreparedImage)]
    notes = [note for page in prepared for note in page.notes]
    notes += [f"{error.field}: {error.reason}" for error in outcome.broken]
    if not prepared:
        outcome.state, outcome.reason = State.REJECTED, "; ".join(notes)
        return outcome

    outcome.lines = [Line(message) for message in merge_pages([p.messages for p in prepared])]
    spoken = [line for line in outcome.lines if line.read.kind in SPOKEN]
    whose = assign_roles(spoken, call.customer_side, sender)
    # Apart, so that either is there where the other's model is missing.
    failures = await asyncio.gather(
        _see(prepared, outcome, call, runner),
        _read_lines(spoken, whose, outcome, place, call, runner),
        return_exceptions=True,
    )
    notes += _unread(prepared, spoken, models)
    missing = [failure for failure in failures if isinstance(failure, UnavailableError)]
    for failure in failures:
        if failure is not None and not isinstance(failure, UnavailableError):
            raise failure
    outcome.remedy = remedy_of([line.unread for line in spoken if line.unread])
    if outcome.readings:
        notes += [error.reason for error in missing]
    elif missing:
        outcome.state, outcome.remedy = State.UNAVAILABLE, missing[0].remedy
        notes = [missing[0].reason, *notes]
    elif unread := [
        line.unread
        for line in spoken
        if line.role is whose and isinstance(line.unread, LanguageError)
    ]:
        outcome.state, outcome.unread = State.UNAVAILABLE, unread[0]
    else:
        outcome.state = State.REJECTED
        if any(map(_is_legible, spoken)):
            notes.append("the pictures hold no message of the customer's")
        notes = notes or ["there is nothing to read in the pictures"]
    outcome.reason = "; ".join(notes)
    return outcome


async def _see(
    pages: Sequence[PreparedImage], outcome: Outcome, call: Call, runner: Runner
) -> None:
    """What the pictures show: one reading of all that the encoder knows."""
    model = runner.models_of(call).image
    items = [page.vision for page in pages if page.vision is not None]
    if model is not None:
        items = [p.vision for p in pages if p.vision is not None and model.knows(p.kind, p.vision)]
    if not items:
        return
    readings = await runner.infer(call, "image", items)
    assert model is not None
    call.models["image"] = model.revision
    outcome.readings.append(combine(readings, [1.0] * len(readings)))


async def _read_lines(
    spoken: Sequence[Line],
    whose: Role,
    outcome: Outcome,
    place: Place,
    call: Call,
    runner: Runner,
) -> None:
    """What is written in the pictures: a reading a line, and one of all that `whose` says.

    A line is a turn where a side says it.
    """
    if not spoken:
        return
    legible = [line for line in spoken if _is_legible(line)]
    said = [
        Said(line.role if line.read.side is not Side.NONE else None, line.read.text)
        for line in legible
    ]
    found = await read_texts(said, Modality.IMAGE, place, call, runner)
    for line, reading in zip(legible, found, strict=True):
        if not isinstance(reading, Reading):
            line.unread = reading
        else:
            quality = replace(reading.quality, ocr_confidence=line.read.confidence)
            line.words = reading
            line.reading = replace(reading, source=Source.IMAGE_TEXT, quality=quality)
    readings = [line.reading for line in spoken if line.role is whose and line.reading]
    if readings:
        outcome.readings.append(combine(readings, recency(len(readings))))
    for side in (Side.LEFT, Side.RIGHT):
        lines = [line for line in spoken if line.read.side is side and line.reading]
        readings = [line.reading for line in lines if line.reading]
        if readings:
            reading = combine(readings, recency(len(readings)))
            outcome.sides.append(ChatSide(side, lines[0].role, lines, reading))


def _is_legible(line: Line) -> bool:
    return bool(line.read.text.strip()) and line.read.confidence >= LEAST_CONFIDENCE


def _unread(pages: Sequence[PreparedImage], spoken: Sequence[Line], models: Models) -> list[str]:
    """What of the pictures is not scored, and why."""
    strange = sum(line.read.unread for line in spoken)
    illegible = sum(not _is_legible(line) for line in spoken) - strange
    notes = []
    if strange:
        notes.append(
            f"{strange} of {len(spoken)} messages are in a script that the OCR does not know"
        )
    if illegible:
        notes.append(
            f"{illegible} of {len(spoken)} messages could not be read: too blurred, or an emoji "
            "that is not known"
        )
    if unread := Counter(line.unread.reason for line in spoken if line.unread):
        notes.append(not_scored(unread, len(spoken), "messages"))
    model = models.image
    if model is not None and any(p.vision and not model.knows(p.kind, p.vision) for p in pages):
        notes.append("the vision encoder reads no emotion in a picture without a face")
    return notes


def assign_roles(spoken: Sequence[Line], customer_side: str, sender: Role) -> Role:
    """Give each line its role; returns whose lines count.

    Where two sides speak, the customer is on `customer_side`, or for AUTO on the right: a chat
    client shows its owner's messages there, and the picture is taken to be the customer's own.
    Where one side speaks, or none (a picture that is no chat), AUTO takes it all for the
    sender's.
    """
    sides = {line.read.side for line in spoken} - {Side.NONE}
    if customer_side == "AUTO":
        if len(sides) < 2:
            for line in spoken:
                line.role = sender
            return sender
        customer_side = "RIGHT"
    for line in spoken:
        if line.read.side is not Side.NONE:
            is_customer = line.read.side.name == customer_side
            line.role = Role.CUSTOMER if is_customer else Role.AGENT
        elif line.read.kind is Kind.TEXT:
            line.role = sender
    return Role.CUSTOMER
