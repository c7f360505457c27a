"""Blobs that a copy brings into our registry just now: a client waits for that one.

It has its headers at once, and its bytes from our own registry as soon as the copy is
there, which is what is left of it; where the copy fails, from the next best registry.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from placement.agent.registry.asking import count_of
from placement.agent.router.answers import API_VERSION, Streamed
from placement.agent.router.asking import Asker
from placement.agent.router.asks import Ask, Client, Refusal
from placement.agent.router.bodies import Body, BrokenError, verified
from placement.agent.router.flights import path_of
from placement.agent.router.places import Places, Wanted
from placement.agent.router.reports import Reports
from placement.agent.underway import Underway
from placement.core.topology import Region

UNKNOWN: Final = "BLOB_UNKNOWN"
LARGE_BYTES: Final = 1 << 20
"""What is as large as this is waited for, however little of it has come: fetched once
more at the same time, both take longer. In the lab, right at a push, 10 MB came 0.8 s
later so, and twice as many bytes moved."""
COME_MIN: Final = 0.5
"""What is smaller is waited for once so much of it has come: asking costs as much."""


class Copies:
    """What others bring, for clients who want it."""

    def __init__(
        self,
        asker: Asker,
        places: Places,
        underway: Underway,
        reports: Reports,
        counts: Counter[str],
    ) -> None:
        """Wait for what *underway* has, and ask by *asker*."""
        self._asker = asker
        self._places = places
        self._underway = underway
        self._reports = reports
        self._counts = counts

    async def joined(self, client: Client, wanted: Wanted) -> Response | None:
        """Return the answer to *client*, or None where nobody brings the blob.

        A registry is asked with the client's own rights before it is told anything.
        """
        if "Range" in client.passed or not self._underway.has(wanted.digest):
            return None
        ask = Ask("HEAD", path_of(wanted), replace(client, passed={}))
        candidates = self._places.candidates(wanted)
        answer = await self._asker.first(candidates, ask, (200,))
        if isinstance(answer, Refusal):
            self._counts["unknown"] += 1
            return answer.response(UNKNOWN)
        await answer.response.aclose()
        size = count_of(answer.response.headers.get("Content-Length", ""))
        if not size or not self._worth_waiting(wanted, size):
            return None
        self._counts["awaited"] += 1
        headers = {
            **API_VERSION,
            "Content-Length": str(size),
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": wanted.digest,
        }
        return Streamed(self._chunks(client, wanted, size), 200, headers, _nothing)

    def _worth_waiting(self, wanted: Wanted, size: int) -> bool:
        if not self._underway.has(wanted.digest):
            return False
        return size >= LARGE_BYTES or self._underway.come(wanted.digest) >= COME_MIN

    async def _chunks(
        self, client: Client, wanted: Wanted, size: int
    ) -> AsyncGenerator[bytes, None]:
        """Give all bytes of the blob, once it is here; raises BrokenError."""
        await self._underway.settled(wanted.digest, urgent=True)
        plain = replace(client, passed={})
        path = path_of(wanted)

        def regions() -> list[Region]:
            return self._places.candidates(wanted)

        answer = await self._asker.first(regions(), Ask("GET", path, plain), (200,))
        if isinstance(answer, Refusal):
            message = f"the copy of {wanted.digest} did not come, and nobody gives it"
            raise BrokenError(message)
        body = Body(self._asker, path, lambda: plain, regions, answer, 0, size)
        whole = verified(body.chunks(), wanted.digest, self._judged(body, wanted))
        async with aclosing(whole) as chunks:
            async for chunk in chunks:
                yield chunk
        if answer.region != self._places.region:
            self._reports.pulled(wanted, answer.region, size, client.user_agent)

    def _judged(self, body: Body, wanted: Wanted) -> Callable[[bool], None]:
        proven = self._underway.proven
        began_s = proven.clock_s()

        def judged(right: bool) -> None:  # noqa: FBT001 - the verdict
            own = set(body.used) == {self._places.region}
            if own and not right:
                proven.damaged(wanted.repository, wanted.digest)
            elif own:
                proven.read(wanted.repository, wanted.digest, began_s)
            if right:
                return
            self._counts["corrupted"] += 1
            self._places.damaged(body.used, wanted)

        return judged


async def _nothing() -> None:
    """Close nothing."""
