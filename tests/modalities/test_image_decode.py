from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from modalities.errors import InputError, LimitError
from modalities.image.decode import DecodedImage, ImageLimits, decode

LIMITS = ImageLimits()


def encode(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def read(image: Image.Image, form: str = "PNG", **options: Any) -> DecodedImage:
    return decode(encode(image, form, **options), LIMITS)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_reads_every_supported_format(form: str) -> None:
    image = read(Image.new("RGB", (40, 24), (200, 30, 30)), form)
    assert image.pixels.shape == (24, 40, 3)
    assert image.pixels.dtype == np.uint8
    assert np.abs(image.pixels[12, 20].astype(int) - (200, 30, 30)).max() <= 6
    assert image.notes == ()


@pytest.mark.parametrize(
    ("image", "form", "expected"),
    [
        (Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG", (255, 0, 0)),
        (Image.new("I;16", (20, 20), 40_000), "PNG", (156, 156, 156)),
        (Image.new("L", (20, 20), 77), "PNG", (77, 77, 77)),
        (Image.new("1", (20, 20), 1), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (20, 20), (0, 0, 0, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (20, 20), (0, 0, 0, 128)), "PNG", (127, 127, 127)),
        (Image.new("LA", (20, 20), (0, 0)), "PNG", (255, 255, 255)),
    ],
    ids=["cmyk", "16-bit", "grey", "1-bit", "transparent", "half-transparent", "grey-alpha"],
)
def test_every_mode_becomes_rgb(
    image: Image.Image, form: str, expected: tuple[int, int, int]
) -> None:
    pixels = read(image, form).pixels
    assert np.abs(pixels[10, 10].astype(int) - expected).max() <= 2


def test_palette_keeps_its_colours() -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 10, 200, 60])
    assert tuple(read(image).pixels[5, 5]) == (10, 200, 60)
    assert tuple(read(image, transparency=1).pixels[5, 5]) == (255, 255, 255)


def test_exif_rotation_is_applied() -> None:
    image = Image.new("RGB", (40, 20), "white")
    image.paste("black", (0, 0, 10, 20))  # a black left end
    exif = Image.Exif()
    exif[0x0112] = 6  # turn 90° clockwise to view: the left end comes to the top
    pixels = read(image, exif=exif).pixels
    assert pixels.shape == (40, 20, 3)
    assert pixels[2].max() == 0
    assert pixels[-2].min() == 255


def test_first_frame_of_an_animation_and_a_note() -> None:
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("red", "green", "blue")]
    image = read(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(image.pixels[0, 0]) == (255, 0, 0)
    assert image.notes == ("animated: the first of 3 frames was read",)


@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_mark_is_read_and_told(missing: int) -> None:
    content = encode(Image.effect_noise((100, 100), 50), "JPEG")
    image = decode(content[:-missing], LIMITS)
    assert np.array_equal(image.pixels, decode(content, LIMITS).pixels)
    assert any("end mark" in note for note in image.notes)


def test_a_png_with_more_text_than_pixels_is_read() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("comment", "a" * 3_000_000, zip=True)
    assert read(Image.new("RGB", (20, 20), "red"), pnginfo=info).pixels[0, 0].tolist() == [
        255,
        0,
        0,
    ]


def test_pages_of_a_tiff_stand_one_below_the_other() -> None:
    pages = [
        Image.new("RGB", size, colour) for size, colour in (((30, 20), "red"), ((20, 30), "blue"))
    ]
    options = {"save_all": True, "append_images": pages[1:]}
    image = read(pages[0], "TIFF", **options)
    assert image.pixels.shape == (50, 30, 3) and image.notes == ("2 pages were read",)
    assert image.pixels[10, 5].tolist() == [255, 0, 0]
    assert image.pixels[40, 5].tolist() == [0, 0, 255] and image.pixels[40, 25].min() == 255
    few = decode(encode(pages[0], "TIFF", **options), ImageLimits(max_pixels=1_000))
    assert few.pixels.shape == (20, 30, 3) and "first 1 of 2 pages" in few.notes[0]


def test_a_photo_of_two_pictures_is_no_animation() -> None:
    scene = Image.effect_noise((40, 30), 50).convert("RGB")
    image = read(scene, "MPO", save_all=True, append_images=[scene])
    assert image.pixels.shape == (30, 40, 3) and image.notes == ()


@pytest.mark.parametrize(("ink", "ground"), [("white", 24), ("black", 255), ("red", 255)])
def test_what_is_drawn_on_nothing_is_seen(ink: str, ground: int) -> None:
    layer = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    layer.paste(ink, (10, 10, 30, 20))
    pixels = read(layer).pixels
    assert pixels[0, 0].tolist() == [ground] * 3
    assert np.abs(pixels[15, 15].astype(int) - ground).max() > 200


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_cut_short(form: str) -> None:
    content = encode(Image.effect_noise((100, 100), 50), form)
    with pytest.raises(InputError) as error:
        decode(content[: len(content) // 2], LIMITS)
    assert not isinstance(error.value, LimitError)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"just a text", "not an image"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG is not supported"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not supported, send JPEG or PNG"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF is not supported"),
        (b"%PDF-1.7\n", "PDF is not supported"),
    ],
)
def test_refuses_what_is_no_supported_image(content: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        decode(content, LIMITS)


def test_too_small_to_read() -> None:
    with pytest.raises(InputError, match="too small to read: 1 × 1 px"):
        read(Image.new("RGB", (1, 1)))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds one byte of pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


# Each would be InputError ("broken"), not LimitError, if a single pixel had been asked for.
@pytest.mark.parametrize("size", [(100_000, 100_000), (7_100, 7_100), (20_001, 10), (10, 20_001)])
def test_over_a_limit_is_refused_on_the_header(size: tuple[int, int]) -> None:
    with pytest.raises(LimitError):
        decode(png_header(*size), LIMITS)


def test_a_real_bomb_is_refused() -> None:
    content = encode(Image.new("1", (6_000, 10_000), 1))
    assert len(content) < 100_000
    with pytest.raises(LimitError, match="6000 × 10000 px"):
        decode(content, LIMITS)


def test_limits_are_arguments() -> None:
    content = encode(Image.new("RGB", (100, 50)))
    assert decode(content, ImageLimits(max_pixels=5_000, max_side=100)).pixels.shape == (50, 100, 3)
    with pytest.raises(LimitError):
        decode(content, ImageLimits(max_pixels=4_999))
    with pytest.raises(LimitError):
        decode(content, ImageLimits(max_side=99))
