"""What is rendered is what its truth says; skipped where Chromium or the data is absent."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.screenshots.compose import compose
from bench.screenshots.generate import damage_image
from bench.screenshots.texts import Texts


@pytest.fixture(scope="module")
def texts(data: Path) -> Texts:
    return Texts("dev")


def test_chats_are_of_the_seed(texts: Texts) -> None:
    first, again, other = (
        compose(random.Random(seed), texts, "mixed", length=12) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert sum(item.kind == "message" for item in first.items) == 12
    assert [item.number for item in first.items] == list(range(len(first.items)))


def test_splits_share_no_customer(texts: Texts, data: Path) -> None:
    def said(of: Texts) -> set[str]:
        chats = (compose(random.Random(seed), of, "zh", length=20) for seed in range(8))
        items = [item for chat in chats for item in chat.items if item.kind == "message"]
        # Agents answer with the same phrases everywhere.
        return {item.text for item in items if item.who == 0 and len(item.text) > 30}

    dev, test = said(texts), said(Texts("test"))
    assert dev
    assert not dev & test


def test_half_is_half() -> None:
    image, scale = damage_image(Image.new("RGB", (100, 60)), "half")
    assert (image.size, scale) == ((50, 30), 0.5)


def test_rendered_boxes_hold_what_they_say(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("selenium")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("Chromium or its driver is absent: apt-get install chromium chromium-driver")
    from bench.screenshots.generate import generate

    written = generate("dev", tmp_path, seed=1, limit=1)  # wechat, light: clean and as JPEG
    assert [path.suffix for path in written] == [".png", ".jpg"]
    truth = json.loads(written[0].with_suffix(".json").read_text())
    with Image.open(written[0]) as image:
        pixels = np.asarray(image)
    assert [pixels.shape[1], pixels.shape[0]] == truth["size"]
    whole = [i for i in truth["items"] if i["kind"] == "message" and not i["cut"]]
    assert len(whole) >= 3
    assert [i["number"] for i in whole] == sorted({i["number"] for i in whole})
    for message in whole:
        x0, y0, x1, y1 = message["box"]
        ground = pixels[y0 + 12, (x0 + x1) // 2]
        colour = (149, 236, 105) if message["side"] == "right" else (255, 255, 255)
        assert tuple(ground) == colour
        assert tuple(pixels[y0 - 3, (x0 + x1) // 2]) == (237, 237, 237)
        assert (pixels[y0:y1, x0:x1].max(-1) < 128).any()  # dark letters
