"""`python -m training.emoji`: the bank of emoji prototypes, from Debian's Noto Color Emoji.

Each character is drawn at many sizes on the grounds that bubbles have, damaged as screenshots are,
and cut out by the very code that cuts out emoji in a chat. Thresholds are set so that of the other
emoji of the font, which the bank does not know, hardly any is named.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from modalities.checkpoint import save
from modalities.errors import UnavailableError
from modalities.image.emoji import blobs
from modalities.image.emoji_names import Dims, EmojiNames, describe
from weights import path_of

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
STRIKE = 109  # the only size that the font has, pixels
CHARACTERS = (
    "😀😃😄😁😆😅🤣😂🙂🙃😉😊😇🥰😍🤩😘😚😋😛😜🤪🤗🤭🤔😐😑😏😒🙄😬😔😪😴😷🤢🤮🥵🥶🤯😎🙁"
    "😮😳🥺😨😰😥😢😭😱😖😣😞😓😩😫🥱😤😡😠🤬💩❤🧡💛💚💙💜💔💕💖💯💢💥👍👎👌🤞👏🙌🙏🤝💪"
    "👋👊✊👉👇👈🌹🌸🔥⭐🌟✨🎉🎁🎂🌞🍉🍺✅❌"
)
# Not in the bank: what must stay without a name.
OTHERS = (
    "🐼🐱🐶🐰🦊🐻🐸🐨🚗🚀🍎🍌🍇🍓🍔🍕🌈🌊🌲🌵🍁🏀🏈🎮🎧🎸"
    "📦📱💡🔑🔔🛒👑👗👠💄💍🌻🌷🎈🧸🦋🐝🐙🍅🥑🥕🌽🍩🍪"
)
GROUNDS = (  # with the ink on them
    ((255, 255, 255), (25, 25, 25)),
    ((149, 236, 105), (25, 25, 25)),
    ((237, 237, 237), (0, 0, 0)),
    ((44, 44, 44), (213, 213, 213)),
    ((62, 181, 117), (8, 22, 14)),
    ((0, 122, 255), (255, 255, 255)),
    ((220, 248, 198), (17, 17, 17)),
    ((30, 40, 50), (240, 240, 240)),
    ((255, 235, 51), (30, 30, 30)),
)
SAMPLES = 48  # of each character
KEPT, KEPT_LATER = 160, 56  # principal components; of these, directions that tell emoji apart
SHRINKAGE = 0.1  # of the within-class covariance towards its mean variance
NAMED_OTHERS = 0.01  # share of the others that may be named
MISNAMED = 0.002  # share of the known that may be named wrong


@cache
def glyph(character: str) -> Image.Image:
    """RGBA; raises UnavailableError where the font is absent."""
    try:
        font = ImageFont.truetype(str(FONT), STRIKE)
    except OSError as error:
        remedy = "apt-get install fonts-noto-color-emoji"
        raise UnavailableError(f"no font at {FONT}", remedy) from error
    image = Image.new("RGBA", (STRIKE * 2, STRIKE * 2))
    ImageDraw.Draw(image).text((20, 20), character, font=font, embedded_color=True)
    return image.crop(image.getbbox())


def styled(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """An RGBA picture as another font might draw it: other shades, a bit turned and stretched."""
    turned = picture.rotate(rng.uniform(-8, 8), Image.Resampling.BILINEAR, expand=True)
    turned = turned.crop(turned.getbbox())
    width = round(turned.width * rng.uniform(0.87, 1.15))
    stretched = np.asarray(turned.resize((width, turned.height))).astype(np.float32)
    shades = np.append(rng.uniform(0.85, 1.12) * rng.uniform(0.9, 1.1, 3), 1.0)  # and alpha's
    return Image.fromarray(np.clip(stretched * shades, 0, 255).astype(np.uint8), "RGBA")


def drawn(picture: Image.Image, rng: np.random.Generator) -> NDArray[np.float32] | None:
    """An RGBA picture as a chat might show it, described; None where it is not found there."""
    ground, ink = GROUNDS[rng.integers(len(GROUNDS))]
    size = rng.uniform(14, 64)
    scale = size / max(picture.size)
    width, height = (max(4, round(side * scale)) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.BILINEAR)
    margin = round(0.6 * size)
    page = Image.new("RGB", (small.width + 2 * margin, small.height + 2 * margin), ground)
    page.paste(small, (margin, margin), small)
    if rng.random() < 0.25:
        page = page.filter(ImageFilter.GaussianBlur(size / 50))
    if rng.random() < 0.4:
        buffer = io.BytesIO()
        page.save(buffer, "JPEG", quality=int(rng.integers(40, 96)))
        page = Image.open(buffer).convert("RGB")
    pixels = np.asarray(page)
    ends = np.array([ground, ground], np.int16)
    found = blobs(pixels, ends, np.array(ink, np.float64), size)
    if not found:
        return None
    x0, y0, x1, y1 = max(found, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    return describe(pixels[y0:y1, x0:x1], ends.mean(0))


def samples(
    characters: str, count: int, seed: int, style: bool = False
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Characters with their descriptions, those not found left out."""
    rng = np.random.default_rng(seed)
    for character in characters:
        for _ in range(count):
            picture = styled(glyph(character), rng) if style else glyph(character)
            if (made := drawn(picture, rng)) is not None:
                yield character, made


