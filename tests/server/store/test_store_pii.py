"""Lines with personal data go through the real pipeline, the rules and the store, and leave nothing
of it in the store's files or in the logs."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
import server_media as media
import store_data as made
from databases import url_of
from emotion.v1.conversation_pb2 import Message
from emotion.v1.emotion_service_pb2 import AnalyzeConversationRequest
from emotion.v1.types_pb2 import Audio, Context, Role, Text

from bench.pii import lines
from bench.pii_templates import REPORTED
from server.analysis import SpokenWord
from server.follow import Followers
from server.logs import JsonFormatter
from server.models import Models
from server.pipeline import Pipeline
from server.settings import Settings
from server.store.archive import Archive
from server.store.store import Store

N_LINES = 60


@pytest.mark.parametrize("keep_content", [False, True])
def test_nothing_of_it_is_in_store_or_logs(
    loaded: Models, tmp_path: Path, caplog: pytest.LogCaptureFixture, keep_content: bool
) -> None:
    told = [line for line in lines(6 * N_LINES, 77, REPORTED) if line.spans][:N_LINES]
    secrets = [line.text[s.start : s.end] for line in told for s in line.spans]
    assert len(secrets) > N_LINES
    request = AnalyzeConversationRequest(
        messages=[Message(role=Role.CUSTOMER, text=Text(content=line.text)) for line in told]
        + [Message(role=Role.CUSTOMER, audio=Audio(content=media.recording()))],
        context=Context(customer_id=secrets[0], agent_id=secrets[1], tags=["phones"]),
    )
    store = made.open_store(tmp_path / "s.db", keep_content=keep_content)
    with caplog.at_level(logging.DEBUG):
        asyncio.run(answer(loaded, request, store))
        assert store.flush()
        archive = Archive(url_of(tmp_path / "s.db"))
        (stored,) = archive.conversations()
        kept = store.content(stored.key, 0) if keep_content else {}
        store.close()
        archive.close()
    assert len(stored.moments) == N_LINES + 1
    assert bool(kept) == keep_content
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    logged = "\n".join(JsonFormatter().format(record) for record in caplog.records) + caplog.text
    for secret in secrets:
        # The file has non-ASCII text of JSON columns as escapes.
        for form in (secret.encode(), secret.encode("unicode_escape").replace(b"\\x", b"\\u00")):
            assert form not in files, secret
        assert secret not in logged


async def answer(loaded: Models, request: AnalyzeConversationRequest, store: Store) -> None:
    async with Pipeline(loaded, Settings(), Followers(store=store)) as pipeline:
        await pipeline.analyze_conversation(request)


def test_muted_sound_is_what_is_kept_of_a_recording(tmp_path: Path) -> None:
    """A call's utterance with words that are placed in time, and one with none."""
    from dataclasses import replace

    import numpy as np

    from modalities.reading import Source
    from modalities.voice.prepare import decode
    from server.calls.events import CallState
    from server.calls.shape import shape

    sound = np.full(3 * 16_000, 0.25, np.float32)
    text = "call 13812345678 please"
    (moment,) = made.moments(made.pool(), [text])
    content = {Source.VOICE: sound.tobytes(), Source.TRANSCRIPT: text.encode()}
    state = CallState(3.0, None, None, None, shape([], [], 3.0))
    moment = replace(moment, content=content, state=state)
    words = [SpokenWord(word, float(at), at + 1.0) for at, word in enumerate(text.split())]
    store = made.open_store(tmp_path / "s.db", keep_content=True)
    key = store.begin(made.info(), {})
    store.add(key, 0, replace(moment, spoken=words), {}, [], {})
    store.add(key, 1, moment, {}, [], {})
    assert store.flush()
    first, second = store.content(key, 0), store.content(key, 1)
    store.close()
    assert first[Source.TRANSCRIPT] == second[Source.TRANSCRIPT] == b"call [PHONE] please"
    heard = decode(first[Source.VOICE], max_duration_s=10).samples
    assert not heard[16_000:32_000].any() and heard[:12_000].all() and heard[40_000:].all()
    assert Source.VOICE not in second
