"""Sound is kept without the words that identify a person, pictures without their metadata."""

from __future__ import annotations

import io

import numpy as np
import server_media as media
from PIL import Image

from modalities.voice.prepare import decode
from server.analysis import SpokenWord
from server.privacy.media import MARGIN_S, mute, speech_to_keep, without_metadata

RATE_HZ = 16_000


def spoken(*words: str) -> list[SpokenWord]:
    """A second each."""
    return [SpokenWord(word, float(at), at + 1.0) for at, word in enumerate(words)]


def tone(seconds: int) -> np.ndarray:
    return (0.3 * np.sin(np.arange(seconds * RATE_HZ) / 5)).astype(np.float32)


def heard_s(samples: np.ndarray) -> list[int]:
    """The whole seconds in whose middle there is sound."""
    middles = samples.reshape(-1, RATE_HZ)[:, RATE_HZ // 4 : -RATE_HZ // 4]
    return [at for at, middle in enumerate(middles) if np.abs(middle).max() > 0.01]


def test_words_of_a_number_are_muted_and_no_others() -> None:
    for words in (
        spoken("my", "number", "is", "212-555", "0123", "thank", "you"),
        spoken("我的", "手机", "是", "138", "12345678", "谢谢", "您"),
        spoken("我的", "手机", "是", "一三八", "一二三四五六七八", "谢谢", "您"),
    ):
        muted, n_places = mute(tone(7), words)
        assert n_places == 1
        assert heard_s(muted) == [0, 1, 2, 5, 6]
        edge = round((3 - MARGIN_S) * RATE_HZ)
        assert muted[edge - 2] != 0 and not muted[edge : 3 * RATE_HZ].any()


def test_what_is_kept_is_the_sound_but_for_what_is_muted() -> None:
    words = spoken("mail", "me", "at", "lee.chan@gmail.com", "please")
    kept = speech_to_keep(tone(5), "mail me at lee.chan@gmail.com please", words)
    assert kept is not None and kept[:4] == b"fLaC"
    back = decode(kept, max_duration_s=10).samples
    assert heard_s(back) == [0, 1, 2, 4]
    assert np.abs(back[: 2 * RATE_HZ] - tone(2)).max() < 1e-3


def test_sound_whose_words_have_no_offsets_is_not_kept_where_they_identify_a_person() -> None:
    assert speech_to_keep(tone(2), "my number is 212-555-0123") is None
    # Offsets that do not cover all that was transcribed are none.
    assert speech_to_keep(tone(2), "my number is 212-555-0123", spoken("my", "number")) is None
    assert speech_to_keep(tone(2), "thank you very much") is not None
    assert speech_to_keep(tone(2), "") is not None  # nobody knows what is said


def test_pictures_lose_their_place_and_keep_their_pixels() -> None:
    picture = media.photo(64, 48)
    exif = Image.Exif()
    exif[0x010E] = "13812345678"
    exif[0x0112] = 6  # lies on its side
    content = media.encode(picture, "PNG", exif=exif)
    assert b"13812345678" in content
    kept = without_metadata(content)
    assert kept is not None and b"13812345678" not in kept
    with Image.open(io.BytesIO(kept)) as again:
        assert again.size == (48, 64)
        assert dict(again.getexif()) == {}
        assert (np.asarray(again) == np.asarray(picture.rotate(-90, expand=True))).all()
    assert without_metadata(b"no picture") is None
