"""Spans by OpenTelemetry, sent over OTLP: the extra ``trace``, and off by default."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
)
from opentelemetry.sdk.trace.sampling import (
    Decision,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind
from opentelemetry.trace.span import TraceFlags
from opentelemetry.util.types import Attributes as OtelAttributes

from placement.tracing import LINKS_MAX, Attributes, ids_of, sampled

METHOD: Final = "/"
"""In the name of a span, which then is a call's."""
KINDS: Final = {
    "append": SpanKind.PRODUCER,
    "fold": SpanKind.CONSUMER,
    "copy": SpanKind.CONSUMER,
}


class LinkedSampler(Sampler):
    """Samples what its parent or any of its links is sampled by, else a share."""

    def __init__(self, share: float) -> None:
        """Sample *share*, 0 to 1, of what follows from nothing."""
        self._roots = TraceIdRatioBased(share)

    def should_sample(  # noqa: PLR0913, PLR0917 - the library's
        self,
        parent_context: otel_context.Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: OtelAttributes = None,
        links: Sequence[Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> SamplingResult:
        """Decide."""
        parent = trace.get_current_span(parent_context).get_span_context()
        if parent.is_valid:
            wanted = parent.trace_flags.sampled
        elif any(link.context.trace_flags.sampled for link in links or ()):
            wanted = True
        else:
            return self._roots.should_sample(
                parent_context, trace_id, name, kind, attributes, links, trace_state
            )
        decision = Decision.RECORD_AND_SAMPLE if wanted else Decision.DROP
        return SamplingResult(decision, attributes)

    def get_description(self) -> str:
        """Say what it is."""
        return "by parent and links"


class OtelTracer:
    """A Tracer of one process."""

    def __init__(
        self, exporter: SpanExporter, share: float, service: str, *, at_once: bool
    ) -> None:
        """Send spans to *exporter*: in batches, or *at_once*, which is for tests."""
        resource = Resource.create({"service.name": service})
        self._provider = TracerProvider(sampler=LinkedSampler(share), resource=resource)
        processor = SimpleSpanProcessor if at_once else BatchSpanProcessor
        self._provider.add_span_processor(processor(exporter))
        self._tracer = self._provider.get_tracer("placement")

    def span(
        self, name: str, parent: str, links: Iterable[str], attributes: Attributes
    ) -> AbstractContextManager[None]:
        """Be in a span within the block; see ``Tracer``."""
        return self._within(name, parent, links, attributes)

    @contextmanager
    def _within(
        self, name: str, parent: str, links: Iterable[str], attributes: Attributes
    ) -> Iterator[None]:
        with self._tracer.start_as_current_span(
            name,
            context=_context(parent),
            kind=_kind(name),
            attributes=attributes,
            links=[Link(_span_context(each)) for each in list(links)[:LINKS_MAX]],
        ):
            yield

    def told(
        self, name: str, parent: str, began_ns: int, attributes: Attributes
    ) -> str:
        """Make a span that ends now; see ``Tracer``."""
        made = self._tracer.start_span(
            name,
            context=_context(parent),
            kind=_kind(name),
            attributes=attributes,
            start_time=began_ns,
        )
        made.end()
        return _written(made.get_span_context())

    def current(self) -> str:
        """Return the context of the span that we are in; empty: of none."""
        return _written(trace.get_current_span().get_span_context())

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def exporting(endpoint: str, share: float, service: str) -> OtelTracer:
    """Return a tracer that sends to *endpoint*, OTLP over gRPC; http: without TLS."""
    insecure = endpoint.startswith("http://")
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=insecure)
    return OtelTracer(exporter, share, service, at_once=False)


def _kind(name: str) -> SpanKind:
    return SpanKind.SERVER if METHOD in name else KINDS.get(name, SpanKind.INTERNAL)


def _context(parent: str) -> otel_context.Context | None:
    if not parent:
        return None
    return trace.set_span_in_context(
        NonRecordingSpan(_span_context(parent)), otel_context.Context()
    )


def _span_context(written: str) -> SpanContext:
    ids = ids_of(written)
    assert ids is not None, "a context was parsed before"
    flags = TraceFlags.SAMPLED if sampled(written) else TraceFlags.DEFAULT
    return SpanContext(
        int(ids.trace_id, 16),
        int(ids.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(flags),
    )


def _written(context: SpanContext) -> str:
    if not context.is_valid:
        return ""
    flags = int(context.trace_flags)
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"
