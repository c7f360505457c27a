"""Read the event log durably: each event counts once, whatever happens on the way.

python docs/examples/durable_consumer.py nats://127.0.0.1:4222 starts.sqlite

It counts starts of machines by region. What it keeps, in the same transaction as its
counts, is how far it read (the stream's creation time, which names its epoch, and the
last sequence) and the ids of events: so it may be killed anywhere, messages may come
twice, publishers may repeat themselves, and the log may be replaced or set back.
"""

import asyncio
import json
import sqlite3
import sys
from collections.abc import Iterator
from typing import Any

import nats
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from placement.v1 import events_pb2

STREAM = "PLACEMENT_V1"
EVENTS = "placement.events.v1.*.*"
IDS_KEPT = 1 << 20
"""Messages whose events' ids are remembered: as long as the service does."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS position (created TEXT, sequence INTEGER, body BLOB);
CREATE TABLE IF NOT EXISTS seen (
  region TEXT, event_id TEXT, at INTEGER, PRIMARY KEY (region, event_id)
);
CREATE TABLE IF NOT EXISTS starts (region TEXT PRIMARY KEY, count INTEGER);
"""


def events_of(subject: str, body: bytes) -> Iterator[events_pb2.Event]:
    """Yield the events of a message; one that cannot be read is none."""
    try:
        if subject.endswith(".batch"):
            yield from events_pb2.EventBatch.FromString(body).events
        else:
            yield events_pb2.Event.FromString(body)
    except ValueError:
        print(f"unreadable: {subject}", file=sys.stderr)


class Kept:
    """What was counted, and of which part of the log."""

    def __init__(self, file: str) -> None:
        """Open the file, or make it."""
        self.database = sqlite3.connect(file)
        self.database.executescript(SCHEMA)
        row = self.database.execute("SELECT * FROM position").fetchone()
        kept: tuple[str, int, bytes] = row or ("", 0, b"")
        self.created, self.sequence, self.body = kept

    def begin(self, created: str) -> None:
        """Go on with another log, from its beginning; ids are still remembered."""
        self.created, self.sequence, self.body = created, 0, b""

    def take(self, messages: list[tuple[int, str, bytes]]) -> None:
        """Count *messages* and move on, in one transaction: both, or neither."""
        with self.database as database:
            for sequence, subject, body in messages:
                if sequence <= self.sequence:
                    continue  # it came twice
                for event in events_of(subject, body):
                    self._count(event, sequence)
                self.sequence, self.body = sequence, body
            database.execute("DELETE FROM position")
            position = (self.created, self.sequence, self.body)
            database.execute("INSERT INTO position VALUES (?, ?, ?)", position)
            oldest = self.sequence - IDS_KEPT
            database.execute("DELETE FROM seen WHERE at < ?", (oldest,))

    def _count(self, event: events_pb2.Event, sequence: int) -> None:
        named = (event.region, event.event_id, sequence)
        new = "INSERT OR IGNORE INTO seen VALUES (?, ?, ?)"
        if not self.database.execute(new, named).rowcount:
            return  # a publisher said it again
        if event.WhichOneof("fact") == "machine_started":
            self.database.execute(
                "INSERT INTO starts VALUES (?, 1) "
                "ON CONFLICT (region) DO UPDATE SET count = count + 1",
                (event.region,),
            )


async def stream_info(client: Client) -> dict[str, Any]:
    """Return what the server says of the stream."""
    answer = await client.request(f"$JS.API.STREAM.INFO.{STREAM}", b"", timeout=5)
    told: dict[str, Any] = json.loads(answer.data)
    if "error" in told:
        sys.exit(f"stream {STREAM}: {told['error']['description']}")
    return told


async def is_same_log(client: Client, kept: Kept, info: dict[str, Any]) -> bool:
    """Say whether the log is the one that we read, and was not set back before us."""
    if info["created"] != kept.created or info["state"]["last_seq"] < kept.sequence:
        return False
    if kept.sequence < max(1, info["state"]["first_seq"]):
        return True  # what we read last was trimmed since
    message = await client.jetstream().get_msg(STREAM, kept.sequence)
    return (message.data or b"") == kept.body or not kept.body


async def main(url: str, file: str, *, follow: bool = True) -> None:
    """Count starts from where we were, for ever, or until the log's end."""
    kept = Kept(file)
    client = await nats.connect(url)
    while True:
        info = await stream_info(client)
        if not await is_same_log(client, kept, info):
            kept.begin(info["created"])
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=kept.sequence + 1,
            ack_policy=AckPolicy.NONE,  # the position is ours, beside the counts
            inactive_threshold=60,
        )
        log = client.jetstream()
        reader = await log.pull_subscribe(EVENTS, stream=STREAM, config=config)
        try:
            while True:
                batch = await reader.fetch(256, timeout=2)
                told = [(m.metadata.sequence.stream, m.subject, m.data) for m in batch]
                kept.take(told)
        except TimeoutError:  # nothing new, or nothing heard: the server says which
            left = (await reader.consumer_info()).num_pending
        await reader.unsubscribe()
        if not left and not follow:
            break
    for region, count in kept.database.execute("SELECT * FROM starts ORDER BY region"):
        print(region, count)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], follow="--once" not in sys.argv))
