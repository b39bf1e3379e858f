"""What is erased or expired is gone from the file's bytes, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import store_data as made

from server.moments import ConversationInfo
from server.store.archive import keyed_hash


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


@pytest.mark.of_sqlite
def test_an_erased_customer_is_in_no_byte_of_the_store(tmp_path: Path) -> None:
    fusion = made.pool()
    store = made.open_store(tmp_path / "s.db", keep_content=True)
    hers, his = "unforgettable-words", "words-of-another"
    for number in range(12):
        text, customer = ((hers, "her"), (his, "him"))[number % 2]
        said = made.moments(fusion, [f"{text} {n}" for n in range(5)])
        about = made.info(number, customer_id=customer)
        made.put(store, about, said, {0: [made.one_advice(0, f"rule-for-{customer}")]})
    assert store.flush()
    hash_ = keyed_hash(made.KEY, "her").encode()
    before = files(tmp_path)
    assert all(part in before for part in (hers.encode(), hash_, b"rule-for-her"))
    counts = {name: n for name, n in store.erase("her", made.KEY).items() if n}
    assert counts == {"conversation": 6, "moment": 30, "reading": 60, "advice": 6, "content": 30}
    after = files(tmp_path)
    for part in (hers.encode(), hash_, b"rule-for-her"):
        assert part not in after
    assert his.encode() in after
    assert store.counts()["conversation"] == 6
    assert sum(store.erase("her", made.KEY).values()) == 0
    store.close()


def test_an_erased_conversation_that_goes_on_is_not_written_any_further(tmp_path: Path) -> None:
    (moment,) = made.moments(made.pool(), ["慢"])
    store = made.open_store(tmp_path / "s.db")
    key = store.begin(made.info(customer_id="her"), {})
    store.add(key, 0, moment, {}, [], {})
    assert store.flush()
    store.erase("her", made.KEY)
    store.add(key, 1, moment, {}, [], {})
    store.end(key, None)
    assert store.flush()
    assert sum(store.counts().values()) == 0
    assert store.n_lost == 0
    store.close()


def test_what_is_too_old_is_deleted_by_the_running_store(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    store = made.open_store(tmp_path / "s.db")
    for days in (1, 20, 40, 60):
        about = ConversationInfo(f"{days}-days", "AnalyzeEmotion", now - timedelta(days=days))
        made.put(store, about, made.moments(made.pool(), ["慢"]))
    assert store.flush()
    assert store.expire(50)["conversation"] == 1
    store.close()
    store = made.open_store(tmp_path / "s.db", retention_days=30.0)
    store.close()  # what was to be done at the start is done
    store = made.open_store(tmp_path / "s.db")
    assert [one.info.request_id for one in store.conversations()] == ["20-days", "1-days"]
    store.close()
    assert b"40-days" not in files(tmp_path)
