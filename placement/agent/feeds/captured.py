"""Notification envelopes in the documents that people keep: bodies and captures.

Pure: the documents are decoded JSON, whole files or single lines.
"""

from collections.abc import Iterable, Mapping

from placement.agent.feeds.fields import Fields, fields_of
from placement.agent.feeds.request_log import RequestRecord, request_record
from placement.core.topology import Region, parse_region

REGION_HEADER = "X-Placement-Region"

Envelope = Mapping[str, object]


def envelopes_in(document: object) -> list[tuple[Region | None, Envelope]]:
    """Return the envelopes in *document*, each with the region that it claims, if any.

    Knows a body as the registry posts it (``{"events": [...]}``), a captured file
    (``{"envelopes": [{"headers", "body"}, ...]}``) and a captured line (``{"event",
    "region_header"}``); anything else holds none. The region is a hint: who publishes
    decides. Raises InputError for a capture that is broken.
    """
    if not isinstance(document, Mapping):
        return []
    if "envelopes" in document:
        return [_captured(item) for item in fields_of(document).items("envelopes")]
    if isinstance(document.get("event"), Mapping):
        event = {"events": [document["event"]]}
        return [(_region(fields_of(document), "region_header"), event)]
    if "events" in document:
        return [(None, document)]
    return []


def records_in(document: object) -> dict[str, RequestRecord]:
    """Return the request log that a capture carries, by request id; mostly empty.

    Raises InputError for a capture that is broken.
    """
    if not isinstance(document, Mapping):
        return {}
    lines = document.get("request_log")
    if isinstance(lines, Mapping):
        lines = [lines]
    return by_request_id(
        request_record(dict(line))
        for line in (lines if isinstance(lines, list) else [])
        if isinstance(line, Mapping)
    )


def by_request_id(
    records: Iterable[RequestRecord | None],
) -> dict[str, RequestRecord]:
    """Return *records* as ``translate`` wants them."""
    return {record.request_id: record for record in records if record is not None}


def _captured(item: Fields) -> tuple[Region | None, Envelope]:
    headers = item.inner("headers")
    names = {name.lower(): name for name in headers.values}
    name = names.get(REGION_HEADER.lower(), REGION_HEADER)
    return _region(headers, name), item.inner("body").values


def _region(fields: Fields, key: str) -> Region | None:
    text = fields.text(key)
    return parse_region(text, fields.where(key)) if text else None
