from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import weights
from modalities.voice.prepare import decode
from training.evaluation import judge, robustness
from training.rows import Row, labelled


@pytest.fixture
def tone() -> np.ndarray:
    t = np.arange(16_000) / 16_000
    return (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)


def heard(condition: str, samples: np.ndarray) -> np.ndarray:
    content = robustness.VOICE[condition](samples, random.Random(0))
    return decode(content, max_duration_s=10).samples


def level_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.square(samples).mean()))


@pytest.mark.parametrize("snr_db", [20, 10, 5])
def test_noise_has_the_stated_level(snr_db: int, tone: np.ndarray) -> None:
    noise = heard(f"SNR {snr_db} dB", tone) - tone
    assert level_db(tone) - level_db(noise) == pytest.approx(snr_db, abs=0.2)


def test_gain(tone: np.ndarray) -> None:
    assert level_db(heard("gain −20 dB", tone)) - level_db(tone) == pytest.approx(-20, abs=0.1)
    assert np.abs(heard("gain +20 dB", tone)).max() <= 1


def test_a_tenth_of_the_packets_is_lost(tone: np.ndarray) -> None:
    frames = heard("packet loss 10 %", np.tile(tone, 8)).reshape(-1, robustness.FRAME)
    assert 0.05 < (frames == 0).all(-1).mean() < 0.15


@pytest.mark.parametrize("condition", ["8 kHz μ-law", "MP3 16 kbit/s"])
def test_codecs_keep_the_tone_and_lose_what_is_above_them(condition: str, tone: np.ndarray) -> None:
    t = np.arange(len(tone)) / 16_000
    whistle = (0.3 * np.sin(2 * np.pi * 7500 * t)).astype(np.float32)
    power = np.abs(np.fft.rfft(heard(condition, tone + whistle)[:16_000])) ** 2
    assert abs(int(power.argmax()) - 440) <= 2
    assert power[7300:7700].sum() < 0.01 * power[340:540].sum()


def test_pictures() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (48, 40, 3), dtype=np.uint8)
    seen = {
        name: np.asarray(Image.open(io.BytesIO(change(Image.fromarray(pixels)))).convert("RGB"))
        for name, change in robustness.IMAGE.items()
    }
    assert (seen["dark mode"] == 255 - pixels).all()
    assert seen["scale 0.5"].shape == (24, 20, 3)
    assert seen["blur"].std() < 0.7 * pixels.std()
    assert seen["JPEG quality 20"].shape == pixels.shape


def test_texts() -> None:
    def said(condition: str, text: str) -> str:
        return robustness.TEXT[condition](text, random.Random(0))

    long = "".join(chr(0x4E00 + i) for i in range(2000))
    changed = said("typos 10 %", long)
    kept = {c for i, c in enumerate(changed) if c == long[i + 0 : i + 1]}
    assert 0.02 < 1 - len(changed) / len(long) < 0.08  # half of a tenth is lost
    assert len(kept) < len(long)
    assert said("emoji removed", "好的😀[哈哈]❤️!") == "好的!"
    assert said("emoji appended", "好")[:-1] == "好"
    assert len(said("words dropped 10 %", "word " * 1000).split()) == pytest.approx(900, abs=40)
    swapped = said("homophones", "在做的是" * 50)
    assert set(swapped) <= set("在再做作的得地是事")
    assert swapped != "在做的是" * 50


def test_a_condition_is_the_same_every_time(tmp_path: Path, sentences: list[Row]) -> None:
    first, second = (
        robustness.damage("text", "typos 10 %", sentences[1], 1, tmp_path) for _ in range(2)
    )
    assert first == second
    assert robustness.damage("text", "emoji removed", Row("", "😀", "", ""), 0, tmp_path).content


def test_embedded_weights_on_damaged_texts(sentences: list[Row]) -> None:
    path = weights.path_of("text")
    (clean,) = judge.judge_rows("text", sentences, path)
    found = robustness.robustness("text", clean, path)
    assert list(found) == ["clean", *robustness.TEXT]
    assert found["clean"]["difference"] == 0
    for figures in found.values():
        gap = figures["macro_f1"] - found["clean"]["macro_f1"]
        assert figures["difference"] == pytest.approx(gap)


def test_embedded_weights_on_damaged_sound(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.rows import load

    rows = load("voice", "urdu", "test")[::20]
    path = weights.path_of("voice")
    clean = judge.judge_rows("voice", rows, path)[0]
    some = {name: robustness.VOICE[name] for name in ("8 kHz μ-law", "SNR 5 dB")}
    monkeypatch.setitem(robustness.CONDITIONS, "voice", some)  # type: ignore[attr-defined]
    found = robustness.robustness("voice", clean, path)
    assert list(found) == ["clean", *some]
    assert all(0 <= figures["uar"] <= 1 for figures in found.values())


def test_damaged_rows_are_judged_by_the_head_of_the_clean_ones() -> None:
    said = {"I am so angry!": "anger", "What a happy day": "joy", "I cried all night": "sadness"}
    rows = labelled([Row("said", text, "test", label) for text, label in said.items()])
    path = weights.path_of("text")
    of_head = {result.head: result for result in judge.judge_rows("text", rows, path)}
    for result in of_head.values():
        found = robustness.robustness("text", result, path, conditions=["emoji removed"])
        assert found["emoji removed"] == found["clean"]  # there was none
    assert set(of_head) == {"emotion", "sentiment"}
