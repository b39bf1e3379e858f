"""Image bytes → RGB pixels, with every limit checked on the header, before a pixel is decoded."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from modalities.errors import InputError, LimitError
from modalities.image.mend import without_end, without_metadata

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
PHOTO = "MPO"  # a JPEG with further pictures of its scene behind it
PAGES = "TIFF"
REDUCED = 254  # TIFF's tag NewSubfileType: its lowest bit says that a page is a smaller copy
LIGHT, DARK = 200, 160  # levels: what is lighter is not seen on white; what has nothing darker
DARK_GROUND = (24, 24, 24)
MIN_SIDE = 8  # pixels; below it there is neither a letter nor a face to read

# Formats that callers do send and that are refused by name, by their first bytes.
_FTYP_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC", b"avif": "AVIF"}


@dataclass(frozen=True)
class ImageLimits:
    """Per image; the service's limits (GetServiceLimits) fill them."""

    max_pixels: int = 50_000_000
    max_side: int = 20_000  # pixels


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """pixels (h, w, 3) uint8 RGB, upright; notes say what was left out of the original."""

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]


def decode(content: bytes, limits: ImageLimits) -> DecodedImage:
    """Decode a PNG, JPEG, WebP, GIF, BMP or TIFF image: an animated one's first frame, all pages of
    a TIFF one below the other, as far as the limits allow.

    Raises LimitError where its header states more pixels or a longer side than `limits`, and
    InputError where it is no image of these formats, is broken, or is too small to read.
    """
    if not content:
        raise InputError("the image is empty")
    content = without_metadata(content)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check(image.size, limits)
            pixels, notes = _read(image, content, limits)
    except InputError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own guard, above 179 MP
        raise LimitError(f"the image has more than {limits.max_pixels:,} pixels") from error
    except UnidentifiedImageError as error:
        raise InputError(_why_unidentified(content)) from error
    except Exception as error:
        # Pillow's plugins raise nearly anything on a file made to break them, and their
        # messages can quote it: only the kind of error is passed on.
        raise InputError(f"the image is broken or cut short ({type(error).__name__})") from error
    return DecodedImage(pixels, notes)


def _read(
    image: Image.Image, content: bytes, limits: ImageLimits
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Pixels and notes of an image that is opened and within the limits."""
    frames = getattr(image, "n_frames", 1)
    if image.format == PAGES and frames > 1:
        return _pages(image, frames, limits)
    try:
        pixels = _to_rgb(image)
    except OSError:
        mended = without_end(content, _to_rgb)
        if mended is None:
            raise
        return mended, ("the file lacks its end mark; all of the picture was read",)
    if frames > 1 and image.format != PHOTO:
        return pixels, (f"animated: the first of {frames} frames was read",)
    return pixels, ()


def _pages(
    image: Image.Image, frames: int, limits: ImageLimits
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The pages of a TIFF, smaller copies left out, one below the other on white."""
    pages: list[NDArray[np.uint8]] = []
    height = width = left_out = 0
    for frame in range(frames):
        image.seek(frame)
        if pages and image.tag_v2.get(REDUCED, 0) & 1:  # type: ignore[attr-defined]
            continue
        wide, high = max(width, image.size[0]), height + image.size[1]
        fits = max(wide, high) <= limits.max_side and wide * high <= limits.max_pixels
        if pages and (left_out or not fits):
            left_out += 1
            continue
        pages.append(_to_rgb(image))
        height, width = height + pages[-1].shape[0], max(width, pages[-1].shape[1])
    sheet = np.full((height, width, 3), 255, np.uint8)
    top = 0
    for page in pages:
        sheet[top : top + page.shape[0], : page.shape[1]] = page
        top += page.shape[0]
    if left_out:
        total = len(pages) + left_out
        return sheet, (f"the first {len(pages)} of {total} pages were read, the limit is reached",)
    return sheet, (f"{len(pages)} pages were read",) if len(pages) > 1 else ()


def _check(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if max(size) > limits.max_side:
        raise LimitError(
            f"the image is {width} × {height} px; a side may have {limits.max_side:,} px"
        )
    if width * height > limits.max_pixels:
        raise LimitError(
            f"the image is {width} × {height} px; at most {limits.max_pixels:,} px are read"
        )
    if min(size) < MIN_SIDE:
        raise InputError(
            f"the image is too small to read: {width} × {height} px, "
            f"at least {MIN_SIDE} px a side are needed"
        )


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Upright RGB; transparency over a ground that shows it, 16-bit grey scaled (Pillow would clip
    it)."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):
        values = np.asarray(upright, dtype=np.float32)
        top = 65535.0 if upright.mode.startswith("I") else max(float(values.max()), 1.0)
        grey = np.clip(values / top * 255.0 + 0.5, 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        upright = Image.new("RGBA", layer.size, _ground(layer))
        upright.alpha_composite(layer)
    return np.array(upright.convert("RGB"))


def _ground(layer: Image.Image) -> str | tuple[int, int, int]:
    """White, or dark where all that an RGBA picture shows is too light to be seen on white."""
    pixels = np.asarray(layer)
    grey = np.asarray(layer.convert("RGB").convert("L"))[pixels[..., 3] > 127]  # of what is seen
    if grey.size and (grey > LIGHT).mean() > 0.95 and (grey < DARK).mean() < 0.01:
        # A picture that is opaque nearly everywhere has a ground of its own.
        return DARK_GROUND if grey.size < 0.5 * layer.width * layer.height else "white"
    return "white"


def _why_unidentified(content: bytes) -> str:
    name = _FTYP_BRANDS.get(content[8:12]) if content[4:8] == b"ftyp" else None
    if name is None and b"<svg" in content[:1024].lower():
        name = "SVG"
    if name is None and content[:5] == b"%PDF-":
        name = "PDF"
    if name:
        return f"{name} is not supported, send JPEG or PNG"
    return f"not an image that can be read; supported are {', '.join(FORMATS)}"
