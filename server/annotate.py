"""An answer drawn on the pictures that it is about: boxes, sides, and colours by score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotion.v1.emotion_service_pb2 import AnalyzeEmotionResponse
from emotion.v1.types_pb2 import Box, PictureResult, ReadMessage
from PIL import Image, ImageDraw, ImageFont

from modalities.errors import InputError
from modalities.image.decode import ImageLimits, decode

Colour = tuple[int, int, int]

NEGATIVE, NEUTRAL, POSITIVE = (214, 39, 40), (127, 127, 127), (44, 160, 44)
UNSCORED: Colour = (31, 119, 180)  # an agent's unread line, a face
ASIDE: Colour = (160, 160, 160)  # times, names, notices
FORMATS = (".png", ".jpg", ".jpeg", ".webp")


def annotate(
    contents: Sequence[bytes], response: AnalyzeEmotionResponse, path: Path, limits: ImageLimits
) -> list[Path]:
    """Write one picture a page: to `path`, or for several to `path` with -1, -2, … at its stem.

    Raises InputError where `path` names no picture format, or a page cannot be decoded.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"a name that ends in one of {', '.join(FORMATS)}", "--annotate")
    written = []
    for page, (content, picture) in enumerate(zip(contents, response.pictures, strict=True)):
        target = path if len(contents) == 1 else path.with_stem(f"{path.stem}-{page + 1}")
        image = Image.fromarray(decode(content, limits).pixels)
        _draw(image, picture, [m for m in response.messages if m.page == page])
        image.save(target)
        written.append(target)
    return written


def colour_of(score: float) -> Colour:
    """From red at −1 over grey at 0 to green at 1."""
    end = POSITIVE if score > 0 else NEGATIVE
    share = min(1.0, abs(score))
    red, green, blue = (round(n + share * (e - n)) for n, e in zip(NEUTRAL, end, strict=True))
    return red, green, blue


def _draw(image: Image.Image, picture: PictureResult, messages: Sequence[ReadMessage]) -> None:
    draw = ImageDraw.Draw(image)
    stroke = max(2, image.width // 300)
    font = ImageFont.load_default(size=max(10, image.width / 45))
    for message in messages:
        spoken = message.kind in (ReadMessage.MESSAGE, ReadMessage.TEXT)
        if not spoken:
            draw.rectangle(_corners(message.box), outline=ASIDE, width=max(1, stroke // 2))
            continue
        scored = message.HasField("estimate")
        colour = colour_of(message.estimate.score) if scored else UNSCORED
        label = f"{message.estimate.score:+.2f}" if scored else "?"
        if message.side:
            label = f"{ReadMessage.Side.Name(message.side)[0]} {label}"
        draw.rectangle(_corners(message.box), outline=colour, width=stroke)
        _tag(draw, message.box, label, colour, font)
    for face in picture.faces:
        draw.rectangle(_corners(face), outline=UNSCORED, width=stroke)
    kind = f"{PictureResult.Kind.Name(picture.kind).lower()} {picture.confidence:.2f}"
    _tag(draw, Box(left=0, top=0), kind, UNSCORED, font)


def _corners(box: Box) -> tuple[int, int, int, int]:
    return box.left, box.top, box.right - 1, box.bottom - 1


def _tag(
    draw: ImageDraw.ImageDraw,
    box: Box,
    label: str,
    colour: Colour,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """A label on a plate of its own, at a box's upper left corner."""
    left, top, right, bottom = draw.textbbox((box.left, box.top), label, font=font, anchor="lt")
    draw.rectangle((left, top, right + 6, bottom + 6), fill=colour)
    draw.text((box.left + 3, box.top + 3), label, fill="white", font=font, anchor="lt")
