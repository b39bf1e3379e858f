"""The watch: series by tag and channel, what counts, restarts, bad disks."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from alert_sources import BEGAN, end, info, watching
from emotion.v1.alert_service_pb2 import Alert

from server.alerts.log import AlertLog
from server.alerts.watch import LATE_S, WatchOptions


def test_only_the_tag_with_the_spike_is_told_and_once(tmp_path: Path) -> None:
    with watching(tmp_path) as (watch, told):
        rng = np.random.default_rng(5)
        for i in range(3000):
            tag = f"product-{i % 4}"
            share = 0.5 if tag == "product-2" and i >= 2000 else 0.1
            scores = [0.4, -1.6 if rng.random() < share else 0.2]
            at = BEGAN + timedelta(minutes=i)
            watch.ended(info(i, tag, tag, channel=("web", "app")[i % 3 == 0]), scores, at)
        watch.wait()
    tags = [alert for alert in told if alert.scope == Alert.TAG]
    (spike,) = tags
    assert (spike.kind, spike.name) == (Alert.SPIKE, "product-2")
    assert spike.episode_id == spike.id
    begins = BEGAN + timedelta(minutes=2000)
    assert abs(spike.since_time.ToDatetime(BEGAN.tzinfo) - begins) < timedelta(hours=4)
    assert spike.before.share == pytest.approx(0.1, abs=0.05)
    assert spike.after.negative_count / spike.after.conversation_count == spike.after.share
    assert spike.p_value < 1e-3


def test_negative_is_by_the_mean_of_the_customers_scores(tmp_path: Path) -> None:
    with watching(tmp_path, WatchOptions(negative_below=-0.5)) as (watch, _):
        for number, scores in enumerate(([-0.6, -0.5], [-0.9, 0.0], [-0.5], [])):
            watch.ended(info(number), scores, BEGAN)
    assert outcomes(tmp_path) == {"OVERALL ": "100"}


def test_a_conversation_counts_once_and_in_time(tmp_path: Path) -> None:
    with watching(tmp_path) as (watch, _):
        watch.ended(info(1, conversation_id="a"), [-1.0], BEGAN)
        watch.ended(info(2, conversation_id="a"), [0.0], BEGAN)
        watch.ended(info(3, conversation_id="b"), [0.0], BEGAN - timedelta(minutes=30))
        watch.ended(info(4), [0.0], BEGAN - timedelta(seconds=LATE_S + 1))
        watch.ended(info(5), [0.0], BEGAN + timedelta(days=365_000))  # a clock gone mad
        watch.ended(info(6), [0.0], BEGAN + timedelta(days=365_000))
    assert outcomes(tmp_path) == {"OVERALL ": "1000"}


def test_ends_out_of_order_do_no_harm(tmp_path: Path) -> None:
    with watching(tmp_path) as (watch, told):
        rng = np.random.default_rng(11)
        late_min = rng.integers(0, 50, 2000)
        for i, negative in enumerate(rng.random(2000) < np.repeat([0.1, 0.4], [1500, 500])):
            at = BEGAN + timedelta(minutes=i - int(late_min[i]))
            watch.ended(info(i), [-0.7 if negative else 0.3], at)
    (spike,) = told
    begins = BEGAN + timedelta(minutes=1500)
    assert abs(spike.since_time.ToDatetime(BEGAN.tzinfo) - begins) < timedelta(hours=3)


def test_names_are_bounded_and_hold_no_personal_data(tmp_path: Path) -> None:
    with watching(tmp_path, WatchOptions(max_series=3)) as (watch, _):
        watch.ended(info(0, "old"), [0.0], BEGAN)
        watch.ended(info(1, "x" * 101, "call 13800138000", channel="web"), [0.0], BEGAN)
    names = list(outcomes(tmp_path))
    assert names == ["OVERALL ", "CHANNEL web", "TAG call [PHONE]"]  # the oldest is forgotten


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    with watching(tmp_path) as (watch, told):
        end(watch, 1000, 0.1, "shoes", seed=21)
        assert told == []
    with watching(tmp_path) as (watch, told):
        end(watch, 120, 0.4, "shoes", seed=2, first=1000)
        assert {alert.scope for alert in told} == {Alert.OVERALL, Alert.TAG}
        spikes = {alert.scope: alert.id for alert in told}
    with watching(tmp_path) as (watch, told):
        end(watch, 300, 0.4, "shoes", seed=3, first=1120)
        assert told == []  # the same episode
        end(watch, 300, 0.1, "shoes", seed=4, first=1420)
        assert [alert.kind for alert in told] == [Alert.RECOVERED] * 2
        assert {alert.scope: alert.episode_id for alert in told} == spikes


def test_a_kill_after_an_alert_raises_it_no_second_time(tmp_path: Path) -> None:
    with watching(tmp_path) as (watch, told):
        end(watch, 1000, 0.1, seed=21)
    before = (tmp_path / "state.json").read_bytes()
    with watching(tmp_path) as (watch, told):
        end(watch, 120, 0.4, seed=2, first=1000)
        assert [alert.kind for alert in told] == [Alert.SPIKE]
    (tmp_path / "state.json").write_bytes(before)  # killed before it was saved
    with watching(tmp_path) as (watch, told):
        end(watch, 120, 0.4, seed=2, first=1120)
        assert told == []


@pytest.mark.parametrize("state", ["", "{", "[]", '{"newest_s": 0, "series": [{"scope": "X"}]}'])
def test_a_state_that_cannot_be_read_is_begun_anew(tmp_path: Path, state: str) -> None:
    (tmp_path / "state.json").write_text(state)
    with watching(tmp_path) as (watch, _):
        watch.ended(info(1), [0.0], BEGAN)
    assert outcomes(tmp_path) == {"OVERALL ": "0"}


def test_a_disk_that_takes_nothing_keeps_no_alert_back(tmp_path: Path) -> None:
    (tmp_path / "state.tmp").mkdir()  # neither the state nor the log can be written
    with watching(tmp_path) as (watch, told):
        (tmp_path / "alerts.jsonl").mkdir()
        end(watch, 1000, 0.1, seed=21)
        end(watch, 120, 0.4, seed=2, first=1000)
        assert [alert.kind for alert in told] == [Alert.SPIKE]


def test_a_log_with_a_line_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    AlertLog(path).add(Alert(id="a", kind="SPIKE", scope="OVERALL"))
    with path.open("a") as file:
        file.write('{"id": "b", "ki')
    log = AlertLog(path)
    log.add(Alert(id="c", kind="RECOVERED", scope="OVERALL", episode_id="a"))
    assert [alert.id for alert in AlertLog(path).newest_first()] == ["c", "a"]


def outcomes(folder: Path) -> dict[str, str]:
    """Of each series that was saved; 1 is negative."""
    state = json.loads((folder / "state.json").read_bytes())
    return {f"{one['scope']} {one['name']}": one["calm"]["negative"] for one in state["series"]}
