"""Log lines on standard error: JSON, or colours on a terminal. UTC, and no payloads."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from placement.tracing import current, ids_of

TEXT_LENGTH_MAX: Final = 1_024
"""A value that is longer is somebody's content, and is cut."""


def configure_logs(log_format: str = "auto", level: str = "info") -> None:
    """Send every log line of the process to standard error.

    *log_format* is ``json``, ``console``, or ``auto``: console on a terminal. *level*
    is ``debug``, ``info``, ``warning`` or ``error``; the libraries' own lines come from
    ``warning`` on.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        with_trace,
        without_payloads,
    ]
    last = _rendering(console=console)
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    _capture_libraries(shared, last, max(number, logging.WARNING))


def with_trace(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Return *line* with the trace and the span that it is written in, if any."""
    ids = ids_of(current())
    if ids is not None:
        line["trace_id"], line["span_id"] = ids
    return line


def without_payloads(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Return *line* with bytes as their length, and long texts cut."""
    for key, value in line.items():
        if isinstance(value, (bytes, bytearray, memoryview)):
            line[key] = f"{len(value)} bytes"
        elif isinstance(value, str) and len(value) > TEXT_LENGTH_MAX:
            line[key] = f"{value[:TEXT_LENGTH_MAX]}... ({len(value)} characters)"
    return line


def _rendering(*, console: bool) -> list[structlog.typing.Processor]:
    """Return what writes a line; tracebacks go without locals, which hold secrets."""
    if console:
        plain = structlog.dev.plain_traceback
        colors = sys.stderr.isatty()
        return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    tracebacks = structlog.processors.ExceptionRenderer(transformer)
    return [tracebacks, structlog.processors.JSONRenderer()]


def _capture_libraries(
    shared: list[structlog.typing.Processor],
    last: list[structlog.typing.Processor],
    level: int,
) -> None:
    """Give the lines of nats, grpc, uvicorn and asyncio the same shape."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
