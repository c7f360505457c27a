"""nats-py's client, without the work that nobody here has a use for."""

import asyncio
from contextlib import suppress
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from placement.adapters.jetstream.parser import BulkParser, Taker
from placement.tracing import HEADER, active, parsed

CLOSE_TIMEOUT_SECONDS: Final = 2.0
_PLAIN_HEADERS = b"NATS/1.0\r\n"
"""How headers begin that hold no status of the server."""
_PLACED = b"\r\nNats-Sequence: "
"""What only a message has that was asked for: the server says where it is."""


_TRACED: Final = f"\r\n{HEADER}: ".encode()


class LeanClient(Client):
    """A client that leaves the headers of messages unread, and reads a server's status.

    A message of the log has six, which readers of other systems want. To take them
    apart was two thirds of what it took to receive a small message. It goes by what
    nats-py calls within itself, so that it is for the versions that are named with it.
    """

    def __init__(self) -> None:
        """Be connected to nothing."""
        super().__init__()
        self._ps = self._parser = BulkParser(self)

    def let_take(self, subscription: Subscription, taker: Taker) -> None:
        """Give what comes for *subscription* to *taker* at once, until it ends.

        What asks for no reply, as a status of the server, still comes to its callback;
        and so may everything.
        """
        sid = subscription._id  # noqa: SLF001 - the server knows it by no other name
        self._parser.takers[sid] = taker

    @property
    def takes(self) -> bool:
        """Whether anybody takes anything at once."""
        return bool(self._parser.takers)

    async def _process_connect_init(self) -> None:
        self._parser.reset()  # what the connection before left may have come since
        await super()._process_connect_init()

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        self._parser.takers.pop(sid, None)
        super()._remove_sub(sid, max_msgs)

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        if (
            headers is not None
            and headers.startswith(_PLAIN_HEADERS)
            and _PLACED not in headers
        ):
            return traced(headers) if active() else None
        return await super()._process_headers(headers)


def traced(headers: bytes) -> dict[str, str] | None:
    """Return the one header that tells of a trace, or None."""
    begin = headers.find(_TRACED)
    if begin < 0:
        return None
    begin += len(_TRACED)
    end = headers.find(b"\r", begin)
    return {HEADER: headers[begin:end].decode("ascii", "replace").strip()}


def trace_in(headers: bytes) -> str:
    """Return the context that a message came with, of its *headers* as they travel."""
    return trace_of(traced(headers))


def trace_of(headers: dict[str, str] | None) -> str:
    """Return the context that a message came with; empty: none, or nothing of use."""
    return parsed(headers.get(HEADER)) if headers else ""


async def abandon(client: Client) -> None:
    """Close *client*, whatever state it is in, within CLOSE_TIMEOUT_SECONDS."""
    with suppress(nats.errors.Error, TimeoutError, OSError):
        async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
            await client.close()
