"""Chooses the tracer of a process; without one, nothing of OpenTelemetry is loaded."""

from collections.abc import Callable

from placement import tracing
from placement.core.errors import InputError


def trace_to(endpoint: str, share: float, service: str) -> Callable[[], None]:
    """Trace to *endpoint* from now on, and return what ends it; empty: do nothing.

    *share*, 0 to 1, is of what nobody sampled before; *service* names the process.
    Raises InputError where the extra is not installed.
    """
    if not endpoint:
        return _nothing
    try:
        from placement.telemetry.traces import (  # noqa: PLC0415 - an extra, and slow
            exporting,
        )
    except ModuleNotFoundError as error:
        remedy = f"install the extra: pip install 'placement[trace]' ({error})"
        raise InputError("trace.endpoint", endpoint, remedy) from None
    tracer = exporting(endpoint, share, service)
    tracing.use(tracer)

    def end() -> None:
        tracing.use(None)
        tracer.close()

    return end


def _nothing() -> None:
    """End nothing."""
