"""What goes along with a conversation: a real server with a store and alerts, and its books."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
import server_media as media
from emotion.v1.alert_service_pb2 import ListAlertsRequest
from emotion.v1.alert_service_pb2_grpc import AlertServiceStub
from emotion.v1.call_pb2 import StreamCallConfig, StreamCallRequest
from emotion.v1.conversation_pb2 import Message
from emotion.v1.emotion_service_pb2 import AnalyzeConversationRequest, AnalyzeEmotionRequest
from emotion.v1.types_pb2 import AGENT, CUSTOMER, Context, Text
from google.protobuf.duration_pb2 import Duration
from server_process import Server, in_process, start

from modalities.errors import OverloadedError
from server.follow import Followers
from server.models import Models
from server.pipeline import Pipeline
from server.settings import Settings
from server.store.archive import Archive
from server.store.key import make_key, read_key
from server.store.reproduce import reproduce
from server.store.store import Store

ANGRY = "你们怎么回事,退款三周了还没到账,我要投诉!"


def emotion_request(content: str, **context: str) -> AnalyzeEmotionRequest:
    return AnalyzeEmotionRequest(text=Text(content=content), context=Context(**context))


def rules_of(response: object) -> set[str]:
    return {advice.rule for advice in response.advice}  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("followed")


@pytest.fixture(scope="module")
def stored(folder: Path) -> Server:
    """A server with a store and alerts; `ended` stops it."""
    make_key(folder / "scores.db.key")
    options = ("--set", f"store={folder / 'scores.db'}", "--set", f"alerts={folder / 'alerts'}")
    return start(folder / "log", *options)


def test_advice_comes_with_the_facts_and_in_the_callers_language(loaded: Models) -> None:
    async def ask(pipeline: Pipeline) -> list[object]:
        asked = [
            emotion_request(ANGRY),
            emotion_request(ANGRY, language="en-GB"),
            emotion_request("the parcel came today"),
        ]
        return [await pipeline.analyze(one) for one in asked]

    chinese, english, calm = in_process(loaded, ask)
    assert rules_of(chinese) >= {"threat-to-sue-or-go-public", "acknowledge-first-anger"}
    assert rules_of(english) == rules_of(chinese) and not rules_of(calm)
    first, *others = chinese.advice
    assert all(first.priority >= other.priority for other in others)
    assert (first.language, english.advice[0].language) == ("zh", "en")
    assert first.text != english.advice[0].text
    assert first.facts["score"] == pytest.approx(chinese.fused.score, abs=1e-6)
    assert len(first.book_revision) == 12 and not first.HasField("offset")


def test_a_conversations_advice_says_at_which_message(loaded: Models) -> None:
    said = (("你好，我要退货", CUSTOMER), ("请稍等", AGENT), (ANGRY, CUSTOMER))
    request = AnalyzeConversationRequest(
        messages=[
            Message(role=role, text=Text(content=text), offset=Duration(seconds=20 * index))
            for index, (text, role) in enumerate(said)
        ]
    )
    response = in_process(loaded, lambda pipeline: pipeline.analyze_conversation(request))
    fired = {advice.rule: advice.index for advice in response.advice}
    assert fired["threat-to-sue-or-go-public"] == 2


def test_what_a_server_answers_is_in_its_store(
    stored: Server, folder: Path, loaded: Models
) -> None:
    context = {"customer_id": "c-17", "channel": "phone", "conversation_id": "call 1"}
    one = stored.emotion.AnalyzeEmotion(emotion_request(ANGRY, **context))
    config = StreamCallConfig(
        context=Context(**context),
        encoding=StreamCallConfig.OGG_OPUS,
        channel_roles=[CUSTOMER],
        request_id="a-call",
    )
    requests = [
        StreamCallRequest(config=config),
        StreamCallRequest(message=Message(role=CUSTOMER, text=Text(content=ANGRY))),
        StreamCallRequest(audio=media.recording()),
    ]
    events = list(stored.emotion.StreamCall(iter(requests)))
    kinds = [event.WhichOneof("event") for event in events]
    at = kinds.index("message")
    advice = [event.advice for event in events if event.HasField("advice")]
    assert kinds[at + 1] == "advice" and "threat-to-sue-or-go-public" in {a.rule for a in advice}

    assert AlertServiceStub(stored.channel).ListAlerts(ListAlertsRequest()).alerts == []
    stored.channel.close()
    assert stored.stop() == 0  # and what was queued is written
    archive = Archive(str(folder / "scores.db"))
    (text,) = archive.find(one.request_id)
    assert text.ended_at is not None and text.info.channel == "phone"
    assert text.info.customer_id not in ("", "c-17")
    assert [a.rule for a in text.moments[0].advice] == [a.rule for a in one.advice]
    assert text.versions["fusion"] == loaded.fusion.revision
    (fused,) = reproduce(text, loaded.fusion)
    assert fused is not None and fused.sources[0].share == pytest.approx(one.sources[0].share)

    (call,) = archive.find("a-call")
    finals = [e.utterance for e in events if e.HasField("utterance") and e.utterance.is_final]
    heard = {moment.index: moment for moment in call.moments if moment.end_s is not None}
    assert len(heard) == len(finals) and len(call.moments) == len(finals) + 1
    for utterance in finals:
        moment = heard[utterance.index]
        scored = utterance.HasField("estimate")
        assert (moment.score is not None) == scored
        assert not scored or moment.score == pytest.approx(utterance.estimate.score, abs=1e-6)
    archive.close()
    assert ANGRY not in (folder / "log").read_text() and "c-17" not in (folder / "log").read_text()


def test_a_full_store_refuses_before_anything_is_scored(tmp_path: Path, loaded: Models) -> None:
    make_key(tmp_path / "key")
    file = tmp_path / "scores.db"
    store = Store.open(str(file), key=read_key(tmp_path / "key"), max_queued=1)

    async def ask() -> None:
        async with Pipeline(loaded, Settings(), Followers(store=store)) as pipeline:
            await pipeline.analyze(emotion_request("hello"))
            with pytest.raises(OverloadedError):
                await pipeline.analyze(emotion_request("hello again"))

    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    asyncio.run(ask())
    other.execute("ROLLBACK")
    other.close()
    store.close()
    archive = Archive(str(file))
    assert len(list(archive.conversations())) == 1
    archive.close()
