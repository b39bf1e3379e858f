"""A running server follows the registry's pointer: what is promoted is loaded beside what serves.

The file is verified and the model run once in a thread; requests are answered all the while, and
those that have begun are answered to their end by the models that they began with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from modalities.checkpoint import sha256
from modalities.errors import EmotionError
from server.health import item_for
from server.logs import LOG
from server.models import Models, reload
from server.runner import Runner
from server.settings import Settings
from training.learn.registry import PARTS, Registry

POLL_S = 1.0


async def follow(runner: Runner, registry: Registry) -> None:
    """Until it is cancelled, serve what the registry says. A version that cannot be served is
    logged, and what serves goes on."""
    seen: dict[str, str] = {}
    while True:
        for part in PARTS:
            try:
                name = registry.history(part)[-1]
                if seen.get(part) != name:
                    seen[part] = name  # tried once: it would be the same again
                    await _take(part, runner, registry)
            except EmotionError as error:
                LOG.error("not promoted", extra={"model": part, "reason": str(error)})
            except Exception:
                LOG.exception("not promoted", extra={"model": part})
        await asyncio.sleep(POLL_S)


async def _take(part: str, runner: Runner, registry: Registry) -> None:
    wanted = await asyncio.to_thread(_revision, part, registry, runner.settings)
    if wanted == _served(part, runner.models):
        return
    parts = await asyncio.to_thread(_loaded, part, runner.models, runner.settings)
    await runner.ready(**parts)
    runner.promote(**parts)
    LOG.info("promoted", extra={"model": part, "revision": wanted})


def _revision(part: str, registry: Registry, settings: Settings) -> str:
    version = registry.current(part)
    path = version.checkpoint if version else settings.weights / f"{part}.safetensors"
    return sha256(path)[:12]


def _served(part: str, models: Models) -> str:
    model = getattr(models, part)
    embedded = getattr(model, "fallback", None) or model
    return embedded.revision if embedded else ""


def _loaded(part: str, models: Models, settings: Settings) -> Mapping[str, Any]:
    """Verified, loaded, and run once."""
    parts = reload(part, models, settings)
    model = parts[part]
    model.infer([item_for(part, model)])
    return parts
