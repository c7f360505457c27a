"""What a server sends means what nats-py's parser says, wherever it is cut."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from placement.adapters.jetstream.parser import LINE_BYTES_MAX, BulkParser

TAKEN, OTHER = 3, 4
"""Numbers of subscriptions: of one whose messages are taken, and of another."""
Told = tuple[object, ...]
WORDS = st.text("ab.$*0", min_size=1, max_size=4).map(str.encode)
BODIES = st.binary(max_size=40) | st.sampled_from(
    [
        b"\r\n",
        b"MSG a 3 1\r\nx\r\n",
        b"HMSG a 3 r 12 12\r\nNATS/1.0\r\n\r\n",
        b"PING\r\n",
    ]
)
HEADERS = st.sampled_from([b"NATS/1.0\r\n\r\n", b"NATS/1.0 408\r\n\r\n"]) | st.binary(
    max_size=20
)


@dataclass(slots=True)
class Heard:
    """A client that writes down what its parser tells it."""

    told: list[Told] = field(default_factory=list)

    async def _process_msg(
        self,
        sid: int,
        subject: bytes,
        reply: bytes,
        data: bytes,
        headers: bytes | None,
    ) -> None:
        self.told.append((sid, subject, reply, headers or b"", data))

    def take(self, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
        """Take a message at once."""
        assert reply, "what asks for none is a word of the server"
        self.told.append((TAKEN, subject, reply, headers, body))

    async def _process_ping(self) -> None:
        self.told.append(("ping",))

    async def _process_pong(self) -> None:
        self.told.append(("pong",))

    async def _process_err(self, text: str) -> None:
        self.told.append(("err", text))

    async def _process_info(self, document: object) -> None:
        self.told.append(("info", str(document)))


@st.composite
def sent(draw: st.DrawFn) -> bytes:
    """Return one thing that a server may send."""
    kind = draw(st.sampled_from(["headed", "headed", "plain", "other"]))
    if kind == "other":
        lines = [b"PING", b"PONG", b"+OK", b"-ERR 'Permissions Violation'"]
        lines.append(b'INFO {"server_id":"A","connect_urls":["b:1"]}')
        return draw(st.sampled_from(lines)) + b"\r\n"
    subject, body, headers = draw(WORDS), draw(BODIES), draw(HEADERS)
    sid = draw(st.sampled_from([TAKEN, OTHER]))
    words, space = [b"%s %d" % (subject, sid)], draw(st.sampled_from([b" ", b"  "]))
    if draw(st.booleans()):
        words.append(draw(WORDS))
    if kind == "plain":
        words.append(b"%d" % len(body))
        return b"MSG " + space.join(words) + b"\r\n" + body + b"\r\n"
    words.append(b"%d %d" % (len(headers), len(headers) + len(body)))
    return b"HMSG " + space.join(words) + b"\r\n" + headers + body + b"\r\n"


def parsed(parser: Parser, pieces: list[bytes]) -> None:
    """Parse *pieces* as they come."""

    async def parse() -> None:
        for piece in pieces:
            await parser.parse(piece)

    asyncio.run(parse())


def bulk(client: Heard) -> BulkParser:
    """Return our parser, which gives a subscription's messages to *client* at once."""
    parser = BulkParser(cast("Client", client))
    parser.takers[TAKEN] = client.take
    return parser


@given(st.lists(sent(), max_size=12).map(b"".join), st.lists(st.integers(0, 400)))
@example(b"PING\r\nMSG a 3 r 5\r\nabcde\r\n+OK\r\n", [1, 2, 6, 9, 20, 25, 27])
def test_stream_means_what_nats_py_says_it_means_however_it_is_cut(
    stream: bytes, cuts: list[int]
) -> None:
    """Each message once, whole, and in the order in which it was sent."""
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    begins = [0, *ends[:-1]]
    theirs, ours = Heard(), Heard()

    parsed(Parser(theirs), [stream])
    parsed(bulk(ours), [stream[b:e] for b, e in zip(begins, ends, strict=True)])

    assert ours.told == theirs.told


@pytest.mark.parametrize(
    "line",
    [
        b"MSG a 3\r\n",
        b"MSG a x 5\r\n",
        b"MSG a 3 r q 5\r\n",
        b"HMSG a 3 5\r\n",
        b"HMSG a 3 r -1 5\r\nx\r\nabcde\r\n",
        b"HMSG a 3 r 0 -20\r\n",
        b"HMSG a 3 r 9 5\r\nabcdefghi\r\n",
        b"NONSENSE\r\n",
        b"x" * (LINE_BYTES_MAX + 1),
    ],
)
def test_what_is_no_message_of_a_server_is_an_error(line: bytes) -> None:
    """The client connects anew then."""
    with pytest.raises(ProtocolError):
        parsed(bulk(Heard()), [line])


def test_new_connection_begins_anew() -> None:
    """What was cut off by the end of the one before is forgotten."""
    client = Heard()
    parser = bulk(client)
    parsed(parser, [b"MSG a 3 r 500\r\nabc"])
    parser.reset()
    parsed(parser, [b"PING\r\n"])

    assert client.told == [("ping",)]


def test_large_message_is_put_together_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with each piece: a megabyte comes in many."""
    client = Heard()
    parser = bulk(client)
    taken: list[int] = []
    take = parser._take  # noqa: SLF001 - to count

    def counted(data: bytes, begin: int) -> int:
        taken.append(len(data))
        return take(data, begin)

    monkeypatch.setattr(parser, "_take", counted)
    body = b"x" * 1_000_000
    stream = b"HMSG a 3 r 12 1000012\r\nNATS/1.0\r\n\r\n" + body + b"\r\n"
    parsed(parser, [stream[at : at + 32_768] for at in range(0, len(stream), 32_768)])

    assert client.told == [(TAKEN, b"a", b"r", b"NATS/1.0\r\n\r\n", body)]
    assert len(taken) <= 2
