"""What a caller's room, microphone and telephone line do to a voice."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray

from modalities import torchaudio_cpu
from modalities.voice.stream import SAMPLE_RATE_HZ

torchaudio_cpu.install()

import torchaudio.functional as AF  # noqa: E402

Samples = NDArray[np.float32]
Change = Callable[[Samples, np.random.Generator], Samples]

# (share of the copies, FFmpeg's codec, rate in Hz, bit/s): G.711, GSM as its successor AMR at GSM's
# own rate, and Opus as the messengers use it. The rest is sent over no line.
LINES = (
    (0.45, "pcm_mulaw", 8_000, None),
    (0.10, "libopencore_amrnb", 8_000, 12_200),
    (0.15, "libopus", 16_000, 12_000),
)
SNR_DB = 0.0, 20.0
GAIN_DB = -30.0, 6.0  # of what peaks at full scale: some microphones clip, some hardly hear
ROOM, NOISE, HUM = 0.25, 0.65, 0.15  # shares of the copies


def drawn(wave: Samples, rng: np.random.Generator) -> Samples:
    """Draw a mix of what can befall a voice and do it to (n,) samples at 16 kHz; n stays."""
    wave = wave / max(float(np.abs(wave).max()), 1e-4)
    if rng.random() < ROOM:
        wave = room(wave, rng)
    if rng.random() < NOISE:
        wave = noise(wave, rng, rng.uniform(*SNR_DB))
    if rng.random() < HUM:
        wave = hum(wave, rng)
    wave = (wave * 10 ** (rng.uniform(*GAIN_DB) / 20)).clip(-1, 1).astype(np.float32)
    left = rng.random()
    for share, codec, rate_hz, bit_rate in LINES:
        left -= share
        if left < 0:
            return sent(wave, codec, rate_hz, bit_rate)
    return wave


def noise(wave: Samples, rng: np.random.Generator, snr_db: float) -> Samples:
    """Add noise of a random colour, from white to brown (power ~ 1/f^0…2)."""
    n = 1 << (len(wave) - 1).bit_length()  # other lengths are many times slower
    spectrum = np.fft.rfft(rng.standard_normal(n))
    made = np.fft.irfft(spectrum * np.arange(1, len(spectrum) + 1) ** -rng.random())[: len(wave)]
    return _added(wave, made, snr_db)


def hum(wave: Samples, rng: np.random.Generator) -> Samples:
    """Add the mains' hum with some harmonics, 10 to 30 dB below the voice."""
    hz, t = rng.choice([50.0, 60.0]), np.arange(len(wave)) / SAMPLE_RATE_HZ
    tones = [
        rng.uniform(0.1, 1.0) * np.sin(2 * np.pi * (hz * k * t + rng.random())) for k in range(1, 6)
    ]
    return _added(wave, np.sum(tones, 0), rng.uniform(10, 30))


def room(wave: Samples, rng: np.random.Generator) -> Samples:
    """Let the voice sound in a room: noise that dies away by 60 dB within 0.15 to 0.6 s, under the
    direct sound by 0 to 10 dB."""
    n = round(rng.uniform(0.15, 0.6) * SAMPLE_RATE_HZ)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail *= 10 ** (-rng.uniform(0, 10) / 20) / np.sqrt(np.square(tail).sum())
    tail[0] = 1.0
    heard = AF.fftconvolve(torch.from_numpy(wave), torch.from_numpy(tail.astype(np.float32)))
    return heard[: len(wave)].numpy()


def _added(wave: Samples, other: NDArray[np.float64], snr_db: float) -> Samples:
    noisy: Samples = AF.add_noise(
        torch.from_numpy(wave),
        torch.from_numpy(other.astype(np.float32)),
        torch.tensor(snr_db, dtype=torch.float32),
    ).numpy()
    return noisy


def sent(wave: Samples, codec: str, rate_hz: int, bit_rate: int | None = None) -> Samples:
    """Encode and decode again, as long as before and with the codec's delay taken out."""
    encoder, decoder = _codecs(codec, rate_hz, bit_rate)
    to_line = av.AudioResampler(encoder.format, "mono", rate_hz, encoder.frame_size or None)
    from_line = av.AudioResampler("flt", "mono", SAMPLE_RATE_HZ)
    padded = np.pad(wave, (0, SAMPLE_RATE_HZ // 10))  # what is in the codec's delay comes out
    frame = av.AudioFrame.from_ndarray(padded[None], "flt", "mono")
    frame.sample_rate = SAMPLE_RATE_HZ
    resampled: list[Any] = [*to_line.resample(frame), *to_line.resample(None)]
    parts: list[Samples] = []
    for part in resampled:
        part.pts = None
        for packet in encoder.encode(part):
            for heard in decoder.decode(packet):
                heard.pts = None
                parts += [one.to_ndarray()[0] for one in from_line.resample(heard)]
    parts += [one.to_ndarray()[0] for one in from_line.resample(None)]
    found = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    found = found[DELAYS[codec] :][: len(wave)]
    return np.pad(found, (0, len(wave) - len(found))).astype(np.float32)


DELAYS = {"pcm_mulaw": 0, "libopencore_amrnb": 80, "libopus": 0}  # samples at 16 kHz


def _codecs(codec: str, rate_hz: int, bit_rate: int | None) -> tuple[Any, Any]:
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout = rate_hz, "mono"
    encoder.format = _formats(codec)[0]
    if bit_rate:
        encoder.bit_rate = bit_rate
    if codec == "libopus":
        encoder.options = {"compression_level": "2"}
    encoder.open()
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = rate_hz, "mono"
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    return encoder, decoder


@functools.cache
def _formats(codec: str) -> list[str]:
    found = av.codec.Codec(codec, "w").audio_formats or []
    return [one.name for one in found]
