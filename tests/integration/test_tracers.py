"""Spans leave the process over OTLP where that is asked for, and nowhere else."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import (
    trace_service_pb2 as pb,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from placement import tracing
from placement.core.errors import InputError
from placement.telemetry.tracers import trace_to

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Collector(TraceServiceServicer):
    """An OpenTelemetry collector that keeps what it is sent."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.spans: list[Any] = []
        self.services: set[str] = set()

    def Export(  # noqa: N802 - gRPC's name
        self, request: pb.ExportTraceServiceRequest, context: object
    ) -> pb.ExportTraceServiceResponse:
        """Keep *request*."""
        del context
        for resource in request.resource_spans:
            for attribute in resource.resource.attributes:
                if attribute.key == "service.name":
                    self.services.add(attribute.value.string_value)
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return pb.ExportTraceServiceResponse()


@pytest.fixture
def collected() -> Iterator[tuple[Collector, str]]:
    """A collector that listens, and where."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]  # no stub
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield collector, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def test_spans_reach_the_collector(collected: tuple[Collector, str]) -> None:
    """What is sampled is sent at the latest when tracing ends, under our name."""
    collector, endpoint = collected
    end = trace_to(endpoint, 0.0, "placement-tests")

    with tracing.span("publish", parent=TRACEPARENT, attributes={"events": 3}):
        inside = tracing.headers()
    with tracing.span("publish"):
        unsampled = tracing.headers()
    end()

    (span,) = collector.spans
    assert span.trace_id.hex() == TRACEPARENT[3:35]
    assert span.parent_span_id.hex() == TRACEPARENT[36:52]
    assert inside["traceparent"][36:52] == span.span_id.hex()
    assert unsampled == {}
    assert collector.services == {"placement-tests"}
    assert not tracing.active()


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the key, the value and what to install."""
    monkeypatch.setitem(sys.modules, "placement.telemetry.traces", None)

    with pytest.raises(InputError, match=r"trace.endpoint.*placement\[trace\]"):
        trace_to("http://127.0.0.1:4317", 1.0, "placement")


def test_nothing_is_loaded_while_tracing_is_off() -> None:
    """The service's modules come without OpenTelemetry, which is slow to load."""
    code = (
        "import sys, placement.app, placement.agent_app.running;"
        "from placement.telemetry.tracers import trace_to; trace_to('', 1.0, 'x')();"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", code], check=False)

    assert done.returncode == 0
