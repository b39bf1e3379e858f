"""`python -m bench.alerts`: how soon a rise of the negative share is alerted; how often wrongly.

Simulated conversations, negative independently of each other: 10 % of them, 30 % in a spike. Of a
spike 5,000 conversations are simulated, the spike begins somewhere between the 500th and the
4,500th and lasts to the end, and its delay is counted in conversations from its first; of no spike
20,000. `series` is the shipped detector on one series, `adwin` river's on the same seeds, an alert
where its mean rose. `watch` is the whole thing: 8 tags, 3 channels and the overall share at once;
one tag's share rises, delays are in conversations of that tag, and any alert of a tag without a
spike, or of any series where there is none, is a false one.

The detector's constants were chosen with other seeds than these.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from emotion.v1.alert_service_pb2 import Alert
from river.drift import ADWIN

from server.alerts.detect import Kind, Series
from server.alerts.log import AlertLog
from server.alerts.watch import Watch, WatchOptions
from server.moments import ConversationInfo

SEED = 20261124
USUAL, RAISED = 0.1, 0.3
N_SPIKE, N_CALM = 5_000, 20_000
FIRST, LAST = 500, 4_500  # where a spike begins
WITHIN = 150
N_SEEDS, N_FEWER_SEEDS, N_WATCH_SEEDS = 400, 100, 20
SPIKE_LASTS, AFTER_SPIKE = 400, 1_000
TAGS, CHANNELS = tuple(f"product-{i}" for i in range(8)), ("phone", "web", "app")
RESULT = Path(__file__).parent / "results" / "alerts.json"

# Whether one more outcome raises an alert.
Detector = Callable[[bool], bool]


def series() -> Detector:
    watched = Series()

    def update(negative: bool) -> bool:
        change = watched.update(0.0, negative)
        return change is not None and change.kind is Kind.SPIKE

    return update


def adwin(delta: float) -> Callable[[], Detector]:
    def make() -> Detector:
        detector = ADWIN(delta=delta, clock=4, min_window_length=10, grace_period=100)

        def update(negative: bool) -> bool:
            before = detector.estimation
            detector.update(int(negative))
            return bool(detector.drift_detected) and detector.estimation > before

        return update

    return make


def delays(make: Callable[[], Detector], n_seeds: int, usual: float, raised: float) -> list[float]:
    """Of a spike each, infinite where it is missed. An alert before the spike does not count."""
    found = []
    for seed in range(n_seeds):
        rng = np.random.default_rng([SEED, 1, seed])
        begins = int(rng.integers(FIRST, LAST))
        share = np.where(np.arange(N_SPIKE) < begins, usual, raised)
        detector = make()
        delay = np.inf
        for i, negative in enumerate((rng.random(N_SPIKE) < share).tolist()):
            if detector(negative) and i >= begins:
                delay = i + 1.0 - begins
                break
        found.append(delay)
    return found


def false_alerts(make: Callable[[], Detector], n_seeds: int, usual: float) -> list[int]:
    """In 20,000 conversations each."""
    found = []
    for seed in range(n_seeds):
        rng = np.random.default_rng([SEED, 2, seed])
        detector = make()
        found.append(sum(map(detector, (rng.random(N_CALM) < usual).tolist())))
    return found


def recoveries(n_seeds: int) -> dict[str, Any]:
    """After spikes that last 400 conversations: how soon they are over, how many too early."""
    found, early, missed = [], 0, 0
    for seed in range(n_seeds):
        rng = np.random.default_rng([SEED, 3, seed])
        watched = Series()
        changes: dict[Kind, int] = {}
        shares = [USUAL] * 1_000 + [RAISED] * SPIKE_LASTS + [USUAL] * AFTER_SPIKE
        for i, negative in enumerate((rng.random(len(shares)) < shares).tolist()):
            if (change := watched.update(float(i), negative)) is not None:
                changes.setdefault(change.kind, i)
        over = changes.get(Kind.RECOVERED)
        if over is None:
            missed += 1
        elif over < 1_000 + SPIKE_LASTS:
            early += 1
        else:
            found.append(float(over + 1 - 1_000 - SPIKE_LASTS))
    return {**_delay(found), "too_early": early / n_seeds, "missed": missed / n_seeds}


def watched(seed: int, n: int, *, spike: bool) -> tuple[float, int]:
    """The delay of the spike of one tag, and the number of false alerts."""
    rng = np.random.default_rng([SEED, 4 + spike, seed])
    tags = rng.integers(len(TAGS), size=n)
    begins = int(rng.integers(len(TAGS) * 200, n - len(TAGS) * 200))
    raised = spike & (tags == 0) & (np.arange(n) >= begins)
    negative = rng.random(n) < np.where(raised, RAISED, USUAL)
    channels = rng.integers(len(CHANNELS), size=n)
    began = datetime.now(UTC) - timedelta(days=7)
    told: list[Alert] = []
    with tempfile.TemporaryDirectory() as folder:
        log = AlertLog(Path(folder) / "alerts.jsonl")
        watch = Watch(WatchOptions(), log, [told.append], Path(folder) / "state.json")
        for i in range(n):
            at = began + timedelta(seconds=20 * i)
            info = ConversationInfo(
                f"request-{i}",
                "StreamCall",
                at,
                channel=CHANNELS[channels[i]],
                tags=(TAGS[tags[i]],),
            )
            watch.ended(info, [-0.6 if negative[i] else 0.2], at)
            if i % 5_000 == 4_999:
                watch.wait()
        watch.close()
    spikes = [alert for alert in told if alert.kind == Alert.SPIKE]
    if not spike:
        return np.inf, len(spikes)
    false = [alert for alert in spikes if alert.scope == Alert.TAG and alert.name != TAGS[0]]
    ours = [alert for alert in spikes if alert.name == TAGS[0]]
    delay = min((_delay_of(one, began, tags, begins) for one in ours), default=np.inf)
    return delay, len(false)


def _delay_of(alert: Alert, began: datetime, tags: Any, begins: int) -> float:
    """In conversations of its tag: those before it since the spike began, and its own `after`."""
    since = alert.since_time.ToDatetime(UTC)
    first = round((since - began).total_seconds() / 20)
    between = int(np.sum(tags[begins:first] == 0)) - int(np.sum(tags[first:begins] == 0))
    delay = between + alert.after.conversation_count
    return float(delay) if delay > 0 else np.inf


def _delay(found: Sequence[float]) -> dict[str, Any]:
    return {
        "n": len(found),
        "median": float(np.median(found)),
        "p95": float(np.percentile(found, 95, method="higher")),
        "within_150": float(np.mean(np.array(found) <= WITHIN)),
    }


def _rate(found: Sequence[int]) -> dict[str, Any]:
    return {
        "n_runs": len(found),
        "alerts": sum(found),
        "per_20000": sum(found) / len(found),
        "runs_without": float(np.mean(np.array(found) == 0)),
    }


def main() -> None:
    started = time.monotonic()
    report: dict[str, Any] = {
        "command": "python -m bench.alerts",
        "series": {
            "delay": _delay(delays(series, N_SEEDS, USUAL, RAISED)),
            "false_alerts": _rate(false_alerts(series, N_SEEDS, USUAL)),
            "recovery": recoveries(N_SEEDS),
        },
    }
    for usual in (0.05, 0.2, 0.3):
        report[f"series_{usual:.0%}_to_{usual + 0.2:.0%}"] = {
            "delay": _delay(delays(series, N_FEWER_SEEDS, usual, usual + 0.2)),
            "false_alerts": _rate(false_alerts(series, N_FEWER_SEEDS, usual)),
        }
    for delta in (0.002, 0.02, 0.2):
        report[f"adwin_{delta:g}"] = {
            "delay": _delay(delays(adwin(delta), N_FEWER_SEEDS, USUAL, RAISED)),
            "false_alerts": _rate(false_alerts(adwin(delta), N_FEWER_SEEDS, USUAL)),
        }
    spikes = [watched(seed, N_SPIKE, spike=True) for seed in range(N_WATCH_SEEDS)]
    calm = [watched(seed, N_CALM, spike=False) for seed in range(N_WATCH_SEEDS)]
    report["watch"] = {
        "delay": _delay([delay for delay, _ in spikes]),
        "false_alerts_beside_a_spike": _rate([false for _, false in spikes]),
        "false_alerts": _rate([false for _, false in calm]),
    }
    report["seconds"] = round(time.monotonic() - started)
    text = json.dumps(report, indent=2)
    print(text)
    RESULT.write_text(text + "\n")


if __name__ == "__main__":
    main()
