"""The models' deployments on a Ray cluster: one application for each revision of a model.

Front ends on one cluster share them, and one that starts again finds them running. Ray Serve's own
HTTP and gRPC doors stay closed: only handles lead in.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from modalities.errors import UnavailableError
from server.engine import Batch
from server.ray_engine.cluster import Cluster
from server.settings import Settings

POLL_S = 0.2
ENDED = ("DEPLOY_FAILED", "DELETING")  # states of an application that will not answer


class RayEngine:
    """Of one front end. Raises UnavailableError where the extra is not installed."""

    # Not fusion: it takes less time than the way to a replica.
    remote = ("text", "voice", "image")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._n_replicas = {
            "text": settings.ray_text_replicas,
            "voice": settings.ray_voice_replicas,
            "image": settings.ray_image_replicas,
        }
        self._cpus = settings.cpu_threads or 1  # of a replica
        self._cluster = Cluster(settings, self._cpus * sum(self._n_replicas.values()))
        self._threads = ThreadPoolExecutor(len(self.remote), "deploy")
        self._lock, self._known = threading.Lock(), threading.Lock()
        self._handles: dict[str, Future[Any]] = {}  # by application
        self._newest: dict[str, str] = {}  # model → application

    async def ready(self, parts: Mapping[str, Any]) -> None:
        """Once models of these names have their replicas; raises UnavailableError."""
        starting = [
            asyncio.wrap_future(self._deploy(name, part.revision))
            for name, part in parts.items()
            if name in self.remote and hasattr(part, "revision")
        ]
        await asyncio.gather(*starting)

    def queue(self, name: str, model: Any, on_batch: Callable[[Batch], None]) -> Any:
        """A RayQueue before the replicas of `model`."""
        from server.ray_engine.queue import RayQueue

        application = self._newest[name] = _application(name, model.revision)
        return RayQueue[Any, Any](
            model,
            partial(self._deploy, name, model.revision),
            partial(self._end, name, application),
            self._n_replicas[name],
            max_queued_batches=self.settings.max_queued_batches,
            batch_wait_s=self.settings.batch_wait_ms / 1000,
            on_batch=on_batch,
        )

    def close(self) -> None:
        """Leave the cluster; other front ends' replicas go on."""
        self._threads.shutdown(cancel_futures=True)
        self._cluster.leave()

    def _deploy(self, name: str, revision: str) -> Future[Any]:
        """The handle of a model's replicas, as soon as they answer; what failed is tried again."""
        application = _application(name, revision)
        with self._known:
            handle = self._handles.get(application)
            if handle is None or (handle.done() and handle.exception() is not None):
                handle = self._threads.submit(self._start, application, name, revision)
                self._handles[application] = handle
        return handle

    def _start(self, application: str, name: str, revision: str) -> Any:
        self._cluster.join()
        from ray import serve

        with self._lock:  # Ray Serve's functions are not for two threads at once
            serve.start(proxy_location="Disabled")
            running = serve.status().applications.get(application)
            if running is None or running.status in ENDED:
                targets = [serve.RunTarget(self._target(name, revision), application, None)]
                serve.run_many(targets, wait_for_applications_running=False)
        while True:
            with self._lock:
                found = serve.status().applications[application]
                if found.status == "RUNNING":
                    return serve.get_app_handle(application)
            if found.status in ENDED:
                raise UnavailableError(
                    f"the replicas of model {name} do not start: {_last_line(found)}",
                    "see 'serve status' and the replica's log on the Ray cluster",
                )
            time.sleep(POLL_S)

    def _target(self, name: str, revision: str) -> Any:
        from ray import serve

        from server.ray_engine.replica import Replica, settings_for

        deployment = serve.deployment(
            Replica,
            name=name,
            num_replicas=self._n_replicas[name],
            max_ongoing_requests=2,
            ray_actor_options={"num_cpus": self._cpus, "num_gpus": self.settings.ray_gpus},
            graceful_shutdown_timeout_s=self.settings.drain_s,
        )
        told = settings_for(name, self.settings)
        return deployment.bind(name, revision, told, os.environ.get("EMOTION_REGISTRY"))

    def _end(self, name: str, application: str) -> None:
        """Take down what no call of this front end needs any more, now that a newer one serves."""
        if self._newest[name] == application:
            return
        with self._known:
            del self._handles[application]
        from ray import serve

        with self._lock:
            serve.delete(application, _blocking=False)


def _application(name: str, revision: str) -> str:
    return f"emotion-{name}-{revision}"


def _last_line(application: Any) -> str:
    """Of why its replicas died, where one did."""
    reasons = [application.message, *(one.message for one in application.deployments.values())]
    return next((text.strip().splitlines()[-1] for text in reversed(reasons) if text.strip()), "")
