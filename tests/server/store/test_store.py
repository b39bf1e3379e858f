"""What is written is read again as it was, and what is recomputed from it is the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import server_media as media
import store_data as made
from emotion.v1.types_pb2 import SourceResult
from server_process import in_process

from fusion.pool import FusionPool
from modalities.errors import InputError, OverloadedError
from modalities.reading import Source
from server import convert
from server.analysis import BytesPart, Call, Content, Role, TextPart
from server.course import whole
from server.errors import StateError
from server.models import Models
from server.moments import Moment
from server.store.archive import PAGE, Archive
from server.store.records import ContentNotStoredError, OtherRevisionError
from server.store.reproduce import differences, reproduce


@pytest.fixture(scope="module")
def fusion() -> FusionPool:
    return made.pool()


def test_what_is_written_is_read_as_it_was(tmp_path: Path, fusion: FusionPool) -> None:
    said = made.moments(fusion, ["太慢了", "谢谢"])
    said.append(Moment(2, Role.AGENT, (), None, "您好", start_s=3.0, end_s=None))
    store = made.open_store(tmp_path / "s.db")
    key = made.put(store, made.info(), said, {0: [made.one_advice(0)]})
    assert store.flush()
    (stored,) = store.conversations()
    store.close()
    assert stored.key == key
    assert stored.info.request_id == "request-0"
    assert stored.info.started_at == made.BEGAN
    assert stored.info.tags == ("phone",)
    assert stored.ended_at is not None and stored.ended_at.tzinfo is not None
    assert stored.satisfaction == 0.25
    assert stored.versions == {"fusion": fusion.revision, "rules": "book-1"}
    assert stored.book_revision == "book-1"
    assert stored.not_evaluable == {"late": 2}
    assert [moment.role for moment in stored.moments] == [Role.CUSTOMER, Role.CUSTOMER, Role.AGENT]
    assert stored.customer_scores == [moment.score for moment in said[:2]]
    assert [(moment.start_s, moment.end_s) for moment in stored.moments] == [
        (0.0, 0.5), (1.0, 1.5), (3.0, None),
    ]  # fmt: skip
    for was, now in zip(said[0].readings, stored.moments[0].readings, strict=True):
        assert (now.source, now.quality) == (was.source, was.quality)
        assert now.log_sentiment.dtype == was.log_sentiment.dtype
        assert (now.log_sentiment == was.log_sentiment).all()
        assert (now.log_emotions == was.log_emotions).all()
    advice = stored.moments[0].advice[0]
    assert advice == replace(made.one_advice(0), facts={"score": -0.5})


def test_ids_are_kept_as_keyed_hashes(tmp_path: Path, fusion: FusionPool) -> None:
    hashes = {}
    for name, key in (("a", made.KEY), ("b", made.KEY), ("other", bytes(32))):
        store = made.open_store(tmp_path / name, key=key)
        made.put(store, made.info(), made.moments(fusion, ["慢"]))
        assert store.flush()
        (stored,) = store.conversations()
        hashes[name] = (stored.info.customer_id, dict(stored.moments[0].hashes))
        store.close()
    assert hashes["a"] == hashes["b"] != hashes["other"]
    assert "customer" not in hashes["a"][0]
    assert set(hashes["a"][1]) == {Source.TEXT}  # what the voice heard was not at hand


def test_content_is_kept_only_where_that_is_configured(tmp_path: Path, fusion: FusionPool) -> None:
    said = made.moments(fusion, ["我的电话是13812345678"])
    for keep in (False, True):
        store = made.open_store(tmp_path / str(keep), keep_content=keep)
        key = made.put(store, made.info(), said)
        assert store.flush()
        (stored,) = store.conversations()
        if keep:
            assert stored.moments[0].facts["text"] == "我的电话是[PHONE]"
            assert store.content(key, 0) == {Source.TEXT: "我的电话是[PHONE]".encode()}
        else:
            assert stored.moments[0].facts == {"score": said[0].score, "keywords": ["refund"]}
            with pytest.raises(ContentNotStoredError) as refused:
                store.content(key, 0)
            assert refused.value.code == "CONTENT_NOT_STORED"
        store.close()


def test_real_models_scores_are_reproduced_to_the_bit(tmp_path: Path, loaded: Models) -> None:
    """A text with a screenshot, a recording or a picture, against what the API answered."""
    contents = [
        Content(TextPart("t", media.SENTENCE), images=(BytesPart("i", media.screenshot()),)),
        Content(TextPart("t", "好的，谢谢"), BytesPart("a", media.recording())),
        Content(
            TextPart("t", "看看这个"), images=(BytesPart("i", media.encode(media.portrait())),)
        ),
    ]
    store = made.open_store(tmp_path / "s.db")
    answers = []
    for number, content in enumerate(contents):
        call = Call(f"request-{number}")
        analysis = in_process(
            loaded, lambda pipeline, c=content, k=call: pipeline.analyze_content(c, k)
        )
        answers.append((analysis.fused, convert.emotion_response(analysis, [], None, call)))
        made.put(store, made.info(number), [whole(0, content, analysis)], versions=call.models)
    assert store.flush()
    stored = list(store.conversations())
    store.close()
    for conversation, (fused, response) in zip(stored, answers, strict=True):
        assert len(conversation.moments[0].readings) > 1
        (again,) = reproduce(conversation, loaded.fusion)
        assert again is not None and fused is not None
        assert (again.log_sentiment == fused.log_sentiment).all()
        assert (again.log_emotions == fused.log_emotions).all()
        told = {SourceResult.Source.Name(s.source).lower(): s for s in response.sources}
        mine = conversation.moments[0]
        assert set(told) == set(mine.shares)
        for source, result in told.items():
            assert mine.shares[Source(source)] == result.share
            assert mine.contributions[Source(source)] == result.contribution
        assert not list(differences(conversation, loaded.fusion))


def test_a_changed_score_is_a_difference(tmp_path: Path, fusion: FusionPool) -> None:
    store = made.open_store(tmp_path / "s.db")
    made.put(store, made.info(), made.moments(fusion, ["慢", "快"]))
    assert store.flush()
    (stored,) = store.conversations()
    store.close()
    assert not list(differences(stored, fusion))
    readings = [made.reading(Source.TEXT, 99), stored.moments[1].readings[1]]
    changed = replace(
        stored, moments=[stored.moments[0], replace(stored.moments[1], readings=readings)]
    )
    assert all(line.startswith("moment 1: ") for line in differences(changed, fusion))
    assert list(differences(changed, fusion))


def test_another_fusion_model_reproduces_nothing(tmp_path: Path, fusion: FusionPool) -> None:
    store = made.open_store(tmp_path / "s.db")
    said = made.moments(fusion, ["慢"])
    made.put(store, made.info(), said, versions={"fusion": "000000000000"})
    assert store.flush()
    (stored,) = store.conversations()
    store.close()
    with pytest.raises(OtherRevisionError, match="000000000000") as refused:
        reproduce(stored, fusion)
    assert refused.value.code == "OTHER_REVISION"


def test_conversations_come_in_order_and_within_bounds(tmp_path: Path, fusion: FusionPool) -> None:
    store = made.open_store(tmp_path / "s.db")
    n, said = 2 * PAGE + 3, made.moments(fusion, ["慢"])
    for number in reversed(range(n)):
        # Several at one moment, so that pages end between them.
        about = replace(made.info(number), started_at=made.BEGAN + timedelta(hours=number // 20))
        made.put(store, about, said)
    assert store.flush()
    stored = list(store.conversations())
    assert len({one.key for one in stored}) == n
    assert sorted(one.info.started_at for one in stored) == [s.info.started_at for s in stored]
    hour = timedelta(hours=1)
    within = list(store.conversations(made.BEGAN + hour, made.BEGAN + 2 * hour))
    assert {one.info.started_at for one in within} == {made.BEGAN + hour}
    assert len(within) == 20
    assert [one.info.request_id for one in store.find("request-5")] == ["request-5"]
    store.close()


def test_advice_is_replaced_and_nothing_else(tmp_path: Path, fusion: FusionPool) -> None:
    store = made.open_store(tmp_path / "s.db")
    said = made.moments(fusion, ["慢", "很慢"])
    key = made.put(store, made.info(), said, {0: [made.one_advice(0)]})
    assert store.flush()
    (before,) = store.conversations()
    given = [made.one_advice(1, "escalate"), made.one_advice(1, "listen")]
    store.replace_advice(key, {1: given}, "book-2", {"needs_text": 3})
    (after,) = store.conversations()
    store.close()
    assert [[one.rule for one in moment.advice] for moment in after.moments] == [
        [], ["escalate", "listen"],
    ]  # fmt: skip
    assert (after.book_revision, after.not_evaluable) == ("book-2", {"needs_text": 3})
    assert (after.versions, after.info) == (before.versions, before.info)
    assert after.customer_scores == before.customer_scores


def test_another_key_is_refused(tmp_path: Path) -> None:
    made.open_store(tmp_path / "s.db").close()
    with pytest.raises(StateError, match="another key"):
        made.open_store(tmp_path / "s.db", key=bytes(32))


def test_a_store_that_is_not_there_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no store"):
        Archive(str(tmp_path / "typo.db"))
    with pytest.raises(InputError, match="a file, or a URL"):
        Archive("mysql://somewhere/else")
    assert not list(tmp_path.iterdir())


def test_a_full_queue_refuses_what_begins_and_keeps_what_was_begun(
    tmp_path: Path, fusion: FusionPool
) -> None:
    store = made.open_store(tmp_path / "s.db", max_queued=3)
    (moment,) = made.moments(fusion, ["慢"])
    with store.engine.connect().execution_options(writes=True) as other, other.begin():
        key = store.begin(made.info(0), {})  # another process holds the lock
        for number in range(5):
            store.add(key, number, moment, {}, [], {})
        with pytest.raises(OverloadedError, match="queue is full"):
            store.begin(made.info(1), {})
    assert store.flush()
    store.begin(made.info(2), {})
    assert store.flush()
    stored = {one.info.request_id: one for one in store.conversations()}
    store.close()
    assert set(stored) == {"request-0", "request-2"}
    assert len(stored["request-0"].moments) == 5
