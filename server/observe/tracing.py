"""OpenTelemetry traces, where the setting `otlp_endpoint` asks for them.

A span a request, a child a stage. The caller's traceparent is honoured. Attributes are the
method, the status and the request's id: never content, and of an error never its message.
The SDK's own OTEL_* variables set the rest, such as the sampler or the collector's certificate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modalities.errors import UnavailableError
from server.logs import REQUEST

if TYPE_CHECKING:
    import grpc
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

EXPORT_S = 3.0  # that the collector may take; the end of the server waits as long
SERVER_ERRORS = ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE")

_provider: TracerProvider | None = None
_tracer: Tracer | None = None


def begin(endpoint: str) -> None:
    """Send spans to the collector at `endpoint`, a URL such as http://127.0.0.1:4317 (gRPC).

    Raises UnavailableError where the extra is not installed.
    """
    global _provider, _tracer
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"traces need {error.name}, which is not installed", "install emotion-service[otel]"
        ) from error
    provider = TracerProvider(
        resource=Resource.create({"service.name": "emotion"}), shutdown_on_exit=False
    )
    exporter = OTLPSpanExporter(
        endpoint, insecure=not endpoint.startswith("https://"), timeout=EXPORT_S
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _provider, _tracer = provider, provider.get_tracer("emotion")


def end() -> None:
    """Send what is left."""
    global _provider, _tracer
    if _provider is not None:
        _provider.shutdown()
    _provider = _tracer = None


@contextmanager
def span(name: str) -> Iterator[None]:
    """A stage of the request that is under way in this context, if one is."""
    if _tracer is None or REQUEST.get() is None:
        yield
        return
    with _tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False):
        yield


def request_span(
    service: str, method: str, context: grpc.aio.ServicerContext
) -> RequestSpan | None:
    """The span of one request, current in this context from here on; None without traces."""
    if _tracer is None:
        return None
    return RequestSpan(_tracer, service, method, context.invocation_metadata() or ())


class RequestSpan:
    """See `request_span`."""

    def __init__(
        self, tracer: Tracer, service: str, method: str, metadata: Iterable[tuple[str, Any]]
    ) -> None:
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {key: value for key, value in metadata if key in ("traceparent", "tracestate")}
        self._span = tracer.start_span(
            f"{service}/{method}",
            TraceContextTextMapPropagator().extract(carrier),
            kind=trace.SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": method},
        )
        context.attach(trace.set_span_in_context(self._span))

    @property
    def trace_id(self) -> str:
        """As in traceparent."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def end(self, code: int, code_name: str, request_id: str) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("rpc.grpc.status_code", code)
        self._span.set_attribute("emotion.request_id", request_id)
        if code_name in SERVER_ERRORS:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
