"""Hostile messages and headers in a real broker: all are read, and counted."""

import asyncio
from random import Random

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.core.fold import fold
from placement.core.state import State
from placement.ports import Expected, LogMovedError
from placement.wire.events import DECISIONS_SUBJECTS, decode_message, encode_message
from tests.builders import IAD, pushed
from tests.contract.event_logs import reading
from tests.figures import tell
from tests.fuzz.messages import spoiled_sent, valid_messages
from tests.nats_server import NatsServer

COUNT = 1_500
HEADERS = (
    b"NATS/1.0\r\n\r\n",
    b"NATS/1.0\r\nCe-Id: \xff\xfe\xed\xa0\x80\r\n\r\n",
    b"NATS/1.0\r\n: \r\n:\r\nno colon\r\n\r\n",
    b"NATS/1.0\r\nCe-Id: " + b"x" * 20_000 + b"\r\n\r\n",
    b"NATS/1.0\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    b"NATS/1.0\r\nStatus: 503\r\nDescription: Consumer Deleted\r\n\r\n",
    b"NATS/1.0\r\nNats-Pending-Messages: " + b"9" * 5_000 + b"\r\n\r\n",
    b"NATS/1.0\r\nContent-Type: application/json\r\nContent-Type: x\r\n\r\n",
)
NO_TEXT = "placement.events.v1.syd.\udcff\udcfe"
"""A subject of two bytes that are no UTF-8, as Python writes them."""


class RawPublisher:
    """A client of the broker that minds no library's rules."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Speak by *writer*."""
        self._reader = reader
        self._writer = writer

    def publish(self, subject: str, headers: bytes, body: bytes) -> None:
        """Store a message with *headers* as they are."""
        sizes = f"{len(headers)} {len(headers) + len(body)}"
        line = f"HPUB {subject} {sizes}\r\n"
        self._writer.write(line.encode(errors="surrogateescape"))
        self._writer.write(headers + body + b"\r\n")

    async def done(self) -> None:
        """Return once the broker has taken all of it."""
        self._writer.write(b"PING\r\n")
        await self._writer.drain()
        answer = await self._reader.readuntil(b"PONG\r\n")
        assert b"-ERR" not in answer, answer
        self._writer.close()


async def test_hostile_messages_and_headers_are_read_and_counted(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """Whoever may publish may write any bytes: each message counts, nothing ends."""
    valid = [sent for sent in valid_messages() if len(sent[1]) < 10_000]
    chance = Random(8)
    reader, writer = await asyncio.open_connection("127.0.0.1", nats.port)
    await reader.readuntil(b"\r\n")
    writer.write(b'CONNECT {"verbose":false,"pedantic":false,"headers":true}\r\n')
    raw = RawPublisher(reader, writer)
    for _ in range(COUNT):
        _, body = spoiled_sent(chance, valid)
        subject = chance.choice((chance.choice(valid)[0], NO_TEXT))
        raw.publish(subject, chance.choice(HEADERS), body[:100_000])
    await raw.done()
    state = State()

    end = await nats_log.append(*encode_message([pushed("end", IAD)]))
    stored = end.sequence  # whatever came before it is stored by then
    async with reading(nats_log, 0) as following:
        for message in await following.take(stored):
            fold(state, decode_message(message))

    counted = {name: state.count(name) for name in ("folded", "duplicate", "set_aside")}
    tell("hostile messages of a broker", stored=stored, **counted)
    assert state.sequence == stored == COUNT + 1
    assert counted["set_aside"] > COUNT / 4


async def test_headers_that_are_no_text_stand_in_no_decisions_way(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """What was stored first is said, and a decision after it is stored."""
    reader, writer = await asyncio.open_connection("127.0.0.1", nats.port)
    await reader.readuntil(b"\r\n")
    writer.write(b'CONNECT {"verbose":false,"pedantic":false,"headers":true}\r\n')
    raw = RawPublisher(reader, writer)
    subject = DECISIONS_SUBJECTS.replace(">", "ams.batch")
    raw.publish(subject, b"NATS/1.0\r\nNats-X: \xff\xfe\r\n\r\n", b"x")
    await raw.done()

    with pytest.raises(LogMovedError):
        await nats_log.append(subject, b"y", "d-1", Expected(DECISIONS_SUBJECTS, 0))

    last = Expected(DECISIONS_SUBJECTS, 1)
    assert (await nats_log.append(subject, b"y", "d-1", last)).sequence == 2
