"""A real service that asks everybody who they are, and channels of anybody to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

from placement.api.server import PlacementServer, ServerSettings
from placement.client.channels import open_channel
from tests.certificates import DOMAIN, Papers
from tests.serving import Stage


@dataclass
class Guarded:
    """A stage that is served behind the gate."""

    stage: Stage
    server: PlacementServer
    target: str
    papers: Papers
    _kept: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    def kept_channel(self, path: str) -> grpc.aio.Channel:
        """Return the one channel of a client with this name, until the service ends."""
        if path not in self._kept:
            tls = self.papers.client(path)
            self._kept[path] = open_channel(self.target, tls)
        return self._kept[path]

    async def close(self) -> None:
        """Close what is kept."""
        for channel in self._kept.values():
            await channel.close()

    @asynccontextmanager
    async def channel(
        self, *paths: str, names: tuple[str, ...] = ()
    ) -> AsyncIterator[grpc.aio.Channel]:
        """Give a channel of a client whose certificate has these names."""
        tls = self.papers.client(*paths, names=names)
        async with open_channel(self.target, tls) as channel:
            yield channel


def settings_of(papers: Papers, **others: object) -> ServerSettings:
    """Return settings of a service that uses *papers*."""
    return ServerSettings(
        cert_file=papers.cert_file,
        key_file=papers.key_file,
        client_ca_file=papers.ca_file,
        trust_domain=DOMAIN,
        **others,  # type: ignore[arg-type]  # whatever a test wants
    )


@asynccontextmanager
async def guarded(papers: Papers, **others: object) -> AsyncIterator[Guarded]:
    """Serve a new stage behind the gate."""
    stage = Stage()
    server = stage.server(settings_of(papers, **others))
    target = f"127.0.0.1:{await server.start()}"
    served = Guarded(stage, server, target, papers)
    try:
        yield served
    finally:
        await served.close()
        await server.stop(0)