def fit(seed: int) -> EmojiNames:
    """The bank with its thresholds."""
    pairs = list(samples(CHARACTERS, SAMPLES, seed, style=True))
    x = np.stack([described for _, described in pairs])  # (rows, 1024)
    y = np.array([CHARACTERS.index(character) for character, _ in pairs])
    mean = x.mean(0)
    _, _, axes = np.linalg.svd(x - mean, full_matrices=False)
    reduced = (x - mean) @ axes[:KEPT].T  # (rows, KEPT)
    centres = np.stack([reduced[y == index].mean(0) for index in range(len(CHARACTERS))])
    within = np.cov((reduced - centres[y]).T)
    within += SHRINKAGE * np.trace(within) / KEPT * np.eye(KEPT)
    values, vectors = np.linalg.eigh(within)
    whiten = vectors / np.sqrt(values)  # (KEPT, KEPT)
    _, _, between = np.linalg.svd((centres - centres.mean(0)) @ whiten, full_matrices=False)
    found = axes[:KEPT].T @ whiten @ between[:KEPT_LATER].T  # (1024, KEPT_LATER)
    prototypes = (centres @ whiten @ between[:KEPT_LATER].T).astype(np.float32)
    bank = EmojiNames(
        Dims(CHARACTERS, np.inf, 1.0), mean.astype(np.float32), found.astype(np.float32), prototypes
    )
    return EmojiNames(_thresholds(bank, seed + 1), bank.mean, bank.map, bank.prototypes)


def _thresholds(bank: EmojiNames, seed: int) -> Dims:
    """The pair that names most of the known ones right, while few of the others are named."""
    known, others = (
        [(c, np.partition(d := bank.distances(x), 1)[:2], int(d.argmin())) for c, x in drawn_ones]
        for drawn_ones in (
            samples(CHARACTERS, 16, seed, style=True),
            samples(OTHERS, 16, seed, style=True),
        )
    )
    best = (-1.0, 0.0, 1.0)
    for farthest in np.quantile([first for _, (first, _), _ in known], np.linspace(0.3, 1, 30)):
        for margin in np.linspace(1.0, 2.0, 21):
            named = np.mean([a <= farthest and b >= margin * a for _, (a, b), _ in others])
            told = [CHARACTERS[at] == c for c, (a, b), at in known
                    if a <= farthest and b >= margin * a]  # fmt: skip
            right, wrong = sum(told) / len(known), told.count(False) / len(known)
            if named <= NAMED_OTHERS and wrong <= MISNAMED and right > best[0]:
                best = (right, float(farthest), float(margin))
    return Dims(CHARACTERS, best[1], best[2])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.emoji", description=__doc__)
    parser.add_argument("--out", type=Path, default=path_of("emoji"))
    parser.add_argument("--seed", type=int, default=20261124)
    arguments = parser.parse_args()
    bank = fit(arguments.seed)
    state = {name: torch.from_numpy(getattr(bank, name)) for name in ("mean", "map", "prototypes")}
    save(arguments.out, bank.dims, state)
    print(f"{len(CHARACTERS)} emoji, {arguments.out.stat().st_size} bytes, {bank.dims}")


if __name__ == "__main__":
    main()
