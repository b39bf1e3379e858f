"""Lines with personal data go through the real pipeline, the rules and the store, and leave nothing
of it in the store's files or in the logs."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
import server_media as media
import store_data as made
from emotion.v1.conversation_pb2 import Message
from emotion.v1.emotion_service_pb2 import AnalyzeConversationRequest
from emotion.v1.types_pb2 import Audio, Context, Role, Text
from server_process import in_process

from bench.pii import lines
from bench.pii_templates import REPORTED
from server.analysis import SpokenWord
from server.checks import call_of, conversation_contents
from server.course import whole
from server.logs import JsonFormatter
from server.models import Models
from server.moments import ConversationInfo
from server.pipeline import Pipeline
from server.settings import Settings
from server.store.archive import Archive
from server.strategy.advise import Advisor
from server.strategy.book import Book
from server.strategy.facts import Tracker

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
        in_process(loaded, lambda pipeline: follow(pipeline, request, store))
        assert store.flush()
        archive = Archive(str(tmp_path / "s.db"))
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


async def follow(pipeline: Pipeline, request: AnalyzeConversationRequest, store: object) -> None:
    """As the server does."""
    call = call_of(request, None)
    contents = conversation_contents(request, Settings())
    context, book = request.context, Book.default()
    info = ConversationInfo(
        call.request_id, "AnalyzeConversation", datetime.now(UTC), context.conversation_id,
        context.customer_id, context.agent_id, context.channel, context.language,
        tuple(context.tags),
    )  # fmt: skip
    tracker, advisor = Tracker(info), Advisor(book)
    key = store.begin(info, {"rules": book.revision})  # type: ignore[attr-defined]
    for number, content in enumerate(contents):
        moment = whole(number, content, await pipeline.analyze_content(content, call))
        facts = tracker.facts(moment)
        advice = advisor.advise(number, facts)
        store.add(key, number, moment, facts, advice, advisor.not_evaluable)  # type: ignore[attr-defined]
    store.end(key, None)  # type: ignore[attr-defined]


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
    store.add(key, 0, moment, {}, [], {}, words)
    store.add(key, 1, moment, {}, [], {})
    assert store.flush()
    first, second = store.content(key, 0), store.content(key, 1)
    store.close()
    assert first[Source.TRANSCRIPT] == second[Source.TRANSCRIPT] == b"call [PHONE] please"
    heard = decode(first[Source.VOICE], max_duration_s=10).samples
    assert not heard[16_000:32_000].any() and heard[:12_000].all() and heard[40_000:].all()
    assert Source.VOICE not in second
