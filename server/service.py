"""The server's life: load, bind, warm up, serve, and on SIGTERM or SIGINT finish and stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys

import grpc
from emotion.v1 import emotion_service_pb2, model_service_pb2
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from server import health, models, promotions
from server.alerts.service import ALERTS, AlertHandlers
from server.calls.batch import OPERATIONS, CallJobs
from server.calls.live import LiveCalls
from server.catalogue import Catalogue
from server.conversations.service import CONVERSATIONS, ConversationHandlers
from server.feedback.service import FEEDBACK, FeedbackHandlers
from server.follow import Followers
from server.logs import LOG
from server.models import Models
from server.observe import metrics, probes, tracing
from server.parsing import Parsing
from server.pipeline import Pipeline
from server.rpc import (
    Gate,
    refusal,
    service_handlers,
    stream_handlers,
    subscription_handlers,
    unary_handlers,
)
from server.security.guard import Guard
from server.security.tls import listen
from server.security.tokens import TokenFile, Tokens
from server.settings import Settings
from server.takers import Takers
from server.warmup import warm_up
from server.workers.pool import DECODERS
from training.learn.registry import Registry

EMOTION = emotion_service_pb2.DESCRIPTOR.services_by_name["EmotionService"]
MODEL = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]
LAST_ANSWERS_S = 1.0  # for health watchers and answers on their way, once all work is done
DECODERS_AT_START = 2  # a recording's and a picture's; more are started as they are needed
YOUNG_OBJECTS = 20_000  # made since, before the collector looks for cycles: of about 20 requests


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's, with which a server answers about a seventh more texts; it is not for Windows."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises what `models.load`, `listen` and `Tokens` raise.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    guards = [Guard(Tokens(TokenFile(settings.tokens)), refusal)] if settings.tokens else []
    n_half = max(1, settings.max_concurrent_requests // 2)
    server = grpc.aio.server(
        interceptors=guards,
        options=[
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            # Else up to 3,000 calls wait here for seconds, unseen by the gate; see docs/faults.md.
            ("grpc.server.max_pending_requests", n_half),
            ("grpc.server.max_pending_requests_hard_limit", n_half),
            ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a twin
        ],
    )
    takers = Takers(server, guards)
    loaded = await asyncio.to_thread(models.load, settings)
    port = listen(server, settings)
    if settings.otlp_endpoint:
        tracing.begin(settings.otlp_endpoint)
    followers = await asyncio.to_thread(Followers.open, settings)
    pipeline = Pipeline(loaded, settings, followers)
    jobs = CallJobs(pipeline)
    gate = Gate(
        settings.max_concurrent_requests, settings.max_request_s, settings.max_bytes_under_way
    )
    streams = Gate(settings.max_streams)
    registry = Registry.of_environment()
    background: list[asyncio.Task[None]] = []
    try:
        if settings.metrics_port is not None:
            state = metrics.ServerState(pipeline, (gate, streams))
            metrics.listen(settings.observe_host, settings.metrics_port, state)
        await pipeline.runner.ready(**vars(loaded))
        await asyncio.to_thread(DECODERS.start, DECODERS_AT_START)
        await warm_up(pipeline.runner)
        _settle_memory()
        if registry:
            background.append(asyncio.create_task(promotions.follow(pipeline.runner, registry)))
        health_servicer, names = await _add_services(server, takers, pipeline, jobs, gate, streams)
        watching = health.follow(pipeline.runner, health_servicer, names)
        background.append(asyncio.create_task(watching))
        _log_missing(loaded)
        await server.start()
        background += takers.start(n_half)  # the others, up to all that may run, come one by one
        probed = await probes.serve(health_servicer, settings)
        LOG.info("serving", extra={"address": f"{settings.host}:{port}", "device": loaded.device})
        await stop.wait()
        LOG.info("stopping")
        await health_servicer.enter_graceful_shutdown()
        *drained, _ = await asyncio.gather(
            gate.drain(settings.drain_s), streams.drain(settings.drain_s), jobs.close()
        )
        finished = all(drained)
        await server.stop(LAST_ANSWERS_S if finished else 0)
        if probed:
            await probed.stop(0)
    finally:
        for task in background:
            task.cancel()
        await pipeline.close()
        await asyncio.to_thread(followers.close)
        await asyncio.to_thread(tracing.end)
    LOG.info("stopped", extra={"finished": finished})


async def _add_services(
    server: grpc.aio.Server,
    takers: Takers,
    pipeline: Pipeline,
    jobs: CallJobs,
    gate: Gate,
    streams: Gate,
) -> tuple[grpc_health.aio.HealthServicer, list[str]]:
    """The health service, and the names of the others, all SERVING."""
    catalogue = Catalogue(pipeline.models, pipeline.settings)
    settings, followers = pipeline.settings, pipeline.followers
    feedback = FeedbackHandlers(
        followers.store,
        keep_content=settings.store_content,
        max_characters=settings.max_text_characters,
    )
    alerting = followers.alerting
    alerts = AlertHandlers(alerting.log if alerting else None)
    conversations = ConversationHandlers(
        followers.store, followers.live, negative_below=settings.negative_below
    )
    analyze = unary_handlers(EMOTION, {"AnalyzeEmotion": pipeline.analyze}, gate)
    takers.add(EMOTION.full_name, analyze)
    server.add_generic_rpc_handlers(
        (
            service_handlers(
                EMOTION,
                {
                    "AnalyzeConversation": pipeline.analyze_conversation,
                    "BatchAnalyzeCalls": jobs.start,
                },
                gate,
            ),
            stream_handlers(
                EMOTION,
                {"StreamCall": LiveCalls(pipeline).stream_call},
                streams,
                pipeline.settings.stream_idle_s,
            ),
            service_handlers(OPERATIONS, jobs.handlers(), gate),
            service_handlers(
                FEEDBACK,
                {
                    "CreateFeedback": feedback.create_feedback,
                    "ListFeedback": feedback.list_feedback,
                    "ListReviewItems": feedback.list_review_items,
                },
                gate,
            ),
            service_handlers(
                CONVERSATIONS,
                {
                    "ListConversations": conversations.list_conversations,
                    "GetConversation": conversations.get_conversation,
                    "ListTrends": conversations.list_trends,
                },
                gate,
            ),
            subscription_handlers(
                CONVERSATIONS,
                {"StreamConversations": conversations.stream_conversations},
                streams,
            ),
            service_handlers(ALERTS, {"ListAlerts": alerts.list_alerts}, gate),
            subscription_handlers(ALERTS, {"StreamAlerts": alerts.stream_alerts}, streams),
            service_handlers(
                MODEL,
                {
                    "ListModels": catalogue.list_models,
                    "GetModel": catalogue.get_model,
                    "GetServiceLimits": catalogue.get_service_limits,
                },
                gate,
            ),
        )
    )
    health_servicer = grpc_health.aio.HealthServicer()
    serving = health_pb2.HealthCheckResponse.SERVING
    services = (EMOTION, MODEL, FEEDBACK, CONVERSATIONS, ALERTS, OPERATIONS)
    names = [service.full_name for service in services]
    for name in names:
        await health_servicer.set(name, serving)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, Parsing(server))
    reflected = (*names, grpc_health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
        reflection.aio.ReflectionServicer(reflected), Parsing(server)
    )
    return health_servicer, names


def _settle_memory() -> None:
    """Leave what has been loaded, which stays, out of every search for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


def _log_missing(loaded: Models) -> None:
    for name, error in loaded.missing.items():
        LOG.warning(
            "model not available",
            extra={"model": name, "reason": error.reason, "remedy": error.remedy},
        )
