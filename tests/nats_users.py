"""A real nats-server with users and permissions as `placement nats-config` says."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from nats.aio.client import Client

from placement.adapters.jetstream.settings import (
    STREAM,
    JetStreamSettings,
    identity_options,
)
from placement.core.topology import Topology
from placement.nats_authority.configuration import configuration
from placement.nats_authority.credentials import Credentials, Proof
from placement.nats_authority.names import agent_inbox, role_inbox
from placement.nats_authority.users import User, Wanted, users
from tests.builders import TOPOLOGY
from tests.nats_server import DEBIAN_SERVER, NatsServer, newest_server

OLDEST, NEWEST = "oldest", "newest"
VERSIONS = (OLDEST, NEWEST)


def binary_of(version: str) -> Path:
    """Return the oldest nats-server that we know, or the newest; skips without it."""
    if version == NEWEST:
        return newest_server()
    if not DEBIAN_SERVER.exists():
        pytest.skip(f"{DEBIAN_SERVER} is not installed: apt-get install nats-server")
    return DEBIAN_SERVER


class Guarded:
    """A server with users, each by its name."""

    def __init__(  # noqa: PLR0913 - whatever a test is about
        self,
        version: str,
        directory: Path,
        proof: Proof = Proof.PASSWORD,
        *,
        topology: Topology = TOPOLOGY,
        accounts: Sequence[str] = ("PLACEMENT",),
        extra: str = "",
    ) -> None:
        """Write its configuration; do not run yet."""
        directory.mkdir(parents=True, exist_ok=True)
        wanted = Wanted(topology, STREAM, accounts, "zot.{region}.events")
        self.credentials = Credentials(proof, directory / "secrets", "placement")
        self.users = {user.name: user for user in users(wanted)}
        self.written = configuration(
            (user, self.credentials.entry(user)) for user in self.users.values()
        )
        self.proof = proof
        self.server = NatsServer(
            binary_of(version), directory / "nats", f"{self.written}\n{extra}"
        )

    def settings(self, name: str) -> JetStreamSettings:
        """Return how *name* reaches it, by password or key."""
        user = self.users[name]
        path = self.credentials.file(user)
        assert path is not None, "certificates are a test's own"
        settings = replace(self.server.settings, inbox_prefix=inbox_of(user))
        if path.suffix == ".nk":
            return replace(settings, nkey_seed_file=path)
        return replace(settings, user=name, password=path.read_text().strip())


def inbox_of(user: User) -> str:
    """Return how the subjects begin on which *user* is answered."""
    return agent_inbox(user.region) if user.region else role_inbox(user.role)


@contextmanager
def running(guarded: Guarded) -> Iterator[Guarded]:
    """Run the server within the block."""
    guarded.server.start()
    try:
        yield guarded
    finally:
        guarded.server.kill()


class Tried:
    """A plain client that remembers what the server denied it."""

    def __init__(self, client: Client, denied: list[str]) -> None:
        """Use *client*, whose errors go to *denied*."""
        self.client = client
        self.denied = denied

    async def publish(self, subject: str, body: bytes = b"", reply: str = "") -> bool:
        """Publish; say whether that was permitted."""
        return await self._permitted(self.client.publish(subject, body, reply=reply))

    async def subscribe(self, subject: str) -> bool:
        """Subscribe; say whether that was permitted."""
        return await self._permitted(self.client.subscribe(subject))

    async def _permitted(self, doing: object) -> bool:
        before = len(self.denied)
        await doing  # type: ignore[misc]  # either of the two
        for _ in range(2):  # nats-py's first may overtake what it has not written yet
            await self.client.flush()
        return len(self.denied) == before


@asynccontextmanager
async def logged_in(settings: JetStreamSettings) -> AsyncIterator[Tried]:
    """Give a plain client that is logged in, within the block."""
    denied: list[str] = []

    async def note(error: Exception) -> None:
        denied.append(str(error))

    client = Client()
    await client.connect(
        servers=list(settings.servers),
        inbox_prefix=settings.inbox_prefix.encode(),
        error_cb=note,
        allow_reconnect=False,
        **identity_options(settings),
    )
    try:
        yield Tried(client, denied)
    finally:
        await client.close()
