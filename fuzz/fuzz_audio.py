"""Coverage-guided fuzzing of recordings and of live chunks: `python fuzz/fuzz_audio.py CORPUS`.

Needs the extra `fuzz`. Whatever is not an InputError stops it, and the input lies in crash-*.
FFmpeg itself is not instrumented: what is guided is our own code around it.
"""

import sys
from contextlib import suppress
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["modalities"]):
    from modalities.errors import InputError
    from modalities.voice.chunks import chunk_decoder
    from modalities.voice.prepare import decode

ENCODINGS = ("LINEAR16", "MULAW", "ALAW", "OGG_OPUS", "OPUS")


def one(data: bytes) -> None:
    with suppress(InputError):
        decode(data, max_duration_s=10)
    fed = atheris.FuzzedDataProvider(data)
    encoding = fed.PickValueInList(list(ENCODINGS))
    rate_hz = 8_000 if encoding in ENCODINGS[:3] else 0
    with suppress(InputError):
        decoder = chunk_decoder(encoding, rate_hz, fed.ConsumeIntInRange(1, 2))
        while fed.remaining_bytes():
            decoder.feed(fed.ConsumeBytes(fed.ConsumeIntInRange(0, 2_000)))
        decoder.finish()


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
