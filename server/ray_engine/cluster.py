"""A Ray cluster: joined where it has an address, else started on this machine and ended with it."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
from types import ModuleType

from modalities.errors import UnavailableError
from server.settings import Settings

OBJECT_STORE_BYTES = 200 << 20  # of a cluster started here: batches on their way


def _ray(address: str | None) -> ModuleType:
    """The module, which reads its environment when it is first imported; raises UnavailableError
    where the extra is not installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # they tell Ray's makers of each cluster
    if address is None and "ray" not in sys.modules:
        os.environ.setdefault("RAY_worker_niceness", "0")  # not 15: nothing here goes before them
        # Whoever reaches a cluster can run programs on it: this one has a token of its own.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
        from ray import data, serve  # noqa: F401 (all parts of the extra)
    except ImportError:
        raise UnavailableError(
            "the engine 'ray' needs Ray, which is not installed",
            "pip install 'emotion-service[ray]', or use the engine 'local'",
        ) from None
    return ray


class Cluster:
    """Of this process; whoever joined it before keeps it.

    `slots` is how many CPUs a cluster started here must at least claim to have: Ray places nothing
    where it counts too few.
    """

    def __init__(self, settings: Settings, slots: int) -> None:
        self._ray = _ray(settings.ray_address)
        self._address, self._slots = settings.ray_address, slots
        self._joining, self._joined = threading.Lock(), False

    def join(self) -> ModuleType:
        """The module `ray`, connected. Not for the main thread of a server: Ray would take its
        SIGTERM. Raises UnavailableError."""
        ray = self._ray
        with self._joining:
            if not ray.is_initialized():
                self._init()
                self._joined = True
        return ray

    def leave(self) -> None:
        """Nothing of a cluster that was started here goes on."""
        with self._joining:
            if self._joined:
                self._ray.shutdown()
                self._joined = False

    def _init(self) -> None:
        for name in ("ray", "ray.serve", "ray.data"):
            logging.getLogger(name).setLevel(logging.ERROR)
        # What workers print stays in Ray's files.
        quiet = {"log_to_driver": False, "configure_logging": False}
        if self._address:
            try:
                self._ray.init(address=self._address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise UnavailableError(
                    f"there is no Ray cluster at {self._address}: {type(error).__name__}",
                    "start one ('ray start --head'), or leave ray_address out",
                ) from error
            return
        self._ray.init(
            address="local",
            num_cpus=max(os.cpu_count() or 1, self._slots),
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            **quiet,
        )
