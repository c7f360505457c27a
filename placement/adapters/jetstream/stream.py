"""The stream: what it must be like, making it so, and asking it where it stands."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from placement.adapters.jetstream.connection import (
    UNAVAILABLE_STATUS,
    ApiError,
    Connection,
)
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.adapters.log_message import MESSAGE_BYTES_MAX
from placement.ports import (
    LogConfigurationError,
    LogStatus,
    LogUnavailableError,
)

SUBJECTS = ("placement.decisions.v1.>", "placement.events.v1.>")

STREAM_NOT_FOUND = 10059
STREAM_EXISTS = 10058
TOO_FEW_SERVERS = (10005, 10074)
"""Of a cluster, or of what is none, for the copies that are wanted."""
DURATION_FIELDS = ("max_age", "duplicate_window")
NANOSECONDS = 1_000_000_000
UNCONFIRMED_NS_MAX = 4 * NANOSECONDS
"""A leader that a majority has not answered for so long may not be theirs any more."""

TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


class StreamMissingError(LogUnavailableError):
    """The server is there, and the stream is not."""


@dataclass(frozen=True, slots=True)
class Need:
    """A field of the stream's configuration, and the value that the service needs.

    *least* is for numbers: more will do. *unset* is what a server that leaves the
    field out of its answer means by that; None means that it does not know the field.
    """

    field: str
    value: Any
    remedy: str
    least: bool = False
    unset: Any = None

    def met_by(self, found: Any) -> bool:  # noqa: ANN401 - any JSON value
        """Return whether *found* will do."""
        if self.least:
            return isinstance(found, int) and found >= self.value
        if isinstance(found, list) and isinstance(self.value, list):
            return sorted(found) == sorted(self.value)
        return bool(found == self.value)

    def shown(self, value: Any) -> str:  # noqa: ANN401 - any JSON value
        """Return *value* as an operator would write it."""
        if self.field in DURATION_FIELDS:
            return f"{value / NANOSECONDS:g} s"
        return json.dumps(value)


def needs(settings: JetStreamSettings) -> Iterator[Need]:
    """Yield every field that matters: nothing is forgotten unless somebody says so."""
    edit = f"correct it: nats stream edit {settings.stream}"
    another = (
        "it cannot be changed: name another stream in the configuration, or move this "
        "one's messages into a new stream"
    )
    limit = -1 if settings.max_bytes is None else settings.max_bytes
    window = settings.duplicate_window_seconds * NANOSECONDS
    yield Need("subjects", list(SUBJECTS), edit)
    yield Need("retention", "limits", another)
    yield Need("storage", "file", another)
    yield Need("discard", "new", edit)
    yield Need("max_age", 0, edit)
    yield Need("max_msgs", -1, edit)
    yield Need("max_msgs_per_subject", -1, edit)
    yield Need("max_bytes", limit, f"{edit}, or set max_bytes to the value found")
    yield Need("max_msg_size", MESSAGE_BYTES_MAX, edit)
    yield Need("num_replicas", settings.replicas, edit, least=True)
    yield Need("duplicate_window", window, edit, least=True)
    yield Need("deny_delete", True, edit)  # noqa: FBT003 - the value of a JSON field
    yield Need("deny_purge", True, edit)  # noqa: FBT003 - the value of a JSON field
    for forbidden in ("sealed", "no_ack", "allow_rollup_hdrs", "allow_msg_ttl"):
        yield Need(forbidden, False, another, unset=False)  # noqa: FBT003 - the value of a JSON field
    for foreign in ("mirror", "sources", "subject_transform"):
        yield Need(foreign, None, another)


def wanted(settings: JetStreamSettings) -> dict[str, Any]:
    """Return the configuration that a new stream is made with."""
    fields = {
        need.field: need.value
        for need in needs(settings)
        if need.value is not None and need.unset is None
    }
    return {"name": settings.stream, "allow_direct": True} | fields


def verify(found: dict[str, Any], settings: JetStreamSettings, version: str) -> None:
    """Raise LogConfigurationError for the first field of *found* that will not do."""
    for need in needs(settings):
        value = found.get(need.field, need.unset)
        if need.met_by(value):
            continue
        if value is None:
            shown = f"unknown to nats-server {version}"
            remedy = "upgrade the server, then name another stream in the configuration"
        else:
            shown, remedy = need.shown(value), need.remedy
        least = "at least " if need.least else ""
        message = (
            f"stream {settings.stream}: {need.field} is {shown}, and the service "
            f"needs {least}{need.shown(need.value)}: {remedy}"
        )
        raise LogConfigurationError(message, field=need.field, remedy=remedy)


async def ensure_stream(
    connection: Connection, settings: JetStreamSettings
) -> LogStatus:
    """Make the stream if there is none, read it back, and return where it stands.

    An existing stream is never changed. Raises LogConfigurationError.
    """
    try:
        info = await stream_info(connection, settings.stream)
    except StreamMissingError:
        await create_stream(connection, settings)
        info = await stream_info(connection, settings.stream)
    payload = connection.payload_bytes_max
    if payload < MESSAGE_BYTES_MAX:
        remedy = f"set max_payload to {MESSAGE_BYTES_MAX} or more in its configuration"
        message = (
            f"the NATS server's max_payload is {payload}, and the service needs at "
            f"least {MESSAGE_BYTES_MAX}: {remedy}"
        )
        raise LogConfigurationError(message, field="max_payload", remedy=remedy)
    verify(info["config"], settings, connection.server_version)
    return status_of(info)


async def create_stream(connection: Connection, settings: JetStreamSettings) -> None:
    """Create the stream; another process may be quicker, with the same result."""
    try:
        await connection.api(f"STREAM.CREATE.{settings.stream}", wanted(settings))
    except ApiError as error:
        if error.code == STREAM_EXISTS:
            return
        if error.status == UNAVAILABLE_STATUS:
            raise
        message = f"stream {settings.stream} cannot be created: {error.description}"
        if error.code in TOO_FEW_SERVERS:
            remedy = "set nats.replicas to the number of its servers at most"
            message = f"{message}: {settings.replicas} copies are wanted: {remedy}"
            raise LogConfigurationError(
                message, field="nats.replicas", remedy=remedy
            ) from error
        raise LogConfigurationError(message, field="stream") from error


async def stream_info(connection: Connection, stream: str) -> dict[str, Any]:
    """Return JetStream's description of *stream*, asked of it now.

    Raises StreamMissingError, or LogUnavailableError.
    """
    try:
        info: dict[str, Any] = await connection.api(f"STREAM.INFO.{stream}")
    except ApiError as error:
        if error.code == STREAM_NOT_FOUND:
            message = f"there is no stream {stream}"
            raise StreamMissingError(message) from error
        raise
    return info


async def stream_status(connection: Connection, stream: str) -> LogStatus:
    """Return where *stream* stands now; StreamMissingError or LogUnavailableError.

    The latter also where who answers may be no leader any more, or knows of none: it
    would call old news the latest, and what others stored since a log that was rewound.
    """
    info = await stream_info(connection, stream)
    status = status_of(info)
    if led(info) and status.unconfirmed_ns < UNCONFIRMED_NS_MAX:
        connection.trusted()
        return status
    await connection.doubted()
    message = f"stream {stream}: a majority of its copies is out of the leader's reach"
    raise LogUnavailableError(message)


def led(info: dict[str, Any]) -> bool:
    """Say whether the copies of a stream have a leader; a single one needs none."""
    cluster = info.get("cluster") or {}
    return bool(cluster.get("leader")) or not cluster.get("replicas")


def status_of(info: dict[str, Any]) -> LogStatus:
    """Return the status that a stream's description holds.

    A stream keeps its creation time through restarts; one that is made anew has
    another. JetStream calls the first sequence of an unused stream 0.
    """
    state = info["state"]
    last = int(state["last_seq"])
    created = time_ns(info["created"])
    return LogStatus(
        epoch=f"{info['config']['name']}-{created:x}",
        first_sequence=int(state["first_seq"]) if state["messages"] else last + 1,
        last_sequence=last,
        unconfirmed_ns=unconfirmed_ns(info),
    )


def unconfirmed_ns(info: dict[str, Any]) -> int:
    """Return how long ago a majority of a stream's copies was heard by their leader.

    A leader that is cut off from the others goes on answering for up to 20 s, while
    they have another one and store what it cannot know. They elect it no sooner than
    4 s after they last answered, which the description says of each.
    """
    cluster = info.get("cluster") or {}
    copies = cluster.get("replicas") or []
    if not copies:
        return 0
    heard = sorted(int(copy.get("active", 0)) for copy in copies)
    others_of_a_majority = (len(copies) + 1) // 2
    return heard[others_of_a_majority - 1]


def time_ns(text: str) -> int:
    """Return an RFC 3339 time, of up to nine decimals, in nanoseconds since 1970."""
    match = TIME.fullmatch(text)
    assert match is not None, text
    moment, fraction, zone = match.groups()
    seconds = int(datetime.fromisoformat(moment + zone).timestamp())
    return seconds * NANOSECONDS + int((fraction or "0").ljust(9, "0"))
