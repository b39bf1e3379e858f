"""Webhooks to a real receiver that fails, hangs, is down, is late, sends elsewhere."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alert_receiver import receiver
from emotion.v1.alert_service_pb2 import Alert

from modalities.errors import InputError
from server.alerts.letters import DeadLetters, Letter, Pending
from server.alerts.webhook import Delivery, DeliveryError, Poster, Webhooks, signature_headers

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
SOON = Delivery(attempts=4, first_wait_s=0.01, max_wait_s=0.05, timeout_s=0.5)


def alert(number: int = 1) -> Alert:
    made = Alert(id=f"alert-{number}", kind=Alert.SPIKE, scope=Alert.TAG, name="产品")
    made.before.conversation_count = 900
    return made


@contextmanager
def webhooks(folder: Path, *urls: str, delivery: Delivery = SOON) -> Iterator[Webhooks]:
    running = Webhooks(Poster(urls, SECRET, delivery.timeout_s), folder, delivery)
    try:
        yield running
    finally:
        running.close()


def wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(2000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come about")


def delivered(folder: Path) -> None:
    wait_until(lambda: not list((folder / "pending").glob("*.json")))


def test_a_receiver_that_fails_twice_gets_it_once(tmp_path: Path) -> None:
    with receiver(lambda n: 500 if n < 2 else 200) as hook:
        with webhooks(tmp_path, hook.url) as running:
            running.send(alert())
            delivered(tmp_path)
        assert [one.id for one in hook.requests] == ["alert-1"] * 3
        assert list(hook.taken) == ["alert-1"]
    assert DeadLetters(tmp_path).read() == []
    assert json.loads(hook.taken["alert-1"]) == {
        "id": "alert-1",
        "kind": "SPIKE",
        "scope": "TAG",
        "name": "产品",
        "before": {"conversation_count": 900},
    }


def test_the_signature_is_that_of_the_standard() -> None:
    # The example of standardwebhooks.com's own reference implementation.
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signature_headers(
        key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_that_is_down_and_comes_back(tmp_path: Path) -> None:
    with receiver() as hook:
        url = hook.url
    with webhooks(tmp_path, url) as running:  # nobody listens any more
        running.send(alert())
        delivered(tmp_path)
    (dead,) = DeadLetters(tmp_path).read()
    assert dead.letter.id == "alert-1"
    assert dead.reason.startswith("no answer")


def test_one_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    released = threading.Event()

    def hang(_: int) -> int:
        released.wait(20)
        return 500

    with receiver(hang) as slow, receiver() as quick:
        with webhooks(tmp_path, slow.url, quick.url) as running:
            running.send(alert())
            quick.wait_for(lambda hook: bool(hook.taken))
            assert not slow.taken
            wait_until(lambda: bool(DeadLetters(tmp_path).read()))
        released.set()
    (dead,) = DeadLetters(tmp_path).read()
    assert dead.letter.url == slow.url
    assert len(slow.requests) == SOON.attempts


def test_an_answer_after_the_timeout_comes_twice_and_counts_once(tmp_path: Path) -> None:
    late = threading.Event()

    def answer(number: int) -> int:
        if number == 0:
            late.wait(20)
        else:
            late.set()
        return 200

    with receiver(answer) as hook:
        with webhooks(tmp_path, hook.url) as running:
            running.send(alert())
            delivered(tmp_path)
        assert len(hook.requests) == 2
        assert {one.id for one in hook.requests} == {"alert-1"}
        assert list(hook.taken) == ["alert-1"]


@pytest.mark.parametrize("status", [302, 307, 400, 404])
def test_what_will_not_change_is_not_tried_again(tmp_path: Path, status: int) -> None:
    with receiver(lambda _: status) as hook:
        with webhooks(tmp_path, hook.url) as running:
            running.send(alert())
            delivered(tmp_path)
        assert len(hook.requests) == 1  # nor followed to where a redirect points
    assert [dead.reason for dead in DeadLetters(tmp_path).read()] == [f"answered {status}"]


def test_what_is_pending_survives_a_restart_in_order(tmp_path: Path) -> None:
    slow = Delivery(attempts=100, first_wait_s=30.0, max_wait_s=30.0, timeout_s=0.5)
    with receiver(lambda _: 503) as hook:
        with webhooks(tmp_path, hook.url, delivery=slow) as running:
            for number in range(3):
                running.send(alert(number))
            hook.wait_for(lambda hook: bool(hook.requests))
        port = int(hook.url.rsplit(":", 1)[1].split("/")[0])
    assert len(Pending(tmp_path / "pending").read()) == 3
    with receiver(port=port) as hook, webhooks(tmp_path, hook.url):
        delivered(tmp_path)
        assert list(hook.taken) == ["alert-0", "alert-1", "alert-2"]


def test_what_is_pending_for_a_receiver_that_is_gone(tmp_path: Path) -> None:
    with receiver() as hook:
        Pending(tmp_path / "pending").add(Letter("alert-1", "https://gone.example/", "{}", 1.0))
        with webhooks(tmp_path, hook.url):
            pass
        assert not hook.requests
    assert [dead.reason for dead in DeadLetters(tmp_path).read()] == [
        "the receiver is not configured any more"
    ]
    assert Pending(tmp_path / "pending").read() == []


def test_a_full_queue_makes_dead_letters(tmp_path: Path) -> None:
    bounded = Delivery(
        attempts=100, first_wait_s=30.0, max_wait_s=30.0, timeout_s=0.5, max_pending=1
    )
    with receiver(lambda _: 503) as hook, webhooks(tmp_path, hook.url, delivery=bounded) as running:
        running.send(alert(0))
        hook.wait_for(lambda hook: bool(hook.requests))
        running.send(alert(1))
        running.send(alert(2))
        assert [dead.letter.id for dead in DeadLetters(tmp_path).read()] == ["alert-2"]


def test_a_disk_that_takes_nothing_delays_no_alert(tmp_path: Path) -> None:
    with receiver() as hook, webhooks(tmp_path, hook.url) as running:
        (tmp_path / "pending").rmdir()
        (tmp_path / "pending").write_text("no folder")
        running.send(alert())
        hook.wait_for(lambda hook: bool(hook.taken))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://10.0.0.1/",
        "ftp://127.0.0.1/",
        "https://",
        "https://user:secret@example.com/",
        "http://127.0.0.1.example.com/",
        "https://example.com:port/",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(InputError) as error:
        Poster([url], SECRET, 1.0)
    assert error.value.field == "alert_webhooks"
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["https://example.com/hook", "http://[::1]:80/", "http://localhost/"]
)
def test_urls_that_are_taken(url: str) -> None:
    assert Poster([url], SECRET, 1.0).urls == (url,)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", SECRET[6:], SECRET + "*"])
def test_secrets_that_are_refused(secret: str) -> None:
    with pytest.raises(InputError) as error:
        Poster(["https://example.com/"], secret, 1.0)
    assert error.value.field == "alert_webhook_secret"


def test_nothing_is_sent_where_nobody_configured_it() -> None:
    with receiver() as hook:
        poster = Poster(["https://example.com/"], SECRET, 1.0)
        with pytest.raises(DeliveryError, match="not configured"):
            poster.post(Letter("alert-1", hook.url, "{}", 1.0))
        assert not hook.requests


def test_the_verifier_of_the_docs(tmp_path: Path) -> None:
    docs = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text("utf-8")
    (code,) = [block for block in docs.split("```python\n")[1:] if "def verify" in block]
    names: dict[str, Callable[..., None]] = {}
    exec(code.split("```")[0], names)
    verify = names["verify"]
    with receiver() as hook, webhooks(tmp_path, hook.url) as running:
        running.send(alert())
        delivered(tmp_path)
        (got,) = hook.requests
    verify(SECRET, got.headers, got.body)
    at = int(got.headers["webhook-timestamp"])
    for headers, body, now_s in (
        (got.headers, got.body + b" ", at),
        (got.headers | {"webhook-id": "alert-2"}, got.body, at),
        (got.headers | {"webhook-timestamp": str(at + 1)}, got.body, at),
        (got.headers, got.body, at + 301),
    ):
        with pytest.raises(ValueError):
            verify(SECRET, headers, body, now_s)
