"""Content that the server's tests send: the project's examples, and bytes made on the spot."""

from __future__ import annotations

import functools
import io
import wave
import zipfile
import zlib
from pathlib import Path

import av
import numpy as np
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest, AnalyzeEmotionResponse
from emotion.v1.types_pb2 import Audio, Image, ModalityResult, Text
from PIL import Image as Picture
from PIL import ImageDraw

from modalities.voice.prepare import decode
from training.data import data_dir

EXAMPLES = Path(__file__).parents[2] / "examples"
SENTENCE = "我已经等了三天了，你们的服务太差了，我要投诉！"
RATE_HZ = 16_000


def recording() -> bytes:
    """A few seconds of speech."""
    return next(EXAMPLES.glob("recording.*")).read_bytes()


def screenshot() -> bytes:
    """A chat with two sides, in Chinese."""
    return (EXAMPLES / "screenshot.png").read_bytes()


def wav(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


def truncated_recording() -> bytes:
    """A WAV of the recording that ends in the middle of what its header promises."""
    whole = wav(decode(recording(), max_duration_s=60).samples)
    return whole[: len(whole) // 2]


def silence(seconds: float) -> bytes:
    return wav(np.zeros(int(seconds * RATE_HZ)))


def noise(seconds: float) -> bytes:
    return wav(np.random.default_rng(7).normal(0, 0.05, int(seconds * RATE_HZ)).clip(-1, 1))


@functools.cache
def long_silence(seconds: int) -> bytes:
    """Hours of sound in a small file."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 80_000), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        for index in range(seconds // 10):
            frame.pts = index * 80_000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def encode(picture: Picture.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def photo(width: int = 120, height: int = 120, mode: str = "RGB") -> Picture.Image:
    """A picture without any text: a drawn sad face on a shaded ground."""
    picture = Picture.radial_gradient("L").resize((width, height)).convert("RGB")
    draw = ImageDraw.Draw(picture)

    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, ...]:
        return (left * width, top * height, right * width, bottom * height)

    draw.ellipse(box(0.15, 0.15, 0.85, 0.85), fill="gold", outline="black")
    for left in (0.3, 0.58):
        draw.ellipse(box(left, 0.35, left + 0.12, 0.47), fill="black")
    draw.arc(box(0.32, 0.58, 0.68, 0.85), 200, 340, fill="black", width=2)
    return picture.convert(mode)


def portrait(mode: str = "RGB") -> Picture.Image:
    """A face of FER2013's on a plain ground, 100 pixels wide."""
    with zipfile.ZipFile(data_dir() / "faces" / "fer2013_48x48.zip") as archive:
        file = archive.read("validation/sad/PublicTest_38870662.jpg")
    picture = Picture.new("RGB", (100, 100), (180, 200, 190))
    picture.paste(Picture.open(io.BytesIO(file)).resize((72, 72)), (14, 14))
    return picture.convert(mode)


def animated_gif() -> bytes:
    frames = [portrait(), portrait().rotate(90), portrait().rotate(180)]
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:])


def bomb() -> bytes:
    """A PNG of a few kilobytes whose header states 3.6 gigapixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + kind + body + checksum

    side = (60_000).to_bytes(4, "big")
    header = side + side + bytes([8, 0, 0, 0, 0])
    body = zlib.compress(bytes(1_000_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def request(
    text: str | None = None, audio: bytes | None = None, *images: bytes
) -> AnalyzeEmotionRequest:
    return AnalyzeEmotionRequest(
        text=None if text is None else Text(content=text),
        audio=None if audio is None else Audio(content=audio),
        images=[Image(content=image) for image in images],
    )


def states(response: AnalyzeEmotionResponse) -> list[str]:
    """Of text, voice and image."""
    return [ModalityResult.State.Name(result.state) for result in response.modalities]
