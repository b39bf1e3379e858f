"""`emotion score-calls --engine ray`: recordings by Ray Data, a few at a time in each process.

The rows come back to the one process that keeps the journal, so that a run can be killed and gone
on with as one on this machine can. Every machine must see the recordings at the same paths.
"""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from server import models
from server.calls.jobs import Job, revisions, row_of, writing
from server.calls.recorded import CallOptions, Recording
from server.pipeline import Pipeline
from server.ray_engine.cluster import Cluster
from server.ray_engine.replica import settings_for
from server.settings import Settings


class FileScorer:
    """One process: the models, and the function that scores a file with them."""

    def __init__(
        self,
        settings: dict[str, Any],
        registry: str | None,
        options: bytes,
        wanted: dict[str, str],
    ) -> None:
        """`wanted` are the models' revisions; raises RuntimeError where others are found."""
        if registry:
            os.environ["EMOTION_REGISTRY"] = registry
        self._settings = Settings(**settings)
        self._options: CallOptions = pickle.loads(options)
        self._models = models.load(self._settings, pictures=False)
        if (found := revisions(self._models)) != wanted:
            raise RuntimeError(f"the models are {found} here and {wanted} at the command")

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Pickled recordings → pickled (recording, row, seconds of audio)."""
        recordings = [pickle.loads(one) for one in batch["recording"]]
        return {"scored": [pickle.dumps(one) for one in asyncio.run(self._score(recordings))]}

    async def _score(self, recordings: list[Recording]) -> list[tuple[Recording, Any, float]]:
        async with Pipeline(self._models, self._settings) as pipeline:

            async def one(recording: Recording) -> tuple[Recording, Any, float]:
                seconds: list[float] = []
                row = await row_of(recording, pipeline, self._options, seconds.append)
                return recording, row, sum(seconds)

            return await asyncio.gather(*map(one, recordings))


async def run(job: Job, settings: Settings) -> None:
    """As `Job.run`, on the cluster of `settings`; raises, too, UnavailableError."""
    cluster = Cluster(settings, 1)
    try:
        ray = await asyncio.to_thread(cluster.join)
        scored = _scored(ray, job, settings)
        while (one := await asyncio.to_thread(next, scored, None)) is not None:
            recording, row, seconds = one
            job.progress.heard(seconds)
            with writing():
                await job.keep(recording, row)
        with writing():
            await job.finish()
    finally:
        job.journal.close()
        await asyncio.to_thread(cluster.leave)


def _scored(ray: Any, job: Job, settings: Settings) -> Iterator[tuple[Recording, Any, float]]:
    from ray.data import ActorPoolStrategy, DataContext

    left = [pickle.dumps(_everywhere(recording)) for recording in job.left()]
    if not left:
        return
    DataContext.get_current().enable_progress_bars = False
    n = settings.calls_at_once
    cpus = settings.cpu_threads or 1
    n_processes = int(ray.cluster_resources().get("CPU", 1) // cpus)
    if settings.ray_gpus:
        n_processes = int(ray.cluster_resources().get("GPU", 0) // settings.ray_gpus)
    blocks = -(-len(left) // n)
    data = ray.data.from_items([{"recording": one} for one in left], override_num_blocks=blocks)
    found = data.map_batches(
        FileScorer,
        fn_constructor_args=(
            settings_for("calls", settings),
            os.environ.get("EMOTION_REGISTRY"),
            pickle.dumps(job.options),
            job.models,
        ),
        batch_size=n,
        num_cpus=cpus,
        num_gpus=settings.ray_gpus,
        compute=ActorPoolStrategy(size=max(1, min(n_processes, blocks))),
    )
    for row in found.iter_rows():
        yield pickle.loads(row["scored"])


def _everywhere(recording: Recording) -> Recording:
    """The processes have other working directories."""
    return Recording(
        recording.name, Path(recording.path).resolve(), recording.size_bytes, recording.modified_at
    )
