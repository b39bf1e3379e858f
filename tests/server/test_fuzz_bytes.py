"""Bytes from outside that are no media, broken in any way: an answer, or the error that says so."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.faults import seeds
from bench.faults.mutate import fill, mutate_bytes, mutate_field
from modalities.errors import InputError
from server.calls import table
from server.calls.journal import Journal, job_of
from server.calls.recorded import Recording
from server.errors import RejectedError
from server.strategy.book import DEFAULT_BOOK, Book
from server.wire import parse
from training.evaluation import conversations
from training.manifest import read as read_manifest

QUICK = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SEED = st.integers(0, 2**32)
REQUESTS = [
    call[0] for calls in seeds.requests().values() for call in calls if call[0].ByteSize() < 5000
]
RECORDING = Recording("a.wav", Path("a.wav"), 1, datetime(2026, 1, 1, tzinfo=UTC))


@QUICK
@given(raw=st.binary(max_size=400), seed=SEED, index=st.integers(0, len(REQUESTS) - 1))
def test_requests_of_all_methods(raw: bytes, seed: int, index: int) -> None:
    draw, example = random.Random(seed), REQUESTS[index]
    request_class = GetMessageClass(example.DESCRIPTOR)
    changed = request_class.FromString(example.SerializeToString())
    mutate_field(changed, draw)
    filled = request_class()
    fill(filled, draw)
    broken = mutate_bytes(example.SerializeToString(), draw)
    for content in (raw, broken, changed.SerializeToString(), filled.SerializeToString()):
        with suppress(RejectedError):
            parse(request_class, content)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run that was stopped has left: a job and one recording."""
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder / "calls.parquet", {"fusion": "1"})
    journal.add(table.failed_row(RECORDING, table.UNREADABLE, "broken"))
    journal.close()
    return folder


@QUICK
@given(seed=SEED, name=st.sampled_from(("job.json", "arrow")))
def test_journals(parts: Path, tmp_path: Path, seed: int, name: str) -> None:
    folder = tmp_path / str(seed)
    shutil.copytree(parts, folder, dirs_exist_ok=True)
    (path,) = (folder / "calls.parquet.parts").glob(f"*{name}")
    path.write_bytes(mutate_bytes(path.read_bytes(), random.Random(seed)))
    with suppress(InputError):
        journal = Journal(folder / "calls.parquet", {"fusion": "1"})
        journal.finish()
        assert job_of(folder / "calls.parquet") == {"fusion": "1"}


@QUICK
@given(content=st.binary(max_size=300))
def test_a_file_that_is_no_table(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "calls.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError):
        job_of(path)


@QUICK
@given(seed=SEED, raw=st.binary(max_size=200))
def test_rule_books(tmp_path: Path, seed: int, raw: bytes) -> None:
    draw, path = random.Random(seed), tmp_path / "rules.yaml"
    book = DEFAULT_BOOK.read_bytes()[:2000]
    for content in (raw, mutate_bytes(book, draw)):
        path.write_bytes(content)
        with suppress(InputError):
            Book.load(path)


MANIFEST = 'text,label,speaker,split\n好的,happy,a,train\n"太差\n了",angry,b,dev\n'.encode()


@QUICK
@given(seed=SEED, raw=st.binary(max_size=200), suffix=st.sampled_from((".csv", ".csv.gz")))
def test_manifests(tmp_path: Path, seed: int, raw: bytes, suffix: str) -> None:
    path, draw = tmp_path / f"rows{suffix}", random.Random(seed)
    whole = gzip.compress(MANIFEST, mtime=0) if suffix == ".csv.gz" else MANIFEST
    for content in (raw, mutate_bytes(whole, draw)):
        path.write_bytes(content)
        with suppress(InputError):
            read_manifest(path, "text")


DIALOGUES: Any = [
    {
        "id": "1",
        "turns": [["customer", ["hello", "bad"]], ["agent", ["ok"]]],
        "satisfaction_mean": 3.5,
    }
]


@QUICK
@given(
    seed=SEED,
    raw=st.binary(max_size=200),
    value=st.recursive(
        st.none() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(("id", "turns", "satisfaction_mean")), inner)
        ),
        max_leaves=8,
    ),
)
def test_dialogues(tmp_path: Path, seed: int, raw: bytes, value: Any) -> None:
    draw, path = random.Random(seed), tmp_path / "dialogues.json"
    whole = json.dumps(DIALOGUES).encode()
    for content in (raw, mutate_bytes(whole, draw), json.dumps([value]).encode(), b"[" * 20_000):
        path.write_bytes(content)
        with suppress(InputError):
            for dialogue in conversations.load(str(path)):
                conversations.turns_of(dialogue)
                conversations.row_of(dialogue)
