"""Metrics as Prometheus reads them, written family by family: a scrape holds nobody up.

What is told of one family is of one moment; between families others may run.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SAMPLES_MAX: Final = 500
"""So many are written in one go; a family of more is written in parts."""
END: Final = b"# EOF\n"
"""What OpenMetrics has behind the last family, and the older text has not."""


class _One(Collector):
    """A registry of one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)


def metrics_page(registry: CollectorRegistry) -> Route:
    """Return GET /metrics."""

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        parts, ended = [], False
        for family in registry.collect():
            for number, part in enumerate(parts_of(family)):
                text = encode(_One(part))
                ended = text.endswith(END)
                text = text.removesuffix(END)
                parts.append(_headless(text) if number else text)
                await asyncio.sleep(0)
        body = b"".join(parts) + (END if ended else b"")
        return Response(body, headers={"content-type": content_type})

    return Route("/metrics", metrics, methods=["GET"])


def parts_of(family: Metric) -> Iterator[Metric]:
    """Yield *family*, in several parts where it has many samples."""
    samples = family.samples
    if len(samples) <= SAMPLES_MAX:
        yield family
        return
    for begin in range(0, len(samples), SAMPLES_MAX):
        part = Metric(family.name, family.documentation, family.type, family.unit)
        part.samples = samples[begin : begin + SAMPLES_MAX]
        yield part


def _headless(text: bytes) -> bytes:
    """Return *text* without its lines of help and type, which may come only once."""
    lines = text.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"# "))
