"""What went wrong, as a page: what it was, and what to do about it."""

import secrets
from collections.abc import Mapping
from typing import Final

import grpc
import structlog

from placement.api.reasons import REASONS
from placement.console.finding import PageUnknownError
from placement.console.page import Page
from placement.core.errors import InputError, PlacementError

STATUSES: Final[Mapping[grpc.StatusCode, int]] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 503,
}
NOT_FOUND: Final = 404
CRASHED: Final = 500

log = structlog.get_logger(__name__)


def failed(error: Exception, path: str) -> Page:
    """Return the page for *error*; one that nobody expected is logged under an id."""
    if isinstance(error, PageUnknownError):
        return _page("No such page", str(error), "choose one above", NOT_FOUND)
    if isinstance(error, PlacementError):
        reason = REASONS.get(error.reason)
        if reason is not None and not reason.private:
            status = STATUSES.get(reason.code, CRASHED)
            if isinstance(error, InputError):
                said = f"{error.value or 'nothing'} is not valid"
                title = "That cannot be answered"
                return _page(title, said, error.remedy, status, error.field)
            title = "Nothing found" if status == NOT_FOUND else "No answer"
            return _page(title, str(error), reason.action, status)
    error_id = secrets.token_hex(8)
    log.error("console_page_failed", path=path, error_id=error_id, exc_info=error)
    said = "The service failed in a way that nobody expected"
    return _page("The page failed", said, f"report the error id {error_id}", CRASHED)


def _page(title: str, said: str, remedy: str, status: int, field: str = "") -> Page:
    values = {"said": said, "remedy": remedy, "field": field}
    return Page("error.html", title, values, status=status, live=False)
