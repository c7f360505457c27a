"""nats-py's client, without the work that nobody here has a use for."""

from typing import Final

from nats.aio.client import Client

from placement.tracing import HEADER, active, parsed

_PLAIN_HEADERS = b"NATS/1.0\r\n"
"""How headers begin that hold no status of the server."""
_PLACED = b"\r\nNats-Sequence: "
"""What only a message has that was asked for: the server says where it is."""


_TRACED: Final = f"\r\n{HEADER}: ".encode()


class LeanClient(Client):
    """A client that leaves the headers of messages unread, and reads a server's status.

    A message of the log has six, which readers of other systems want. To take them
    apart was two thirds of what it took to receive a small message. Should nats-py call
    its method otherwise one day, this is slower, and nothing else: a test would tell.
    """

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


def trace_of(headers: dict[str, str] | None) -> str:
    """Return the context that a message came with; empty: none, or nothing of use."""
    return parsed(headers.get(HEADER)) if headers else ""
