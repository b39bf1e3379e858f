"""Labels over the service's handlers, in a real store, and out again as a manifest."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from databases import url_of
from emotion.v1.feedback_service_pb2 import (
    CreateFeedbackRequest,
    Feedback,
    ListFeedbackRequest,
    ListReviewItemsRequest,
)

import weights
from fusion.pool import FusionPool
from modalities.errors import InputError
from modalities.reading import Quality, Reading, Source
from server.analysis import Role
from server.errors import NotFoundError, StateError
from server.feedback import review
from server.feedback.export import split_of, write_manifest
from server.feedback.labels import Labels
from server.feedback.service import FeedbackHandlers
from server.moments import ConversationInfo, Moment
from server.store.store import Store
from training import manifest

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SURE, UNSURE, OTHER = (0.96, 0.02, 0.02), (0.34, 0.33, 0.33), (0.02, 0.02, 0.96)


@pytest.fixture(scope="module")
def fusion() -> FusionPool:
    return FusionPool.load(weights.path_of("fusion"))


def open_store(path: Path, *, keep_content: bool = True) -> Store:
    return Store.open(url_of(path), key=bytes(32), keep_content=keep_content)


def reading(source: Source, p: tuple[float, float, float]) -> Reading:
    emotions = np.log(np.full(7, 1 / 7, np.float32))
    return Reading(source, np.log(np.float32(p)), emotions, np.zeros(4, np.float32), Quality())


def put(
    store: Store, fusion: FusionPool, number: int, text: str, **said: tuple[float, float, float]
) -> None:
    """A conversation of one message, whose sources say what `said` states."""
    readings = [reading(Source[name], p) for name, p in said.items()]
    (fused,) = fusion.infer([readings])
    content = {Source.TEXT: text.encode()}
    moment = Moment(0, Role.CUSTOMER, readings, fused, text, content=content)
    info = ConversationInfo(f"a-{number}", "AnalyzeEmotion", BEGAN + timedelta(minutes=number))
    key = store.begin(info, {"fusion": fusion.revision, "rules": ""})
    store.add(key, 0, moment, {"text": text}, [], {})
    store.end(key, None)


def handlers(store: Store | None, *, keep_content: bool = True) -> FeedbackHandlers:
    return FeedbackHandlers(store, keep_content=keep_content, max_characters=100)


def create(to: FeedbackHandlers, request_id: str, analysis: str, **label: object) -> Feedback:
    feedback = Feedback(analysis_request_id=analysis, **label)
    request = CreateFeedbackRequest(feedback=feedback, request_id=request_id)
    return asyncio.run(to.create_feedback(request, None))


def test_a_label_is_kept_once_and_of_what_is_known_only(tmp_path: Path, fusion: FusionPool) -> None:
    store = open_store(tmp_path / "store.db")
    put(store, fusion, 1, "很好", TEXT=SURE)
    to = handlers(store)
    # The store may still have to write the analysis: the label waits for it.
    first = create(to, "f-1", "a-1", sentiment="negative")
    assert first.name == "feedback/f-1"
    assert create(to, "f-1", "a-1", sentiment="negative") == first
    with pytest.raises(InputError) as other:
        create(to, "f-1", "a-1", sentiment="positive")
    assert other.value.field == "request_id"
    with pytest.raises(NotFoundError):
        create(to, "f-2", "a-2", sentiment="negative")
    with pytest.raises(NotFoundError):
        create(to, "f-2", "a-1", number=1, sentiment="negative")
    for wrong in ({"emotion": "bored"}, {"sentiment": "bad"}, {"score": 1.5}, {}):
        with pytest.raises(InputError):
            create(to, "f-3", "a-1", **wrong)
    assert create(to, "", "a-1", score=-0.5).name.startswith("feedback/")

    listed = asyncio.run(to.list_feedback(ListFeedbackRequest(page_size=1), None))
    assert listed.feedback[0].score == -0.5
    token = listed.next_page_token
    rest = asyncio.run(to.list_feedback(ListFeedbackRequest(page_token=token), None))
    assert list(rest.feedback) == [first]
    assert not rest.next_page_token
    with pytest.raises(InputError):
        asyncio.run(to.list_feedback(ListFeedbackRequest(page_token="x"), None))
    store.close()
    with pytest.raises(StateError):
        create(handlers(None), "f-9", "a-1", sentiment="negative")


def test_the_unsure_and_the_disputed_come_first_until_they_are_labelled(
    tmp_path: Path, fusion: FusionPool
) -> None:
    store = open_store(tmp_path / "store.db")
    put(store, fusion, 1, "sure", TEXT=SURE)
    put(store, fusion, 2, "unsure", TEXT=UNSURE)
    put(store, fusion, 3, "call 13812345678", TEXT=SURE, VOICE=OTHER)
    store.flush()
    to = handlers(store)
    first = asyncio.run(to.list_review_items(ListReviewItemsRequest(page_size=2), None))
    assert [item.analysis_request_id for item in first.items] == ["a-3", "a-2"]
    assert first.items[0].text == "call [PHONE]"
    assert first.items[0].disagreement == pytest.approx(0.94, abs=1e-3)
    assert first.items[1].uncertainty == pytest.approx(1, abs=1e-3)
    assert first.items[1].disagreement == 0
    more = ListReviewItemsRequest(page_token=first.next_page_token)
    assert [item.text for item in asyncio.run(to.list_review_items(more, None)).items] == ["sure"]
    create(to, "f-1", "a-3", emotion="angry")
    assert [item.analysis for item in review.queue(store.engine)] == ["a-2", "a-1"]
    store.close()


def test_labels_become_a_manifest_to_learn_from(tmp_path: Path, fusion: FusionPool) -> None:
    store = open_store(tmp_path / "store.db")
    for number in range(30):
        put(store, fusion, number, f"text {number}", TEXT=UNSURE)
        create(handlers(store), f"f-{number}", f"a-{number}", score=-0.9 if number % 2 else 0.9)
    create(handlers(store), "again", "a-0", sentiment="neutral", content="mail me: a@example.com")
    out = tmp_path / "labels.csv"
    assert write_manifest(store, "text", out) == (30, 0)
    rows = manifest.read(out, "text")
    assert {row.split for row in rows} == {"train", "dev"}
    by_text = {row.content: row.sentiment for row in rows}
    assert by_text["text 1"] == "negative"
    assert by_text["mail me: [EMAIL]"] == "neutral"
    assert "text 0" not in by_text
    splits = [split_of(key) for key in range(5000)]
    assert splits.count("dev") / 5000 == pytest.approx(0.2, abs=0.02)
    store.close()


def test_without_content_in_the_store_none_of_a_label_is_kept(
    tmp_path: Path, fusion: FusionPool
) -> None:
    store = open_store(tmp_path / "store.db", keep_content=False)
    put(store, fusion, 1, "secret", TEXT=SURE)
    create(handlers(store, keep_content=False), "f-1", "a-1", emotion="sad", content="secret")
    (label,) = Labels(store.engine).latest()
    assert (label.kind, label.value, label.content) == ("emotion", "sad", None)
    with pytest.raises(InputError):
        write_manifest(store, "text", tmp_path / "labels.csv")
    store.close()
