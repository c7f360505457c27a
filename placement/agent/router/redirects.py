"""Sends clients that log in anywhere (containerd) straight to a registry that has it.

Never to one that may not: it was asked just now, with this client's credentials.
"""

from collections.abc import Callable, Sequence
from typing import Final

from starlette.responses import Response

from placement.agent.lately import Lately
from placement.agent.registry.asking import count_of
from placement.agent.router.answers import API_VERSION
from placement.agent.router.asking import Asker
from placement.agent.router.asks import Ask, Client, Refusal
from placement.agent.router.places import Places
from placement.agent.router.settings import RouterSettings
from placement.core.topology import Region

PRESENCE_SECONDS: Final = 2.0
"""For so long a client is not asked about again at the same registry."""
PRESENCES_KEPT: Final = 4096
REDIRECTED_BYTES_LEAST: Final = 1 << 20
"""Less is sent on at once: connecting and logging in elsewhere takes longer."""


class Redirects:
    """Decides who is redirected where."""

    def __init__(
        self,
        settings: RouterSettings,
        asker: Asker,
        places: Places,
        clock: Callable[[], float],
    ) -> None:
        """Ask by *asker*; *clock* is in seconds."""
        self._settings = settings
        self._asker = asker
        self._places = places
        self._present = Lately[tuple[str | None, Region, str]](
            PRESENCE_SECONDS, PRESENCES_KEPT, clock
        )

    async def redirected(
        self,
        client: Client,
        path: str,
        regions: Sequence[Region],
        *,
        waits: bool = True,
    ) -> Response | None:
        """Return a redirect to the first of *regions* that has what is at *path*.

        None: the client is not one to be redirected, or nobody has it or has an
        address for clients, or it is small. *waits* as of ``Asker.first``.
        """
        if not self._settings.redirects(client.user_agent):
            return None
        public = [one for one in regions if self._places.endpoint(one)]
        for region in public:
            there = client.authorization, region, path
            if self._present.noted_s(there) is not None:
                return self._to(region, path)
        plain = Client(client.authorization, client.user_agent)
        ask = Ask("HEAD", path, plain)
        answer = await self._asker.first(public, ask, (200,), waits=waits)
        if isinstance(answer, Refusal):
            return None
        await answer.response.aclose()
        size = count_of(answer.response.headers.get("Content-Length", ""))
        if size < REDIRECTED_BYTES_LEAST:
            return None
        self._present.note((client.authorization, answer.region, path))
        return self._to(answer.region, path)

    def _to(self, region: Region, path: str) -> Response:
        headers = {"Location": f"{self._places.endpoint(region)}{path}", **API_VERSION}
        return Response(b"", 307, headers)
