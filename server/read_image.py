"""Pictures → what they show and what is written in them, and who says it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from fusion.combine import combine, recency
from modalities.errors import InputError, LimitError, UnavailableError
from modalities.image.chat import Kind
from modalities.image.decode import ImageLimits
from modalities.image.prepare import PreparedImage
from modalities.image.sides import Side
from modalities.reading import Modality, Source
from server.analysis import BytesPart, Call, Line, Outcome, Role, State
from server.read_text import read_texts
from server.runner import Runner, naming, together

SPOKEN = (Kind.MESSAGE, Kind.TEXT)


async def read_images(
    parts: Sequence[BytesPart], sender: Role, call: Call, runner: Runner
) -> Outcome:
    settings = runner.settings
    preparer = runner.models.preparer
    if preparer is None:
        raise runner.models.missing["ocr"]
    limits = ImageLimits(settings.max_image_pixels, settings.max_image_side_pixels)
    outcome = Outcome(Modality.IMAGE)

    async def look(page: int, part: BytesPart) -> PreparedImage | None:
        try:
            with naming(part.field):
                return await runner.prepare(
                    call, Modality.IMAGE, partial(preparer.prepare, part.content, limits, page)
                )
        except LimitError:
            raise
        except InputError as error:
            outcome.broken.append(error)
            return None

    pages = await together([look(page, part) for page, part in enumerate(parts)])
    prepared = [page for page in pages if page is not None]
    notes = [note for page in prepared for note in page.notes]
    notes += [f"{error.field}: {error.reason}" for error in outcome.broken]
    if not prepared:
        outcome.state, outcome.reason = State.REJECTED, "; ".join(notes)
        return outcome

    outcome.lines = [Line(message) for page in prepared for message in page.messages]
    # Apart, so that either is there where the other's model is missing.
    failures = await asyncio.gather(
        _see(prepared, outcome, call, runner),
        _read_lines(outcome, sender, call, runner),
        return_exceptions=True,
    )
    missing = [failure for failure in failures if isinstance(failure, UnavailableError)]
    for failure in failures:
        if failure is not None and not isinstance(failure, UnavailableError):
            raise failure
    if outcome.readings:
        notes += [error.reason for error in missing]
    elif missing:
        outcome.state, outcome.remedy = State.UNAVAILABLE, missing[0].remedy
        notes = [missing[0].reason, *notes]
    else:
        outcome.state = State.REJECTED
        if any(line.read.kind in SPOKEN for line in outcome.lines):
            notes.append("the pictures hold no message of the customer's")
        notes = notes or ["there is nothing to read in the pictures"]
    outcome.reason = "; ".join(notes)
    return outcome


async def _see(
    pages: Sequence[PreparedImage], outcome: Outcome, call: Call, runner: Runner
) -> None:
    """What the pictures show: one reading of all."""
    items = [page.vision for page in pages if page.vision is not None]
    if not items:
        return
    readings = await runner.infer(call, "image", items)
    assert runner.models.image is not None
    call.models["image"] = runner.models.image.revision
    outcome.readings.append(combine(readings, [1.0] * len(readings)))


async def _read_lines(outcome: Outcome, sender: Role, call: Call, runner: Runner) -> None:
    """What is written in the pictures: a reading a line, and one of all that `whose` says."""
    spoken = [line for line in outcome.lines if line.read.kind in SPOKEN]
    whose = assign_roles(spoken, call.customer_side, sender)
    if not spoken:
        return
    readings = await read_texts([line.read.text for line in spoken], call, runner)
    for line, reading in zip(spoken, readings, strict=True):
        if reading is not None:
            quality = replace(reading.quality, ocr_confidence=line.read.confidence)
            line.reading = replace(reading, source=Source.IMAGE_TEXT, quality=quality)
    said = [line.reading for line in spoken if line.role is whose and line.reading]
    if said:
        outcome.readings.append(combine(said, recency(len(said))))


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
