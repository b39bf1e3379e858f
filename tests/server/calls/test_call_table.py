"""The tables' columns, and that a row holds all of a call's summary."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import recorded_media as calls
from server_process import in_process

from server.analysis import Role
from server.calls import table
from server.calls.recorded import CallOptions, RecordedCall, Recording, score
from server.models import Models

BOTH = CallOptions((Role.CUSTOMER, Role.AGENT))
RECORDING = Recording("a/call.wav", Path("a/call.wav"), 7, datetime(2026, 1, 2, 3, 4, 5, 6, UTC))

CALLS = {
    "path": "string",
    "status": "string",
    "error": "string",
    "size_bytes": "int64",
    "modified_at": "timestamp[us, tz=UTC]",
    "codec": "string",
    "duration_s": "double",
    "silence_s": "double",
    "non_talk_s": "double",
    "overlap_s": "double",
    "utterance_count": "int32",
    "customer_utterance_count": "int32",
    "customer_score": "float",
    "customer_score_start": "float",
    "customer_score_end": "float",
    "customer_score_lowest": "float",
    "customer_score_shift": "float",
    "satisfaction": "float",
    "notes": "list<element: string>",
    "channels": "list<element: struct<channel: int32, role: string, utterance_count: int32, "
    "talk_s: double, interruption_count: int32, loudness_dbfs: float, "
    "speaking_rate_per_minute: float, course: struct<utterance_count: int32, score: float, "
    "start: float, end: float, lowest: float, shift: float, quarters: list<element: float>, "
    "lowest_moments: list<element: struct<start_s: double, end_s: double, score: float>>, "
    "highest_moments: list<element: struct<start_s: double, end_s: double, score: float>>>, "
    "loudness_by_second_dbfs: list<element: float>>>",
}
UTTERANCES = {
    **dict.fromkeys(["path"], "string"),
    **dict.fromkeys(["index", "channel"], "int32"),
    **dict.fromkeys(["role"], "string"),
    **dict.fromkeys(["start_s", "end_s"], "double"),
    "loudness_dbfs": "float",
    "text": "string",
    "text_confidence": "float",
    "language": "string",
    "score": "float",
    **{f"sentiment_{name}": "float" for name in ("positive", "neutral", "negative")},
    **{
        f"emotion_{name}": "float"
        for name in ("neutral", "happy", "angry", "sad", "fear", "disgust", "surprise")
    },
    **dict.fromkeys(["valence", "arousal", "confidence"], "float"),
    "abstained": "bool",
    **dict.fromkeys(["voice_share", "transcript_share"], "float"),
    "not_scored": "string",
}


@pytest.fixture(scope="module")
def call(loaded: Models, tmp_path_factory: pytest.TempPathFactory) -> RecordedCall:
    path = calls.write(tmp_path_factory.mktemp("table") / "call.wav", calls.stereo())
    return in_process(loaded, lambda pipeline: score(path, pipeline, BOTH, lambda _: None))


@pytest.mark.parametrize(
    ("schema", "columns"), [(table.CALLS, CALLS), (table.UTTERANCES, UTTERANCES)]
)
def test_the_schema_is_fixed(schema: pa.Schema, columns: dict[str, str]) -> None:
    assert {field.name: _type(field.type) for field in schema} == columns


def _type(kind: pa.DataType) -> str:
    """As Parquet names the items of a list, which this pyarrow may call `item`."""
    return str(kind).replace("list<item:", "list<element:")


@pytest.mark.parametrize("schema", [table.CALLS, table.UTTERANCES])
def test_every_column_says_what_it_holds_and_is_documented(schema: pa.Schema) -> None:
    page = (Path(__file__).parents[3] / "docs" / "call-tables.md").read_text()
    columns = list(table.described(schema))
    assert len(columns) >= len(schema)
    for name, kind, unit, about in columns:
        assert about, name
        assert unit or not name.endswith(("_s", "_dbfs", "_bytes", "_per_minute")), name
        assert f"| `{name}` | {kind} | {unit} | {about} |\n" in page


def test_a_row_gives_the_summary_back(call: RecordedCall) -> None:
    rows = pa.Table.from_pylist([table.scored_row(RECORDING, call)], table.NESTED)
    (row,) = rows.to_pylist()
    assert row["path"] == "a/call.wav"
    assert row["modified_at"] == RECORDING.modified_at
    assert row["utterance_count"] == len(row["utterances"]) == 3
    assert row["customer_utterance_count"] == 2
    assert row["customer_score"] == pytest.approx(sum(call.summary.customer_scores) / 2, abs=1e-6)
    back = table.summary_of(row)
    assert back.customer_scores == pytest.approx(call.summary.customer_scores, abs=1e-6)
    assert tuple(back.notes) == tuple(call.summary.notes)
    calls.assert_same(asdict(back.shape), asdict(call.summary.shape))


def test_personal_data_in_a_transcript_is_replaced_by_its_kind(call: RecordedCall) -> None:
    said = replace(call.utterances[0], text="我的电话是13800138000，快点")
    spoken = replace(call, utterances=[said, *call.utterances[1:]])
    row = table.scored_row(RECORDING, spoken)
    assert row["utterances"][0]["text"] == "我的电话是[PHONE]，快点"


def test_an_utterance_that_was_scored_and_one_that_was_not(call: RecordedCall) -> None:
    customer, agent, _ = table.scored_row(RECORDING, call)["utterances"]
    sentiment = {name: customer[f"sentiment_{name}"] for name in ("positive", "negative")}
    assert customer["score"] == pytest.approx(sentiment["positive"] - sentiment["negative"])
    assert sum(p for name, p in customer.items() if name.startswith("emotion_")) == pytest.approx(1)
    assert customer["not_scored"] is None
    assert 0 < customer["voice_share"] <= 1
    assert agent["role"] == "AGENT"
    assert "score" not in agent
    assert agent["not_scored"]
