"""Answers GET and HEAD of blobs: from our own registry, else from the best source."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Final

import httpx
import structlog
from starlette.responses import Response

from placement.agent.proven import Proven
from placement.agent.router.answers import (
    API_VERSION,
    NO_CONTENT,
    Streamed,
    headed,
    relayed_headers,
    unavailable,
)
from placement.agent.router.asking import Asker
from placement.agent.router.asks import Answer, Ask, Client, Refusal
from placement.agent.router.bodies import Body, span_of, verified
from placement.agent.router.copies import Copies
from placement.agent.router.flights import Flight, Flights, path_of
from placement.agent.router.places import Places, Wanted
from placement.agent.router.redirects import Redirects
from placement.agent.router.reports import Reports
from placement.agent.router.spool import Spool
from placement.core.topology import Region

UNKNOWN: Final = "BLOB_UNKNOWN"
NOT_FOUND: Final = (404, 503)
JOINS_MAX: Final = 16
"""How often one client joins or begins a flight of one blob."""

log = structlog.get_logger(__name__)


class Blobs:
    """Blobs for clients, with their own rights."""

    def __init__(  # noqa: PLR0913 - what a blob's way depends on
        self,
        asker: Asker,
        places: Places,
        *,
        flights: Flights,
        copies: Copies,
        redirects: Redirects,
        reports: Reports,
        proven: Proven,
        counts: Counter[str],
        fills: bool,
    ) -> None:
        """Answer from *places*; *fills* says whether our registry is to be filled.

        What is *proven* of our own registry is sent as it is to those who verify.
        """
        self._asker = asker
        self._places = places
        self._flights = flights
        self._copies = copies
        self._redirects = redirects
        self._reports = reports
        self._proven = proven
        self._counts = counts
        self._fills = fills

    async def head(self, client: Client, wanted: Wanted) -> Response:
        """Answer whether a push may leave the blob out.

        So only the registry that takes pushes is asked: what only others have must be
        uploaded, or the manifest that comes after it would be refused.
        """
        targets = self._places.push_targets(wanted.repository)[:1]
        answer = await self._asker.first(targets, Ask("HEAD", path_of(wanted), client))
        if isinstance(answer, Refusal):
            return answer.response(UNKNOWN)
        await answer.response.aclose()
        return headed(answer.response)

    async def get(self, client: Client, wanted: Wanted) -> Response:
        """Answer with the blob, or with where it is."""
        for _ in range(JOINS_MAX):
            landed_count = self._flights.landed_count
            flight = self._flights.find(wanted)
            if flight is not None and "Range" not in client.passed:
                found = await self._joined(client, flight)
            else:
                found = await self._from_here(client, wanted)
                if found is None and self._flights.landed_after(wanted, landed_count):
                    continue  # it came while our own registry said that it has none
                if found is None and self._flights.find(wanted) is None:
                    found = await self._copies.joined(client, wanted)
                found = found or await self._from_elsewhere(client, wanted)
            if found is None:
                continue
            trusted = self._places.trusts_own(wanted)
            if found.status_code in NOT_FOUND and not trusted:
                suspected = await self._from_here(client, wanted, suspected=True)
                found = suspected or found
            return found
        return unavailable()

    async def _from_here(
        self, client: Client, wanted: Wanted, *, suspected: bool = False
    ) -> Response | None:
        """Return our own registry's answer, or None where others are to be asked."""
        if not self._places.trusts_own(wanted) and not suspected:
            return None
        own = self._places.known([self._places.region])
        path = path_of(wanted)
        redirect = await self._redirects.redirected(client, path, own, waits=suspected)
        if redirect is not None:
            self._counts["redirected"] += 1
            return redirect
        if not self._places.is_well(self._places.region) and not suspected:
            return None  # it had its time
        ask = Ask("GET", path, client)
        answer = await self._asker.first(own, ask, waits=suspected)
        if isinstance(answer, Refusal):
            final = answer.challenge is not None and client.authorization is None
            return answer.response(UNKNOWN) if final else None
        self._counts["local"] += 1
        return await self._sent(client, wanted, answer)

    async def _from_elsewhere(self, client: Client, wanted: Wanted) -> Response | None:
        """Return the answer of others; None: somebody fetches it by now, join them."""
        if not self._fills:
            path, elsewhere = path_of(wanted), self._places.elsewhere(wanted)
            redirect = await self._redirects.redirected(client, path, elsewhere)
            if redirect is not None:
                self._counts["redirected"] += 1
                return redirect
        # What our own registry has damaged it keeps: another upload is left out there.
        damaged = self._places.is_damaged(self._places.region, wanted)
        if "Range" in client.passed or damaged:
            return await self._passed(client, wanted)
        if self._flights.find(wanted) is not None:
            return None
        flight = self._flights.begin(wanted, client)
        if flight is None:
            return await self._passed(client, wanted)
        return await self._flown(client, flight)

    async def _joined(self, client: Client, flight: Flight) -> Response | None:
        """Return what is fetched for another; None: that ended meanwhile."""
        refusal = await self._refused(client, flight.wanted)
        if refusal is not None:
            return refusal
        if self._flights.find(flight.wanted) is not flight:
            return None
        flight.client = client
        self._counts["joined"] += 1
        return await self._flown(client, flight)

    async def _flown(self, client: Client, flight: Flight) -> Response | None:
        """Return what a flight brings; None: another client's rights did not do."""
        joined = await flight.joined()
        if joined is None:
            return await self._passed(client, flight.wanted)
        if isinstance(joined, Spool):
            return self._from_flight(client, flight, joined)
        if flight.client is not client:
            return None
        self._counts["unknown"] += 1
        return joined.response(UNKNOWN)

    async def _passed(self, client: Client, wanted: Wanted) -> Response:
        """Answer a client that wants it by itself: a part of it, or without a spool."""
        elsewhere = self._places.elsewhere(wanted)
        ask = Ask("GET", path_of(wanted), client)
        answer = await self._asker.first(elsewhere, ask)
        if isinstance(answer, Refusal):
            self._counts["unknown"] += 1
            return answer.response(UNKNOWN)
        self._count_source(wanted, answer.region)
        return await self._sent(client, wanted, answer)

    async def _refused(self, client: Client, wanted: Wanted) -> Response | None:
        """Return what a client is told that no registry gives the blob to."""
        ask = Ask("HEAD", path_of(wanted), replace(client, passed={}))
        candidates = self._places.candidates(wanted)
        answer = await self._asker.first(candidates, ask, (200,))
        if isinstance(answer, Refusal):
            self._counts["unknown"] += 1
            return answer.response(UNKNOWN)
        await answer.response.aclose()
        return None

    def _from_flight(self, client: Client, flight: Flight, spool: Spool) -> Response:
        source = flight.source or self._places.origin
        self._count_source(flight.wanted, source)
        headers = {
            **API_VERSION,
            "Content-Length": str(spool.size_bytes),
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": flight.wanted.digest,
        }

        async def ended() -> None:
            spool.leave()

        chunks = self._told(spool.chunks(), client, flight.wanted, source)
        return Streamed(chunks, 200, headers, ended)

    async def _sent(self, client: Client, wanted: Wanted, answer: Answer) -> Response:
        """Return a registry's own answer; its body goes on from others if need be."""
        response = answer.response
        if response.status_code in NO_CONTENT:
            await response.aclose()
            return headed(response)
        span = span_of(response)
        headers = relayed_headers(response)
        if span is None:
            return relayed(answer)
        body = Body(
            self._asker,
            path_of(wanted),
            lambda: replace(client, passed={}),
            lambda: self._places.candidates(wanted),
            answer,
            *span,
        )
        chunks = body.chunks()
        if self._is_spared(client, wanted, answer):
            self._counts["spared"] += 1
            headers.pop("Cache-Control", None)  # nobody else is to be given it
        elif response.status_code == httpx.codes.OK:
            judge = partial(self._judged, body, wanted, self._proven.clock_s())
            chunks = verified(chunks, wanted.digest, judge)
        if answer.region != self._places.region:
            chunks = self._told(chunks, client, wanted, answer.region)
        return Streamed(chunks, response.status_code, headers, response.aclose)

    def _is_spared(self, client: Client, wanted: Wanted, answer: Answer) -> bool:
        """Say whether an answer needs no verifying on its way."""
        own, whole = self._places.region, answer.response.status_code == httpx.codes.OK
        if answer.region != own or not whole or not client.verifies:
            return False
        if self._places.is_damaged(own, wanted):
            return False
        return self._proven.spares(wanted.repository, wanted.digest, client.address)

    def _judged(self, body: Body, wanted: Wanted, began_s: float, right: bool) -> None:  # noqa: FBT001 - the verdict
        """Remember what is right here; else count it, and blame whom it came from."""
        own = set(body.used) == {self._places.region}
        if right:
            if own:
                self._proven.read(wanted.repository, wanted.digest, began_s)
            return
        if own:
            self._proven.damaged(wanted.repository, wanted.digest)
        self._counts["corrupted"] += 1
        self._places.damaged(body.used, wanted)
        log.error("content_damaged", digest=wanted.digest, sources=body.used)

    async def _told(
        self,
        chunks: AsyncGenerator[bytes, None],
        client: Client,
        wanted: Wanted,
        source: Region,
    ) -> AsyncGenerator[bytes, None]:
        """Give *chunks*, and tell that the client had them all."""
        sent = 0
        async with aclosing(chunks):
            async for chunk in chunks:
                sent += len(chunk)
                self._counts["far_bytes"] += len(chunk)
                yield chunk
        self._reports.pulled(wanted, source, sent, client.user_agent)

    def _count_source(self, wanted: Wanted, region: Region) -> None:
        known = region in self._places.sources(wanted)
        self._counts["streamed" if known else "fell_back"] += 1


def relayed(answer: Answer) -> Streamed:
    """Return a registry's answer as it is, its body as it comes."""
    response = answer.response
    headers = relayed_headers(response)
    chunks = _raw(response)
    return Streamed(chunks, response.status_code, headers, response.aclose)


async def _raw(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    async for chunk in response.aiter_raw():
        yield chunk
