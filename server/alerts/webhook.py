"""Alerts to webhooks: one signed POST each, tried again until it is taken or given up.

Signed as standardwebhooks.com says: HMAC-SHA256 over "id.timestamp.body", so that receivers find
a verifier in most languages. The id is the alert's, and the key by which a receiver drops what it
has already: an answer that came too late is followed by the same alert once more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from emotion.v1.alert_service_pb2 import Alert
from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_any,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)

from modalities.errors import EmotionError, InputError
from server.alerts.letters import DeadLetters, Letter, Pending
from server.alerts.log import to_json
from server.logs import LOG

SECRET_BYTES = 24  # at least
TRY_AGAIN = (408, 425, 429)  # beside 5xx; another refusal will not change


class DeliveryError(EmotionError):
    """A receiver did not take an alert; `again` says whether it may yet."""

    def __init__(self, reason: str, again: bool) -> None:
        super().__init__(reason)
        self.again = again


@dataclass(frozen=True)
class Delivery:
    """How an alert is delivered.

    attempts     before it is a dead letter, after about two minutes with these waits
    first_wait_s after the first failure, then twice as long each time up to max_wait_s; to each a
                 random part of first_wait_s is added
    timeout_s    of one attempt's connection, and of each wait for a part of the answer
    max_pending  of one receiver; beyond it an alert is a dead letter at once
    """

    attempts: int = 8
    first_wait_s: float = 1.0
    max_wait_s: float = 60.0
    timeout_s: float = 10.0
    max_pending: int = 1000


class Poster:
    """Posts letters to the receivers that are configured, and to no others."""

    def __init__(self, urls: Sequence[str], secret: str, timeout_s: float) -> None:
        """Raises InputError where a URL is not https (or http to this machine), or where the
        secret is not "whsec_" and 24 bytes or more in base64."""
        for url in urls:
            _check(url)
        self.urls = tuple(urls)
        self._key = _key(secret) if urls else b""
        self._timeout = urllib3.Timeout(total=timeout_s)
        self._http = urllib3.PoolManager(retries=False)

    def post(self, letter: Letter) -> None:
        """Raises DeliveryError."""
        if letter.url not in self.urls:
            raise DeliveryError("the receiver is not configured any more", again=False)
        body = letter.body.encode()
        headers = {
            "content-type": "application/json",
            **signature_headers(self._key, letter.id, int(time.time()), body),
        }
        try:
            response = self._http.request(
                "POST",
                letter.url,
                body=body,
                headers=headers,
                timeout=self._timeout,
                redirect=False,  # a receiver elsewhere would be one nobody configured
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise DeliveryError(f"no answer ({type(error).__name__})", again=True) from None
        response.close()  # its body says nothing to us
        if not 200 <= response.status < 300:
            again = response.status >= 500 or response.status in TRY_AGAIN
            raise DeliveryError(f"answered {response.status}", again)


class Webhooks:
    """One thread a receiver, so that one that hangs holds up no other; in order for each."""

    def __init__(self, poster: Poster, folder: Path, delivery: Delivery) -> None:
        self._poster, self._delivery = poster, delivery
        self._pending, self._dead = Pending(folder / "pending"), DeadLetters(folder)
        self._closing = threading.Event()
        self._queues: dict[str, queue.SimpleQueue[Letter | None]] = {
            url: queue.SimpleQueue() for url in poster.urls
        }
        for letter in self._pending.read():
            if letter.url in self._queues:
                self._queues[letter.url].put(letter)
            else:
                self._give_up(letter, "the receiver is not configured any more")
        self._threads = [
            threading.Thread(target=self._run, args=(waiting,), name="webhook", daemon=True)
            for waiting in self._queues.values()
        ]
        for thread in self._threads:
            thread.start()

    def send(self, alert: Alert) -> None:
        """To all receivers; it is on disk when this returns, if the disk takes it."""
        for url, waiting in self._queues.items():
            letter = Letter(alert.id, url, to_json(alert), time.time())
            if waiting.qsize() >= self._delivery.max_pending:
                self._give_up(letter, f"{self._delivery.max_pending} alerts were waiting")
                continue
            try:
                self._pending.add(letter)
            except OSError as error:  # it is delivered all the same, unless the server stops
                LOG.error("an alert could not be kept", extra={"reason": type(error).__name__})
            waiting.put(letter)

    def close(self) -> None:
        """Stop; what is not delivered is tried again at the next start."""
        self._closing.set()
        for waiting in self._queues.values():
            waiting.put(None)
        for thread in self._threads:
            thread.join(self._delivery.timeout_s + 1.0)

    def _run(self, waiting: queue.SimpleQueue[Letter | None]) -> None:
        while (letter := waiting.get()) is not None and not self._closing.is_set():
            try:
                self._deliver(letter)
            except Exception:  # of the disk, say; it is tried again at the next start
                LOG.exception("an alert is still pending", extra={"alert": letter.id})

    def _deliver(self, letter: Letter) -> None:
        delivery = self._delivery
        attempts = Retrying(
            stop=stop_any(
                stop_after_attempt(delivery.attempts), stop_when_event_set(self._closing)
            ),
            wait=wait_exponential(delivery.first_wait_s, delivery.max_wait_s)
            + wait_random(0, delivery.first_wait_s),
            retry=retry_if_exception(_may_yet),
            sleep=sleep_using_event(self._closing),
            reraise=True,
        )
        try:
            attempts(self._poster.post, letter)
        except DeliveryError as error:
            if not (error.again and self._closing.is_set()):
                self._give_up(letter, str(error))
        else:
            LOG.info("alert delivered", extra={"alert": letter.id, "host": host_of(letter.url)})
            self._pending.remove(letter)

    def _give_up(self, letter: Letter, reason: str) -> None:
        LOG.error(
            "alert not delivered",
            extra={"alert": letter.id, "host": host_of(letter.url), "reason": reason},
        )
        self._dead.add(letter, reason)
        self._pending.remove(letter)


def signature_headers(key: bytes, id: str, timestamp_s: int, body: bytes) -> Mapping[str, str]:
    signed = f"{id}.{timestamp_s}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": f"v1,{signature}",
    }


def host_of(url: str) -> str:
    """What may be logged of a URL: its path often holds a token."""
    return urlsplit(url).hostname or ""


def _may_yet(error: BaseException) -> bool:
    return isinstance(error, DeliveryError) and error.again


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise InputError("a URL cannot be understood", "alert_webhooks") from None
    if parts.username is not None or not host:
        raise InputError("a URL with a host and without a user is needed", "alert_webhooks")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise InputError(f"https is needed to {host}; http only to this machine", "alert_webhooks")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key(secret: str) -> bytes:
    try:
        prefix, encoded = secret[:6], secret[6:]
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if prefix != "whsec_" or len(key) < SECRET_BYTES:
        raise InputError(
            f'"whsec_" and {SECRET_BYTES} bytes or more in base64 are needed',
            "alert_webhook_secret",
        )
    return key
