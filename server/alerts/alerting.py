"""All of it: the watch, the log of alerts and the webhooks, over one folder."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from modalities.errors import UnavailableError
from server.alerts.log import AlertLog
from server.alerts.watch import Watch, WatchOptions
from server.alerts.webhook import Delivery, Poster, Webhooks
from server.errors import StateError


class Alerting:
    """In `folder`: state.json, alerts.jsonl, pending/ and dead-letters.jsonl.

    poster  the receivers, none where it has no URL

    Raises StateError where another process has the folder, UnavailableError where it cannot be
    written.
    """

    def __init__(
        self, folder: Path, options: WatchOptions, poster: Poster, delivery: Delivery
    ) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = FileLock(folder / "lock")
            self._lock.acquire(blocking=False)
        except Timeout:
            raise StateError(
                f"another server has {folder}", "give each its own folder of alerts"
            ) from None
        except OSError as error:
            raise UnavailableError(
                f"{folder} cannot be used ({type(error).__name__})",
                "choose another folder with the setting alerts",
            ) from None
        self.log = AlertLog(folder / "alerts.jsonl")
        self.webhooks = Webhooks(poster, folder, delivery)
        self.watch = Watch(options, self.log, [self.webhooks.send], folder / "state.json")

    def close(self) -> None:
        """Count what has ended; what is not delivered by then is at the next start."""
        self.watch.close()
        self.webhooks.close()
        self._lock.release()
