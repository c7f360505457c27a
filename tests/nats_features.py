"""What the product uses of a nats-server, each tried on a real one."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, StreamConfig
from nats.js.errors import APIError

from placement.adapters.jetstream.log import JetStreamLog
from placement.ports import Appended, Expected, LogMovedError, LogUnavailableError
from tests.nats_server import NatsServer, jetstream
from tests.ports import free_port

STREAM: Final = "PLACEMENT_V1"
DECISIONS: Final = "placement.decisions.v1.>"
EVENT: Final = "placement.events.v1.ams.content_pushed"
DEADLINE_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.02
CLUSTER_SECONDS: Final = 30.0
SHARED: Final = "of-a-test"
USERS: Final = f"""
authorization {{
  users: [
    {{ user: "syd", password: "{SHARED}", permissions: {{
        publish: ["placement.events.v1.syd.>", "_INBOX.>"], subscribe: [">"] }} }}
    {{ user: "all", password: "{SHARED}" }}
  ]
}}
"""

Probe = Callable[[Path, Path], Coroutine[None, None, bool]]
"""Tries a nats-server, with a directory for its files."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Something of a nats-server that we use."""

    name: str
    since: tuple[int, int]
    """The first version that we say has it."""
    probe: Probe
    without: str
    """What is lost where a server lacks it."""
    lacking: tuple[tuple[int, int], ...] = ()
    """Later versions that have it not, whatever their patch."""

    def is_in(self, version: tuple[int, ...]) -> bool:
        """Say whether we say that a server of *version* has it."""
        return version[:2] >= self.since and version[:2] not in self.lacking


async def keeps_our_stream(binary: Path, folder: Path) -> bool:
    """Whether the stream is as we asked for it, and nobody can purge it."""
    async with _served(binary, folder) as manager:
        found = (await manager.stream_info(STREAM)).config
        try:
            await manager.purge_stream(STREAM)
        except APIError:
            return bool(found.deny_delete and found.deny_purge)
    return False


async def knows_repeats(binary: Path, folder: Path) -> bool:
    """Whether a message id is stored once, also after the server was killed."""
    with _running(binary, folder) as server:
        log = await JetStreamLog.connect(server.settings)
        try:
            first = await log.append(EVENT, b"x", "id")
            server.kill()
            server.start()
            again = await until_answered(lambda: log.append(EVENT, b"x", "id"))
        finally:
            await log.close()
    return (again.sequence, again.duplicate) == (first.sequence, True)


async def refuses_when_full(binary: Path, folder: Path) -> bool:
    """Whether a full stream keeps what it has, and refuses what comes."""
    async with _served(binary, folder) as manager:
        config = StreamConfig(
            name="SMALL", subjects=["small"], max_msgs=2, discard=DiscardPolicy.NEW
        )
        await manager.add_stream(config)
        for _ in range(2):
            await manager.publish("small", b"x")
        try:
            await manager.publish("small", b"y")
        except APIError:
            return (await manager.stream_info("SMALL")).state.first_seq == 1
    return False


async def finds_by_pattern(binary: Path, folder: Path) -> bool:
    """Whether the next message of a pattern of subjects is found from a sequence on."""
    async with _served(binary, folder) as manager:
        for subject in (EVENT, "placement.decisions.v1.ams.a", EVENT):
            await manager.publish(subject, b"x")
        found = await manager.get_msg(STREAM, seq=1, subject=DECISIONS, next=True)
    return found.seq == 2


async def redelivers_work(binary: Path, folder: Path) -> bool:
    """Whether a durable consumer brings a message again after the delay it was told."""
    async with _served(binary, folder) as manager:
        await manager.publish(EVENT, b"x")
        config = ConsumerConfig(durable_name="w", ack_policy=AckPolicy.EXPLICIT)
        await manager.add_consumer(STREAM, config)
        work = await manager.pull_subscribe_bind("w", STREAM)
        (first,) = await work.fetch(1, timeout=DEADLINE_SECONDS)
        await first.nak(delay=0.2)
        (again,) = await work.fetch(1, timeout=DEADLINE_SECONDS)
        counted = first.metadata.num_delivered, again.metadata.num_delivered
        await again.ack()
    return counted == (1, 2)


async def permits_by_user(binary: Path, folder: Path) -> bool:
    """Whether a region's user may publish its own subjects and no others."""
    with _running(binary, folder, USERS) as server:
        heard: asyncio.Queue[str] = asyncio.Queue()
        refused: asyncio.Queue[str] = asyncio.Queue()

        async def hear(message: Msg) -> None:
            heard.put_nowait(message.subject)

        async def refuse(error: Exception) -> None:
            refused.put_nowait(str(error))

        listener, region = Client(), Client()
        await listener.connect(server.url, user="all", password=SHARED)
        await listener.subscribe("placement.>", cb=hear)
        await listener.flush()
        await region.connect(server.url, user="syd", password=SHARED, error_cb=refuse)
        try:
            for name in ("fra", "syd"):
                await region.publish(f"placement.events.v1.{name}.x", b"x")
            await region.flush()
            async with asyncio.timeout(DEADLINE_SECONDS):
                first, error = await heard.get(), await refused.get()
        except TimeoutError:
            return False
        finally:
            await region.close()
            await listener.close()
    return (first, heard.empty()) == ("placement.events.v1.syd.x", True) and (
        "placement.events.v1.fra.x" in error
    )


async def refuses_old_knowledge(binary: Path, folder: Path) -> bool:
    """Whether a decision that rests on less than was stored is refused, by our log."""
    with _running(binary, folder) as server:
        log = await JetStreamLog.connect(server.settings)
        subject = "placement.decisions.v1.ams.a"
        try:
            await log.append(subject, b"x", "1", Expected(DECISIONS, 0))
            await log.append(subject, b"x", "2", Expected(DECISIONS, 0))
        except LogMovedError:
            return True
        finally:
            await log.close()
    return False


