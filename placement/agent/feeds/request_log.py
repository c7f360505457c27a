"""Distribution's request log: the bytes and durations that its notifications lack.

``http.request.id`` of a line is ``request.id`` of the notification. A duration ends
when the last byte is in the kernel's send buffer: small content looks far too fast.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from placement.agent.feeds.fields import Fields
from placement.agent.feeds.times import parse_go_duration_ns
from placement.core.errors import InputError
from placement.core.event import DurationNs

LINE_LENGTH_MAX: Final = 65_536

_COMPLETED: Final = "response completed"


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """How the registry answered one request."""

    request_id: str
    method: str
    status: int
    written_bytes: int
    """What the registry wrote of the body; 0 for HEAD and for redirects."""
    duration_ns: DurationNs | None


def parse_request_log(line: str) -> RequestRecord | None:
    """Return what a JSON *line* says of a completed request; None for any other line.

    A registry's log holds other lines too: they are nobody's fault.
    """
    if len(line) > LINE_LENGTH_MAX or _COMPLETED not in line:
        return None
    try:
        document = json.loads(line)
        return request_record(document) if isinstance(document, dict) else None
    except (ValueError, RecursionError, InputError):
        return None


def request_record(document: dict[str, object]) -> RequestRecord | None:
    """Return what a decoded line says; None if it is none of a completed request.

    Raises InputError for one that names its fields otherwise.
    """
    fields = Fields(document)
    request_id = fields.text("http.request.id")
    if not request_id or not fields.text("msg").startswith(_COMPLETED):
        return None
    return RequestRecord(
        request_id=request_id,
        method=fields.text("http.request.method"),
        status=fields.count("http.response.status"),
        written_bytes=fields.count("http.response.written"),
        duration_ns=parse_go_duration_ns(fields.text("http.response.duration")),
    )


def pulls_in(envelope: object) -> list[str]:
    """Return the request ids of all that *envelope* says was fetched."""
    events = envelope.get("events") if isinstance(envelope, Mapping) else None
    found: list[str] = []
    for event in events if isinstance(events, list) else ():
        request = event.get("request") if isinstance(event, Mapping) else None
        if not isinstance(request, Mapping) or event.get("action") != "pull":
            continue
        request_id = request.get("id")
        if request.get("method") == "GET" and isinstance(request_id, str):
            found.append(request_id)
    return found
