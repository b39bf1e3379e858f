"""Make `recording.ogg`: an angry complaint, spoken by espeak-ng (`apt-get install espeak-ng`).

The sentence and the recording are this project's own; the recording is dedicated to the public
domain (CC0 1.0). Run it again only to change the sentence: the result is checked in.
"""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import av

SENTENCE = (
    "This is the third time I am calling! Nobody helps me, the delivery is two weeks late, "
    "and you charged me twice. I am furious. I want my money back right now!"
)
OUT = Path(__file__).with_name("recording.ogg")


def main() -> None:
    voice = ["-v", "en-us", "-s", "185", "-p", "72", "-a", "180"]  # fast, high and loud
    spoken = subprocess.run(
        ["espeak-ng", *voice, "--stdout", SENTENCE], check=True, capture_output=True
    ).stdout
    with av.open(io.BytesIO(spoken)) as source, av.open(str(OUT), "w", format="ogg") as target:
        stream = target.add_stream("libopus", rate=16_000, layout="mono", bit_rate=32_000)
        resampler = av.AudioResampler("s16", "mono", 16_000)
        for frame in source.decode(audio=0):
            for part in resampler.resample(frame):
                target.mux(stream.encode(part))
        for part in resampler.resample(None):
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))


if __name__ == "__main__":
    main()