async def flushes_always(binary: Path, folder: Path) -> bool:
    """Whether the server can be told to flush before it acknowledges."""
    return await asyncio.to_thread(_takes, binary, folder, "sync_interval: always")


def _takes(binary: Path, folder: Path, setting: str) -> bool:
    """Return whether a server finds nothing wrong with a setting of JetStream's."""
    folder.mkdir(exist_ok=True)
    configuration = folder / "tried.conf"
    store = json.dumps(str(folder / "store"))
    configuration.write_text(f"jetstream {{ store_dir: {store}, {setting} }}")
    command = [str(binary), "-t", "-c", str(configuration)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


async def expects_by_pattern(binary: Path, folder: Path) -> bool:
    """Whether the server itself holds an append against a pattern of subjects."""
    async with _served(binary, folder) as manager:
        await manager.publish("placement.decisions.v1.ams.a", b"x")
        expected = {
            "Nats-Expected-Last-Subject-Sequence": "1",
            "Nats-Expected-Last-Subject-Sequence-Subject": DECISIONS,
        }
        other = "placement.decisions.v1.fra.b"
        try:
            await manager.publish(other, b"x", headers=expected)
        except APIError:
            return False
        try:
            await manager.publish(other, b"x", headers=expected)
        except APIError:
            return True
    return False


async def forgets_refusals(binary: Path, folder: Path) -> bool:
    """Whether a replicated stream takes at once, well founded, what it refused."""
    with ExitStack() as stack:
        servers = cluster(binary, folder)
        for server in servers:
            stack.callback(server.kill)
            server.start()
        log = JetStreamLog(replace(servers[0].settings, replicas=len(servers)))
        subject = "placement.decisions.v1.ams.a"
        try:
            first = await until_answered(
                lambda: log.append(subject, b"x", "1", Expected(DECISIONS, 0))
            )
            with suppress(LogMovedError):
                await log.append(subject, b"x", "2", Expected(DECISIONS, 0))
            last = Expected(DECISIONS, first.sequence)
            again = await log.append(subject, b"x", "2", last)
        except LogUnavailableError:
            return False
        finally:
            await log.close()
    return (again.sequence, again.duplicate) == (first.sequence + 1, False)


def cluster(binary: Path, folder: Path) -> list[NatsServer]:
    """Return three servers that know each other, not yet running."""
    folder.mkdir(exist_ok=True)
    ports = [free_port() for _ in range(3)]
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    return [
        NatsServer(
            binary,
            folder / str(number),
            f"server_name: n{number}\n"
            f'cluster {{ name: c, listen: "127.0.0.1:{port}", routes: [{routes}] }}',
        )
        for number, port in enumerate(ports)
    ]


FEATURES: Final = (
    Feature(
        "a stream that keeps everything and cannot be purged",
        (2, 9),
        keeps_our_stream,
        "the service refuses to start, and names the field",
    ),
    Feature(
        "a message id is stored once, over a kill too",
        (2, 9),
        knows_repeats,
        "repeats take room in the log; they are folded once all the same",
    ),
    Feature(
        "a full stream refuses and forgets nothing",
        (2, 9),
        refuses_when_full,
        "the service refuses to start: old events would go unnoticed",
    ),
    Feature(
        "the next message of a pattern of subjects is found",
        (2, 9),
        finds_by_pattern,
        "planners could not tell a repeat of theirs from another's decision",
    ),
    Feature(
        "work comes again, after a delay that was asked for",
        (2, 9),
        redelivers_work,
        'replicators need `source = "grpc"`',
    ),
    Feature(
        "a region's user may publish its own subjects alone",
        (2, 9),
        permits_by_user,
        "an agent that was taken over could speak for other regions",
    ),
    Feature(
        "a decision on old knowledge is refused",
        (2, 9),
        refuses_old_knowledge,
        "the fold's rules alone would keep a second decision from taking effect",
    ),
    Feature(
        "it flushes before it acknowledges (`sync_interval: always`)",
        (2, 10),
        flushes_always,
        "a power failure may take the last two minutes of acknowledged events: three "
        "replicas in three zones, and agents that send again, are what is left. "
        "`placement serve` does not run such a server itself",
    ),
    Feature(
        "the server itself looks at a pattern of subjects as it stores",
        (2, 11),
        expects_by_pattern,
        "our log asks just before it appends; of two planners that append within the "
        "same moment both may be stored, and the fold lets one take effect",
    ),
    Feature(
        "a replicated stream takes at once what it refused, if it is right by then",
        (2, 9),
        forgets_refusals,
        "a decision that lost a race against another one is told to come later until "
        "the stream has forgotten its id, two minutes by default",
        lacking=((2, 11),),
    ),
)
"""All of them; the order is the document's."""


@contextmanager
def _running(binary: Path, folder: Path, extra: str = "") -> Iterator[NatsServer]:
    """Run a server within the block."""
    server = NatsServer(binary, folder, extra)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@asynccontextmanager
async def _served(binary: Path, folder: Path) -> AsyncIterator[JetStreamContext]:
    """Give a plain client's JetStream on a server that has our stream."""
    with _running(binary, folder) as server:
        log = await JetStreamLog.connect(server.settings)
        await log.close()
        async with jetstream(server) as manager:
            yield manager


async def until_answered(append: Callable[[], Awaitable[Appended]]) -> Appended:
    """Append as often as the log says that it is away: a cluster elects first."""
    async with asyncio.timeout(CLUSTER_SECONDS):
        while True:
            try:
                return await append()
            except LogUnavailableError:
                await asyncio.sleep(POLL_SECONDS)
