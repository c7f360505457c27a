"""docs/reference/errors.md: each reason that an error may carry, and what to do."""

from collections.abc import Iterator

from placement.api.reason import Reason
from placement.api.reasons import REASONS
from tests.reference.markdown import made_by, prose, table

HEAD = ("reason", "status", "cause", "what to do", "repeat")


def errors_page() -> str:
    """Return the page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# Errors"
    yield ""
    yield from made_by("placement/api/reasons.py")
    yield "Every error carries a `google.rpc.ErrorInfo` (domain `placement.v1`) with"
    yield "one of these reasons, and metadata that says what is wrong and the remedy."
    yield "The command line prints the reason in brackets at the end of its message."
    yield "*Repeat* says whether the same call may succeed, and when at the soonest."
    yield ""
    yield from table(HEAD, (_row(name, each) for name, each in REASONS.items()))


def _row(name: str, reason: Reason) -> tuple[str, ...]:
    delay = f"after {reason.retry_delay_ms} ms" if reason.retryable else "no"
    status = reason.code.name
    return f"`{name}`", status, prose(reason.cause), prose(reason.action), delay
