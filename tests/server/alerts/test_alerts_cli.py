"""`emotion alerts`: dead letters, shown and sent again."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from alert_receiver import receiver
from emotion.v1.alert_service_pb2 import Alert
from typer.testing import CliRunner

from modalities.errors import InputError
from server.alerts.cli import alerts_app
from server.alerts.letters import DeadLetters
from server.alerts.webhook import Delivery, Poster, Webhooks

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def alerts(*arguments: object, urls: str = "") -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    result = CliRunner().invoke(
        alerts_app,
        [str(one) for one in arguments],
        env={
            "COLUMNS": "200",
            "EMOTION_ALERT_WEBHOOKS": urls,
            "EMOTION_ALERT_WEBHOOK_SECRET": SECRET,
        },
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_dead_letter_is_sent_again(tmp_path: Path) -> None:
    here = ("--set", f"alerts={tmp_path}")
    with receiver() as hook:
        url, port = hook.url, int(hook.url.rsplit(":", 1)[1].split("/")[0])
    delivery = Delivery(attempts=2, first_wait_s=0.01, timeout_s=0.5)
    running = Webhooks(Poster((url,), SECRET, 0.5), tmp_path, delivery)
    for number in range(2):
        alert = Alert(id=f"a{number}", kind="SPIKE", scope="TAG", name="鞋")
        alert.create_time.FromSeconds(1_800_000_000 + number)
        running.send(alert)
    while len(DeadLetters(tmp_path).read()) < 2:
        pass
    running.close()

    _, table, _ = alerts("dead-letters", *here)
    assert "鞋" in table
    assert "no answer" in table
    shown = json.loads(alerts("dead-letters", "--json", *here)[1])
    assert [one["alert"]["create_time"] for one in shown] == [
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:00:01Z",
    ]
    status, out, err = alerts("resend", *here, urls=url)  # it is still down
    assert (status, out) == (3, "0 were taken, 2 were not\n")
    assert "a0 to 127.0.0.1: no answer" in err
    with receiver(port=port) as hook:
        status, out, _ = alerts("resend", "a1", *here, urls=f"https://example.com/ {url}")
        assert (status, out) == (0, "1 were taken, 0 were not\n")
        assert list(hook.taken) == ["a1"]
        assert alerts("resend", *here, urls=url)[0] == 0
        assert list(hook.taken) == ["a1", "a0"]
    assert "no dead letters" in alerts("dead-letters", *here)[1]


def test_nothing_goes_where_it_is_not_configured(tmp_path: Path) -> None:
    with receiver() as hook:
        Webhooks(Poster((), "", 1.0), tmp_path, Delivery()).close()
        letter = {"id": "a0", "url": hook.url, "body": "{}", "raised_s": 1.0}
        line = json.dumps({"letter": letter, "reason": "answered 404"})
        (tmp_path / "dead-letters.jsonl").write_text(line + "\n")
        status, _, err = alerts(
            "resend", "--set", f"alerts={tmp_path}", urls="https://example.com/"
        )
        assert (status, hook.requests) == (3, [])
    assert "not configured" in err
    assert len(DeadLetters(tmp_path).read()) == 1


@pytest.mark.parametrize(
    ("arguments", "field"),
    [(("resend", "none"), "ID"), (("dead-letters", "--set", "alerts=nowhere"), "alerts")],
)
def test_bad_input(tmp_path: Path, arguments: tuple[str, ...], field: str) -> None:
    with pytest.raises(InputError) as error:
        alerts(*arguments[:1], "--set", f"alerts={tmp_path}", *arguments[1:])
    assert error.value.field == field
