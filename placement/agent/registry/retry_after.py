"""The header Retry-After, which comes with 429 and 503 (RFC 9110, section 10.2.3)."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

WAIT_SECONDS_MAX: Final = 366 * 86_400.0


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return how many seconds to wait; 0 when the answer does not say, a year at most.

    A date is taken by the clock of the registry: its own header Date.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), WAIT_SECONDS_MAX)
    until, now = _moment(text), _moment(headers.get("Date", ""))
    if until is None or now is None:
        return 0.0
    return min(max(0.0, (until - now).total_seconds()), WAIT_SECONDS_MAX)


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo is not None else None
