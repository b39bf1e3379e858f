"""Who is heard after whom, whatever comes to be known first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
import server_media as media

from modalities.reading import EMOTIONS, Quality
from modalities.voice.prepare import Segment, decode
from modalities.voice.speaker import Sound, Speaker
from server.models import Models
from server.speakers import Standing, in_turn
from training.rows import load, read_bytes
from training.voice import speech_of

SOUND = Sound(np.ones(4, np.float32), np.ones(4, np.float32), Quality())


async def known(standing: Standing) -> int:
    return (await asyncio.wait_for(standing.before(), 5)).n_heard


def test_each_waits_for_those_before_it() -> None:
    async def work() -> None:
        first = Standing()
        second = Standing(first)
        waiting, last = (asyncio.create_task(known(one)) for one in (second, Standing(second)))
        await asyncio.sleep(0.01)
        assert not waiting.done() and not last.done()
        assert await known(first) == 0
        first.tell(Speaker().after(SOUND))
        assert await waiting == 1 and not last.done()
        second.tell(Speaker().after(SOUND).after(SOUND))
        assert await last == 2

    asyncio.run(work())


def test_what_tells_nothing_is_passed_over() -> None:
    async def work() -> None:
        first = Standing()
        silent = Standing(first)
        also_silent = Standing(silent)
        last = Standing(also_silent)
        also_silent.close()
        silent.close()
        waiting = asyncio.create_task(known(last))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        first.tell(Speaker().after(SOUND))
        first.close()  # only the first time counts
        assert await waiting == 1
        nobody = Standing()
        nobody.close()
        assert await known(Standing(nobody)) == 0

    asyncio.run(work())


def test_a_wait_that_is_given_up_holds_nobody_up() -> None:
    async def work() -> None:
        first = Standing()
        impatient = asyncio.create_task(Standing(first).before())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        first.tell(Speaker().after(SOUND))
        assert await known(Standing(first)) == 1

    asyncio.run(work())


@pytest.fixture(scope="module")
def stretches() -> list[Segment]:
    samples = decode(media.recording(), max_duration_s=60).samples
    return [
        Segment(samples[start : start + 24_000], start / 16_000, start / 16_000 + 1.5, 30.0)
        for start in range(0, 72_000, 24_000)
    ]


def test_the_first_is_read_by_itself_and_a_later_one_after_it(
    loaded: Models, stretches: Sequence[Segment]
) -> None:
    assert loaded.voice is not None
    alone = loaded.voice.infer(stretches)
    read = in_turn(alone, loaded.voice)
    shares = [one.reading.speaker_known for one in read]
    assert shares == pytest.approx([0, 1 / 4, 2 / 5])
    np.testing.assert_allclose(
        read[0].reading.log_emotions, alone[0].reading.log_emotions, atol=1e-6
    )
    assert not np.allclose(read[1].reading.log_emotions, alone[1].reading.log_emotions, atol=1e-3)


@pytest.mark.usefixtures("data")
def test_who_is_furious_throughout_stays_furious(loaded: Models) -> None:
    """Calls composed of angry clips of one speaker each, whom the weights did not hear."""
    assert loaded.voice is not None
    angry = [row for row in load("voice", "ravdess", "dev") if row.emotion == "angry"]
    alone, after = [], []
    for speaker in sorted({row.speaker for row in angry}):
        clips = [row for row in angry if row.speaker == speaker][:8]
        waves = [decode(read_bytes(row.content), max_duration_s=60).samples for row in clips]
        results = loaded.voice.infer([speech_of(wave) for wave in waves])
        after_others = in_turn(results, loaded.voice)
        alone += [one.emotion.log_emotions for one in results[1:] if one.emotion]
        after += [one.emotion.log_emotions for one in after_others[1:] if one.emotion]
    place = EMOTIONS.index("angry")
    was, stays = (np.mean(np.argmax(said, axis=1) == place) for said in (alone, after))
    assert was > 0.5 and stays > was - 0.1
