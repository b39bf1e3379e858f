"""One recording: roles, whose emotion is scored, and files that are broken in every way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import recorded_media as calls
from server_process import in_process

from modalities.errors import InputError
from server.analysis import Role
from server.calls.recorded import CallOptions, RecordedCall, score
from server.models import Models
from server.pipeline import Pipeline
from server.settings import Settings

BOTH = CallOptions((Role.CUSTOMER, Role.AGENT))


def scored(
    loaded: Models, path: Path, options: CallOptions = BOTH, settings: Settings | None = None
) -> RecordedCall:
    return in_process(
        loaded, lambda pipeline: score(path, pipeline, options, lambda _: None), settings
    )


def test_turns_roles_and_loudness(loaded: Models, tmp_path: Path) -> None:
    path, heard = calls.write(tmp_path / "call.wav", calls.stereo()), []
    call = in_process(loaded, lambda pipeline: score(path, pipeline, BOTH, heard.append))
    assert [(one.channel, one.role) for one in call.utterances] == [
        (0, Role.CUSTOMER),
        (1, Role.AGENT),
        (0, Role.CUSTOMER),
    ]
    assert [one.start_s for one in call.utterances] == pytest.approx([1.0, 5.0, 9.0], abs=0.25)
    assert sum(heard) == pytest.approx(2 * 13.0, abs=0.01)
    assert call.codec == "pcm_mulaw"
    assert call.summary.shape.duration_s == pytest.approx(13.0, abs=0.01)
    assert call.loudness_dbfs.shape == (2, 13)
    assert call.loudness_dbfs.dtype == np.float32
    assert (call.loudness_dbfs[0, 1:4] > call.loudness_dbfs[0, 5:8] + 20).all()
    assert len(call.summary.customer_scores) == 2
    assert call.summary.shape.channels[1].talk_s > 2


def test_utterances_are_listed_by_their_start(loaded: Models, tmp_path: Path) -> None:
    samples = calls.talk(2, [(0, 1.0), (0, 3.5), (1, 3.0)], 8.0)
    samples[1, int(4.0 * calls.RATE_HZ) :] = 0  # a word while the other one speaks
    call = scored(loaded, calls.write(tmp_path / "call.wav", samples))
    assert [one.index for one in call.utterances] == [1, 0]
    assert [one.channel for one in call.utterances] == [0, 1]
    starts_s = [one.start_s for one in call.utterances]
    assert starts_s == sorted(starts_s)


def test_an_agent_is_not_scored_unless_it_is_set(loaded: Models, tmp_path: Path) -> None:
    path = calls.write(tmp_path / "call.wav", calls.stereo())
    agent = scored(loaded, path).utterances[1]
    assert agent.fused is None
    assert "agent" in agent.not_scored
    agent = scored(loaded, path, settings=Settings(score_agents=True)).utterances[1]
    assert agent.fused is not None


@pytest.mark.parametrize(
    ("options", "role", "is_scored"),
    [
        (BOTH, None, False),
        (CallOptions(score_unknown_roles=True), None, True),
        (CallOptions(single_speaker=Role.CUSTOMER), Role.CUSTOMER, True),
        (CallOptions(single_speaker=Role.AGENT), Role.AGENT, False),
    ],
)
def test_one_channel(
    loaded: Models, tmp_path: Path, options: CallOptions, role: Role | None, is_scored: bool
) -> None:
    path = calls.write(tmp_path / "call.wav", calls.talk(1, [(0, 0.5)], 4.5))
    call = scored(loaded, path, options)
    (one,) = call.utterances
    assert one.role is role
    assert (one.fused is not None) == is_scored
    assert bool(one.not_scored) == (not is_scored)
    assert bool(call.summary.notes) == (not is_scored)


def test_six_channels_need_six_roles(loaded: Models, tmp_path: Path) -> None:
    path = calls.write(tmp_path / "call.wav", calls.talk(6, [(4, 0.5)], 4.5))
    for options in (BOTH, CallOptions()):
        with pytest.raises(InputError, match="6 channels"):
            scored(loaded, path, options)
    roles = (None, None, None, None, Role.CUSTOMER, None)
    (one,) = scored(loaded, path, CallOptions(roles)).utterances
    assert (one.channel, one.role) == (4, Role.CUSTOMER)


def test_two_channels_of_nobody_known(loaded: Models, tmp_path: Path) -> None:
    path = calls.write(tmp_path / "call.wav", calls.stereo())
    call = scored(loaded, path, CallOptions())
    assert {one.role for one in call.utterances} == {None}
    assert not call.summary.customer_scores


def test_roles_of_one_channel_are_the_single_speaker() -> None:
    with pytest.raises(InputError, match="single_speaker"):
        CallOptions((Role.CUSTOMER,))


def test_what_is_no_call(loaded: Models, tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.wav", tmp_path / "text.wav"
    empty.touch()
    text.write_text("hello")
    header = calls.write(tmp_path / "header.wav", calls.stereo())
    header.write_bytes(header.read_bytes()[:100])
    for path, reason in (
        (empty, "empty"),
        (text, "damaged or in no known format"),
        (calls.picture(tmp_path / "film.mp4"), "no audio stream"),
        (calls.without_channels(tmp_path / "none.wav"), "no sound"),
        (header, "no sound"),
    ):
        with pytest.raises(InputError, match=reason):
            scored(loaded, path)
    with pytest.raises(FileNotFoundError):
        scored(loaded, tmp_path / "gone.wav")


def test_a_recording_that_is_cut_short(loaded: Models, tmp_path: Path) -> None:
    path = calls.write(tmp_path / "call.wav", calls.stereo())
    path.write_bytes(path.read_bytes()[: 8 * 2 * calls.RATE_HZ])
    call = scored(loaded, path)
    assert call.summary.shape.duration_s == pytest.approx(8.0, abs=0.1)
    assert any("cut short" in note for note in call.summary.notes)


def test_a_corrupted_middle_is_read_over(loaded: Models, tmp_path: Path) -> None:
    path = calls.spoilt(calls.write(tmp_path / "call.mp3", calls.stereo(), "libmp3lame"))
    call = scored(loaded, path)
    assert any("packets could not be decoded" in note for note in call.summary.notes)
    first, *_, last = call.utterances
    assert first.start_s == pytest.approx(1.0, abs=0.3)
    assert last.end_s > 8.0  # of what comes after the spoilt stretch


def test_given_up_in_the_middle(loaded: Models, tmp_path: Path) -> None:
    path = calls.write(tmp_path / "call.wav", np.tile(calls.stereo(), 20))

    async def work(pipeline: Pipeline) -> set[asyncio.Task[object]]:
        begun = asyncio.Event()
        task = asyncio.create_task(score(path, pipeline, BOTH, lambda _: begun.set()))
        before = asyncio.all_tasks() - {task}
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return asyncio.all_tasks() - before

    assert not in_process(loaded, work)
