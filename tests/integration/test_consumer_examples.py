"""The consumers of docs/examples, run as programs against a real nats-server."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from placement.adapters.jetstream.log import JetStreamLog
from placement.core.event import Event, Identifier, MachineStarted
from placement.wire.events import encode_message
from tests.builders import SYD, WEB, A
from tests.nats_server import NatsServer

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ENOUGH_SECONDS = 30.0


async def tell(log: JetStreamLog, numbers: Sequence[int], again: int = 0) -> None:
    """Store starts by their numbers, one a message; *again*: under another id of it."""
    for number in numbers:
        named = Identifier(f"start-{number}")
        event = Event(named, SYD, MachineStarted(A, WEB, Identifier(f"m-{number}")))
        subject, body, message_id = encode_message([event])
        await log.append(
            subject, body, f"{message_id}-{again}" if again else message_id
        )


async def ran(name: str, *arguments: str) -> str:
    """Run an example until the log's end, and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        *arguments,
        "--once",
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await asyncio.wait_for(process.communicate(), ENOUGH_SECONDS)
    assert process.returncode == 0
    return told.decode()


def counted(file: Path) -> int:
    """Return how many starts are counted so far."""
    if not file.exists():
        return 0
    with sqlite3.connect(file) as database:
        try:
            [(count,)] = database.execute("SELECT coalesce(sum(count), 0) FROM starts")
        except sqlite3.OperationalError:
            return 0  # it has not made its tables yet
    database.close()
    return int(count)


async def test_durable_consumer_counts_each_start_once(
    nats: NatsServer, nats_log: JetStreamLog, tmp_path: Path
) -> None:
    """Killed while it counts, told twice, and over a log that was made anew."""
    file = tmp_path / "starts.sqlite"
    told = [nats.url, str(file)]
    await tell(nats_log, range(300))
    await tell(nats_log, range(50), again=1)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / "durable_consumer.py"), *told
    )
    async with asyncio.timeout(ENOUGH_SECONDS):
        while not counted(file):
            await asyncio.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()

    assert await ran("durable_consumer.py", *told) == "syd 300\n"

    await nats_log.close()
    nats.stop()
    (nats.directory / "store").rename(tmp_path / "lost")
    nats.start()
    anew = await JetStreamLog.connect(nats.settings)
    await tell(anew, range(290, 310))
    assert await ran("durable_consumer.py", *told) == "syd 310\n"
    assert await ran("durable_consumer.py", *told) == "syd 310\n"
    await anew.close()


async def test_durable_consumer_notices_a_log_that_was_set_back(
    nats: NatsServer, nats_log: JetStreamLog, tmp_path: Path
) -> None:
    """The same stream, older: what came instead counts, and nothing twice."""
    file = tmp_path / "starts.sqlite"
    told = [nats.url, str(file)]
    await tell(nats_log, range(5))
    await nats_log.close()
    nats.stop()
    nats.keep_store()
    nats.start()
    log = await JetStreamLog.connect(nats.settings)
    await tell(log, range(5, 10))
    assert await ran("durable_consumer.py", *told) == "syd 10\n"
    await log.close()
    nats.stop()
    nats.put_store_back()
    nats.start()

    back = await JetStreamLog.connect(nats.settings)
    await tell(back, range(20, 26))

    assert await ran("durable_consumer.py", *told) == "syd 16\n"
    await back.close()


async def test_plain_nats_goes_on_behind_what_it_acknowledged(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """Every message once, over two runs, with the settings that the file shows."""
    await tell(nats_log, range(120))
    first = await ran("plain_nats.py", nats.url)
    await tell(nats_log, range(120, 130))

    second = await ran("plain_nats.py", nats.url)

    lines = (first + second).splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(1, 131))
    assert lines[0].split()[1] == "placement.events.v1.syd.machine_started"
