"""Asks registries on behalf of a client until one gives the content, and in time.

The next registry is asked when one says no, or has not begun to answer in its time; the
slow one may still win. So a registry that hangs costs its time once, and one that is
only far away costs nothing.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import httpx
from starlette.responses import Response

from placement.agent.registry.client import Registry
from placement.agent.registry.errors import RegistryError, RegistryUnreachableError
from placement.agent.registry.relaying import Relayed
from placement.agent.router.answers import challenged, unavailable, unknown
from placement.agent.router.health import Health
from placement.agent.router.places import Places
from placement.core.topology import Region

OWN_USER_AGENT: Final = "placement-replicator/router"
"""What other regions' registries are told: they must not count it as a use there."""
SEARCH_SECONDS_MAX: Final = 2.5
GIVEN: Final = (200, 206, 304, 416)
"""Statuses that end a search: whoever says so has the content."""
ABSENT: Final = (403, 404)
"""Not there, or not for this client: nobody is told which."""
CONNECT_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: their rights, what they are, and what they say of the answer."""

    authorization: str | None = field(repr=False)
    user_agent: str
    passed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of any registry for *client*."""

    method: str
    path: str
    client: Client
    headers: Mapping[str, str] = field(default_factory=dict)
    """Instead of those that the client passed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A registry's open answer; whoever has it closes it."""

    region: Region
    response: httpx.Response


@dataclass(slots=True)
class Refusal:
    """Nobody gave it: what they said, for the client to be told the one same thing."""

    challenges: dict[Region, Response] = field(default_factory=dict)
    silent: bool = False
    """Whether somebody who might have it did not answer."""

    def response(self, code: str) -> Response:
        """Return what the client is told; *code* names the kind of what is unknown."""
        if self.challenges:
            return self.challenges[min(self.challenges)]
        return unavailable() if self.silent else unknown(code)


class Asker:
    """Asks registries with the clients' own rights, and remembers who hangs."""

    def __init__(
        self,
        places: Places,
        registries: Mapping[Region, Registry],
        health: Health,
        stall_seconds: float,
        counts: Counter[str],
    ) -> None:
        """Ask *registries*; count in *counts* why others had to be asked."""
        self._places = places
        self._registries = registries
        self._health = health
        self._timeout = httpx.Timeout(stall_seconds, connect=CONNECT_SECONDS)
        self._counts = counts
        self._dropping: set[asyncio.Task[None]] = set()

    async def first(
        self,
        regions: Sequence[Region],
        ask: Ask,
        given: tuple[int, ...] = GIVEN,
    ) -> Answer | Refusal:
        """Return the first answer of *regions*, in order, that is one of *given*.

        A client without credentials is told at once that some are wanted; one whose
        credentials are refused may still be known to the next registry.
        """
        waiting, refusal = deque(regions), Refusal()
        running: dict[asyncio.Task[httpx.Response], Region] = {}
        try:
            async with asyncio.timeout(SEARCH_SECONDS_MAX):
                while waiting or running:
                    latest = None
                    if waiting:
                        latest = waiting.popleft()
                        asking = asyncio.create_task(self.ask(latest, ask))
                        running[asking] = latest
                    found = await self._heard(running, latest, refusal, given)
                    if found is not None:
                        return found
                    if refusal.challenges and ask.client.authorization is None:
                        break
        except TimeoutError:
            refusal.silent = True
            for region in running.values():
                self.suspect(region, "silent")
        finally:
            self._drop(running)
        return refusal

    async def ask(self, region: Region, ask: Ask) -> httpx.Response:
        """Return the answer of one registry; raises RegistryUnreachableError."""
        client = ask.client
        headers = {"User-Agent": OWN_USER_AGENT, **(ask.headers or client.passed)}
        if region == self._places.region and client.user_agent:
            headers["User-Agent"] = client.user_agent
        if client.authorization is not None:
            headers["Authorization"] = client.authorization
        relayed = Relayed(ask.method, ask.path, headers, None, self._timeout)
        return await self._registries[region].relay(relayed)

    def suspect(self, region: Region, why: str) -> None:
        """Count that *region* failed a client, and have it asked by ourselves."""
        self._counts[f"source_{why}"] += 1
        self._health.suspect(region, why)

    async def close(self) -> None:
        """Wait until what was asked in vain is closed."""
        await asyncio.gather(*self._dropping, return_exceptions=True)

    async def _heard(
        self,
        running: dict[asyncio.Task[httpx.Response], Region],
        latest: Region | None,
        refusal: Refusal,
        given: tuple[int, ...],
    ) -> Answer | None:
        """Return an answer, or None once the next registry is to be asked.

        *latest* was asked just now; it has its time, unless others answer no before.
        """
        seconds = None if latest is None else self._places.answer_seconds(latest)
        done, _ = await asyncio.wait(
            running, timeout=seconds, return_when="FIRST_COMPLETED"
        )
        if not done and latest is not None:
            self.suspect(latest, "slow")
        found: Answer | None = None
        for task in done:
            region = running.pop(task)
            answer = await self._judged(task, region, refusal, given)
            if answer is None:
                continue
            if found is not None:
                await answer.response.aclose()
            else:
                found = answer
        return found

    async def _judged(
        self,
        task: asyncio.Task[httpx.Response],
        region: Region,
        refusal: Refusal,
        given: tuple[int, ...],
    ) -> Answer | None:
        try:
            response = task.result()
        except RegistryUnreachableError:
            refusal.silent = True
            self.suspect(region, "unreachable")
            return None
        if response.status_code in given:
            return Answer(region, response)
        self.hear_refusal(region, response, refusal)
        await response.aclose()
        return None

    def hear_refusal(
        self, region: Region, response: httpx.Response, refusal: Refusal
    ) -> None:
        """Take in an answer that is not the content."""
        if response.status_code == httpx.codes.UNAUTHORIZED:
            refusal.challenges[region] = challenged(response)
        elif response.status_code not in ABSENT:
            refusal.silent = True
            self._counts[f"source_status_{response.status_code}"] += 1

    def _drop(self, running: Mapping[asyncio.Task[httpx.Response], Region]) -> None:
        """Give up what was asked in vain, and close what comes of it all the same."""
        for task in running:
            task.cancel()
            dropping = asyncio.create_task(_closed(task))
            self._dropping.add(dropping)
            dropping.add_done_callback(self._dropping.discard)


async def _closed(task: asyncio.Task[httpx.Response]) -> None:
    with suppress(asyncio.CancelledError, RegistryError):
        response = await task
        await response.aclose()
