"""Reads what a server sends, many messages at a time.

nats-py's parser looks for each message with two patterns, and moves all that follows it
to the front; its client then makes an object of it and puts that into a queue, for a
task to take out. A log of small messages is read for an hour so. Here messages are
found where they lie, and given at once to who takes them as they are. All else goes the
way that nats-py has for it.
"""

from typing import Final, Protocol

from nats.aio.client import Client
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

_END: Final = b"\r\n"
_PLAIN: Final = b"MSG"
_HEADED: Final = b"HMSG"
_HEADED_WORDS: Final = 6
"""Of a message with headers that asks for a reply."""
LINE_BYTES_MAX: Final = 1 << 20
"""A server tells of all servers of its cluster in one line."""


class Taker(Protocol):
    """Who takes the messages of a subscription as they come; it must not fail."""

    def __call__(
        self, subject: bytes, reply: bytes, headers: bytes, body: bytes
    ) -> None:
        """Take one that asks for a *reply*."""


class BulkParser(Parser):
    """A parser that leaves to nats-py's what is no message."""

    def __init__(self, client: Client) -> None:
        """Parse for *client*; nobody takes anything yet."""
        self.takers: dict[int, Taker] = {}
        """By the number of their subscription."""
        super().__init__(client)

    def reset(self) -> None:
        """Forget what came of a message: the connection is another one."""
        super().reset()
        self._cut: list[bytes] = []
        self._cut_bytes = 0
        self._needed_bytes = 0

    async def parse(self, data: bytes = b"") -> None:
        """Hand on what came, but for a message whose end has not.

        Raises ProtocolError.
        """
        if self._cut:
            self._cut.append(data)
            self._cut_bytes += len(data)
            if self._cut_bytes < self._needed_bytes:
                return
            data = b"".join(self._cut)
            self._keep(b"", 0)
        begin = needed = 0
        while not needed:
            begin = self._take(data, begin)
            line = data.find(_END, begin)
            if line < 0:
                break
            words = data[begin:line].split()
            line += len(_END)
            if not words or words[0] not in {_HEADED, _PLAIN}:
                await super().parse(data[begin:line])
                begin = line
                continue
            end = line + _size(words) + len(_END)
            if end <= len(data):
                await self._pass_on(words, data[line : end - len(_END)])
                begin = end
            else:
                needed = end - begin
        self._keep(data[begin:], needed)

    def _take(self, data: bytes, begin: int) -> int:
        """Give messages from *begin* on to who takes them; return where others begin.

        Only those that have headers and are whole: as nearly all of a log are.
        """
        takers, last = self.takers, len(data) - len(_END)
        while (end := data.find(_END, begin)) >= 0:
            words = data[begin:end].split(b" ")
            if len(words) != _HEADED_WORDS or b"" in words or words[0] != _HEADED:
                break  # older servers leave two spaces where there is no reply
            first = end + len(_END)
            try:
                taker = takers.get(int(words[2]))
                body, end = first + int(words[4]), first + int(words[5])
            except ValueError:
                break
            if taker is None or not first <= body <= end <= last:
                break
            taker(words[1], words[3], data[first:body], data[body:end])
            begin = end + len(_END)
        return begin

    async def _pass_on(self, words: list[bytes], payload: bytes) -> None:
        """Give a message to who takes it, or to nats-py."""
        headed = words[0] == _HEADED
        subject, sid = words[1], int(words[2])
        reply = words[3] if len(words) == 5 + headed else b""
        begin = int(words[-2]) if headed else 0
        headers, body = payload[:begin], payload[begin:]
        taker = self.takers.get(sid)
        if taker is not None and reply:
            taker(subject, reply, headers, body)
        else:
            told = headers if headed else None
            taken = self.nc._process_msg  # noqa: SLF001 - what its own parser calls
            await taken(sid, subject, reply, body, told)

    def _keep(self, data: bytes, needed: int) -> None:
        """Wait for the rest of what begins with *data*, until there are *needed* bytes.

        Raises ProtocolError for a line without end.
        """
        if not needed and len(data) > LINE_BYTES_MAX:
            message = "nats: a line without end"
            raise ProtocolError(message)
        self._cut = [data] if data else []
        self._cut_bytes, self._needed_bytes = len(data), needed


def _size(words: list[bytes]) -> int:
    """Return how many bytes of a message follow its line; raises ProtocolError."""
    headed = words[0] == _HEADED
    try:
        sizes = [0, *map(int, words[-1 - headed :])]
        int(words[2])
    except (ValueError, IndexError):
        sizes = []
    if (
        not sizes
        or sizes != sorted(sizes)
        or len(words) not in {4 + headed, 5 + headed}
    ):
        message = "nats: malformed MSG"
        raise ProtocolError(message)
    return sizes[-1]
