"""How a person sounded so far: each utterance of a call is heard after those before it.

Which these are follows from the order of the call alone, never from when an answer came: an
utterance waits until it is known what those before it came to, so that a final one never changes,
and a stream and a recording of it agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from modalities.reading import Reading
from modalities.voice.infer import SegmentResult, VoiceReader
from modalities.voice.speaker import Speaker


class Standing:
    """Of an utterance among those of its speaker, after `earlier`. To be made in the order of the
    call; whoever comes next waits for `tell` or `close`."""

    def __init__(self, earlier: Standing | None = None) -> None:
        self._before = earlier._after if earlier else None
        self._after: asyncio.Future[Speaker] = asyncio.get_running_loop().create_future()

    async def before(self) -> Speaker:
        """Give what is known of the speaker once all earlier utterances are."""
        return Speaker() if self._before is None else await asyncio.shield(self._before)

    def tell(self, speaker: Speaker) -> None:
        """Say what is known after this utterance; only the first time counts."""
        if not self._after.done():
            self._after.set_result(speaker)
        self._before = None

    def close(self) -> None:
        """Say that this utterance tells nothing, if it told nothing yet."""
        if self._after.done():
            return
        if self._before is None:
            self.tell(Speaker())
        else:
            self._before.add_done_callback(lambda before: self.tell(before.result()))


async def heard_after(result: SegmentResult, reader: VoiceReader, standing: Standing) -> Reading:
    """Read an utterance after those before it, and say what is known once it was heard."""
    if result.sound is None:
        return result.reading
    speaker = await standing.before()
    standing.tell(speaker.after(result.sound))
    return _relative(result, reader, speaker)


def in_turn(results: Sequence[SegmentResult], reader: VoiceReader) -> list[SegmentResult]:
    """Read the utterances of one speaker, one after the other."""
    speaker, read = Speaker(), list[SegmentResult]()
    for result in results:
        if result.sound is not None:
            read.append(replace(result, emotion=_relative(result, reader, speaker)))
            speaker = speaker.after(result.sound)
        else:
            read.append(result)
    return read


def _relative(result: SegmentResult, reader: VoiceReader, speaker: Speaker) -> Reading:
    """Read an utterance after `speaker`; the first one was read by itself already."""
    if result.sound is None or not speaker.n_heard:
        return result.reading
    return reader.relative(result.sound, speaker)
