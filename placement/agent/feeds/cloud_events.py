"""CloudEvents 1.0: envelopes of either mode, and our own events inside them. Pure.

Structured mode has one JSON object, or a list of them (batched); binary mode has the
data alone in the body and the attributes in headers ``ce-...``. Source: CloudEvents
1.0.2, HTTP protocol binding and JSON event format.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final
from urllib.parse import unquote

from placement.agent.feeds.each import Meaning, each
from placement.agent.feeds.fields import Fields, shown
from placement.agent.feeds.times import parse_timestamp_ns
from placement.agent.feeds.translation import FeedSettings, Translation
from placement.core.errors import InputError, RegionInvalidError
from placement.core.event import Event, Identifier, TimeNs
from placement.wire.event_json import event_from_json
from placement.wire.fields import IDENTIFIER, parse_identifier

HEADER_PREFIX: Final = "ce-"
BATCH_COUNT_MAX: Final = 1_024
ID_HASH_BYTES: Final = 16


def document_of(body: bytes, headers: Mapping[str, str]) -> object:
    """Return the JSON *body*; of binary mode, put into the envelope of the other.

    Raises InputError for what is no JSON.
    """
    attributes = {
        name.lower().removeprefix(HEADER_PREFIX): unquote(value)
        for name, value in headers.items()
        if name.lower().startswith(HEADER_PREFIX)
    }
    data = decoded(body) if body or not attributes else None
    return {**attributes, "data": data} if attributes else data


def decoded(body: bytes) -> object:
    """Return decoded JSON; raises InputError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        remedy = "post JSON"
        raise InputError("body", f"{len(body)} bytes", remedy) from None


def batch(document: object) -> list[object]:
    """Return the events of *document*: a batch's, or itself.

    What is beyond the limit of a batch is one entry that is no event.
    """
    if not isinstance(document, list):
        return [document]
    if len(document) > BATCH_COUNT_MAX:
        return [*document[:BATCH_COUNT_MAX], f"{len(document)} in one batch"]
    return document


def is_cloud_event(fields: Fields) -> bool:
    """Say whether *fields* are an envelope, and not a format of the sender's own."""
    return "specversion" in fields.values


def data_of(fields: Fields) -> Fields:
    """Return the data of an envelope, which must be an object; raises InputError."""
    if fields.values.get("data") is None and "data_base64" in fields.values:
        text = fields.text("data_base64")
        try:
            data = decoded(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            raise InputError("data_base64", text, "give base64") from None
        return Fields({"data": data}).inner("data")
    return fields.inner("data")


def time_of(fields: Fields) -> TimeNs | None:
    """Return when an event happened, if it says; raises TimeInvalidError."""
    time = fields.text("time")
    return parse_timestamp_ns(time, fields.where("time")) if time else None


def id_of(fields: Fields) -> Identifier:
    """Return an id as it is, or a hash of one that is too long or no ASCII.

    A CloudEvents id is any text that is not empty; raises TextInvalidError for none.
    """
    text = fields.text("id")
    if not text or IDENTIFIER.fullmatch(text):
        return parse_identifier(text, fields.where("id"))
    return hashed_id("cloudevent", text)


def hashed_id(kind: str, *parts: object) -> Identifier:
    """Return the id of a thing that has none: equal for what is equal."""
    body = json.dumps(parts, sort_keys=True, default=str)
    digest = blake2b(body.encode(), digest_size=ID_HASH_BYTES).hexdigest()
    return parse_identifier(f"{kind}-{digest}", "id")


def translate(document: object, feed: FeedSettings) -> Translation:
    """Return our own events inside CloudEvents, in JSON as ``placement publish`` reads.

    The envelope's id and time are the event's where it has none. Raises nothing.
    """
    return each(batch(document), lambda fields: _own(fields, feed))


def _own(fields: Fields, feed: FeedSettings) -> Meaning:
    data = data_of(fields)
    where = data.where("region")
    claimed = data.values.get("region")
    if claimed and claimed != feed.region:
        remedy = f"this agent is for {feed.region}: post it to that region's agent"
        raise RegionInvalidError(where, shown(claimed), remedy)
    values = dict(data.values)
    if not values.get("event_id") and not values.get("eventId"):
        values.pop("eventId", None)
        values["event_id"] = id_of(fields)
    try:
        event = event_from_json(values, feed.region)
    except InputError as error:
        raise error.within("data") from None
    return [
        Event(
            event.event_id,
            feed.region,
            event.fact,
            event.occur_time_ns or time_of(fields),
            event.publisher or feed.publisher,
            event.organization,
            event.app,
        )
    ]
