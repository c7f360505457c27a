"""Looks at a broker and its stream as they are, and changes nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from placement.adapters.jetstream.connection import ApiError, Connection
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.adapters.jetstream.stream import (
    StreamMissingError,
    led,
    needs,
    stream_info,
    time_ns,
    unconfirmed_ns,
)
from placement.adapters.log_message import MESSAGE_BYTES_MAX
from placement.inspections import BrokerSeen, Copy, StreamSeen, Unmet
from placement.ports import LogForbiddenError, LogUnavailableError

CONNECT_SECONDS: Final = 3.0
NEVER: Final = str(2**62)
"""No stream ends at this sequence: what expects that is looked at, and not stored."""
WRONG_LAST_SEQUENCE: Final = 10071


class JetStreamInspection:
    """A broker that is looked at; see ``placement.inspections.Inspection``."""

    def __init__(self, settings: JetStreamSettings) -> None:
        """Connect at the first question."""
        self._settings = replace(settings, connect_timeout_seconds=CONNECT_SECONDS)
        self._connection = Connection(self._settings)

    async def look(self) -> BrokerSeen:
        """Return how broker and stream are; LogUnavailableError: not let in."""
        stream: StreamSeen | None = None
        trouble, denied = "", False
        try:
            stream = self._seen(
                await stream_info(self._connection, self._settings.stream)
            )
        except StreamMissingError:
            pass
        except LogForbiddenError as error:
            trouble, denied = str(error), True
        except LogUnavailableError as error:
            if not self._connection.lasts:
                raise
            trouble = str(error)
        version = self._connection.server_version
        return BrokerSeen(
            servers=self._settings.shown_servers,
            version=tuple(int(part) for part in version.split(".") if part),
            payload_bytes_max=self._connection.payload_bytes_max,
            payload_bytes_needed=MESSAGE_BYTES_MAX,
            trouble=trouble,
            denied=denied,
            stream=stream,
        )

    async def may_append(self, subject: str) -> str:
        """Return why nothing of *subject* can be stored by our user; empty: it can.

        It tries, with an expectation that no stream meets: nothing is stored.
        """
        try:
            await self._connection.request(
                subject, b"", {"Nats-Expected-Last-Sequence": NEVER}, CONNECT_SECONDS
            )
        except ApiError as error:
            return "" if error.code == WRONG_LAST_SEQUENCE else str(error)
        except (LogForbiddenError, LogUnavailableError) as error:
            return str(error)
        return f"{subject}: the server heeds no expectation"

    async def may_read(self) -> str:
        """Return why our user cannot read the stream; empty: it can."""
        name = f"STREAM.MSG.GET.{self._settings.stream}"
        try:
            await self._connection.api(name, {"seq": 1})
        except ApiError as error:
            return "" if error.status == 404 else str(error)  # noqa: PLR2004 - nothing stored there
        except (LogForbiddenError, LogUnavailableError) as error:
            return str(error)
        return ""

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    def _seen(self, info: dict[str, Any]) -> StreamSeen:
        config, state = info["config"], info["state"]
        cluster = info.get("cluster") or {}
        bytes_max = int(config.get("max_bytes", -1))
        return StreamSeen(
            epoch_created_ns=time_ns(info["created"]),
            first_sequence=int(state["first_seq"]),
            last_sequence=int(state["last_seq"]),
            message_count=int(state["messages"]),
            size_bytes=int(state["bytes"]),
            bytes_max=None if bytes_max < 0 else bytes_max,
            unmet=tuple(unmet(config, self._settings)),
            leader=str(cluster.get("leader", "")),
            led=led(info),
            copies=tuple(
                Copy(
                    str(one.get("name", "")),
                    bool(one.get("current")),
                    int(one.get("lag", 0)),
                )
                for one in cluster.get("replicas") or ()
            ),
            unconfirmed_ns=unconfirmed_ns(info),
            server_time_ns=time_ns(info["ts"]) if "ts" in info else None,
        )


def unmet(found: dict[str, Any], settings: JetStreamSettings) -> list[Unmet]:
    """Return every field of a stream's configuration that will not do."""
    lacking = []
    for need in needs(settings):
        value = found.get(need.field, need.unset)
        if not need.met_by(value):
            least = "at least " if need.least else ""
            shown = "unknown to the server" if value is None else need.shown(value)
            needed = least + need.shown(need.value)
            lacking.append(Unmet(need.field, shown, needed, need.remedy))
    return lacking


@asynccontextmanager
async def inspecting(settings: JetStreamSettings) -> AsyncIterator[JetStreamInspection]:
    """Give what looks at the broker of *settings*, closed at the end."""
    inspection = JetStreamInspection(settings)
    try:
        yield inspection
    finally:
        await inspection.close()
