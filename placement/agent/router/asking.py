"""Asks registries on behalf of a client until one gives the content, and in time.

The next registry is asked when one says no, or has not begun to answer in its time; the
slow one may still win. So a registry that hangs costs its time once, and one that is
only far away costs nothing.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

import httpx

from placement.agent.registry.client import Registry
from placement.agent.registry.errors import RegistryError, RegistryUnreachableError
from placement.agent.registry.relaying import Relayed
from placement.agent.router.answers import challenged
from placement.agent.router.asks import Answer, Ask, Refusal
from placement.agent.router.health import Health
from placement.agent.router.places import Places
from placement.core.topology import Region

OWN_USER_AGENT: Final = "placement-replicator/router"
"""What other regions' registries are told: they must not count it as a use there."""
SEARCH_SECONDS_MAX: Final = 10.0
"""While nobody has answered anything: all are slow, and no other is left to ask."""
LATE_SECONDS: Final = 2.0
"""For those that are late, when all others have said no."""
LOOK_SECONDS: Final = 0.01
LOOKS_LEAST: Final = 10
"""An answer that has come takes our own loop several turns to be known."""
AGAIN_SECONDS: Final = (0.05, 0.4, 1.0)
"""Before those are asked again that could not be reached, when nobody else is left."""
GIVEN: Final = (200, 206, 304, 416)
"""Statuses that end a search: whoever says so has the content."""
ABSENT: Final = (403, 404)
"""Not there, or not for this client: nobody is told which."""
READ_TIMEOUT: Final = httpx.Timeout(SEARCH_SECONDS_MAX, connect=2.0)


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
        self.stall_seconds = stall_seconds
        self._counts = counts
        self._dropping: set[asyncio.Task[None]] = set()

    async def first(
        self,
        regions: Sequence[Region],
        ask: Ask,
        given: tuple[int, ...] = GIVEN,
        *,
        waits: bool = True,
    ) -> Answer | Refusal:
        """Return the first answer of *regions*, in order, that is one of *given*.

        When all were asked, *waits* says whether to wait for those that are late, and
        to ask those again to whom no connection held: a client that is sent away seldom
        comes again. A client without credentials is told at once that some are wanted;
        one whose credentials are refused may still be known to the next registry.
        """
        waiting, refusal = deque(regions), Refusal()
        running: dict[asyncio.Task[httpx.Response], Region] = {}
        pauses = iter(AGAIN_SECONDS if waits else ())
        try:
            async with asyncio.timeout(SEARCH_SECONDS_MAX):
                while waiting or running or await _again(waiting, refusal, pauses):
                    latest = None
                    if waiting:
                        latest = waiting.popleft()
                        asking = asyncio.create_task(self.ask(latest, ask))
                        running[asking] = latest
                    count = len(running)
                    found = await self._heard(running, latest, refusal, given)
                    if found is not None:
                        return found
                    last_wait = not waiting and (latest is None or not waits)
                    if last_wait and len(running) == count:
                        refusal.silent = True
                        break
                    if refusal.final(ask.client):
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
        relayed = Relayed(ask.method, ask.path, headers, None, READ_TIMEOUT)
        response = await self._registries[region].relay(relayed)
        self._health.hear(region)
        return response

    async def one(
        self, region: Region, ask: Ask, seconds: float
    ) -> httpx.Response | None:
        """Return the answer of one registry; None, and it is a suspect, if it fails."""
        asking = asyncio.create_task(self.ask(region, ask))
        try:
            async with asyncio.timeout(SEARCH_SECONDS_MAX):
                if await self._done({asking: region}, region, seconds):
                    return asking.result()
        except RegistryUnreachableError as error:
            self.suspect(region, "unreachable", error)
            return None
        except TimeoutError:
            self.suspect(region, "silent")
        finally:
            if not asking.done():
                self._drop({asking: region})
        return None

    def hear(self, region: Region) -> None:
        """Know that *region* gave bytes just now."""
        self._health.hear(region)

    def suspect(
        self, region: Region, why: str, cause: BaseException | None = None
    ) -> None:
        """Count that *region* failed a client, and have it asked by ourselves."""
        self._counts[f"source_{why}"] += 1
        self._health.suspect(region, why, cause)

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
        if latest is None:
            seconds = LATE_SECONDS if refusal.no_count else None
        else:
            seconds = self._places.answer_seconds(latest)
        done = await self._done(running, latest, seconds)
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

    async def _done(
        self,
        running: Mapping[asyncio.Task[httpx.Response], Region],
        latest: Region | None,
        seconds: float | None,
    ) -> set[asyncio.Task[httpx.Response]]:
        """Return what was answered; nothing once *latest* has had its *seconds*.

        A registry that answers others meanwhile is busy, and has some more.
        """
        done, _ = await asyncio.wait(
            running, timeout=seconds, return_when="FIRST_COMPLETED"
        )
        looks = 0
        while not done and latest is not None:
            # First hear all that came while we ourselves were busy.
            done, _ = await asyncio.wait(
                running, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED"
            )
            looks += 1
            if not done and looks >= LOOKS_LEAST and not self._health.busy(latest):
                self.suspect(latest, "slow")
                break
        return done

    async def _judged(
        self,
        task: asyncio.Task[httpx.Response],
        region: Region,
        refusal: Refusal,
        given: tuple[int, ...],
    ) -> Answer | None:
        try:
            response = task.result()
        except RegistryUnreachableError as error:
            refusal.unreached.append(region)
            self.suspect(region, "unreachable", error)
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
        refusal.no_count += 1
        if response.status_code == httpx.codes.UNAUTHORIZED:
            refusal.refused_count += 1
            if refusal.challenge is None or region == self._places.region:
                refusal.challenge = challenged(response)
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


async def _again(
    waiting: deque[Region], refusal: Refusal, pauses: Iterator[float]
) -> bool:
    """Say whether those are worth another question that could not be reached.

    They are in *waiting* then.
    """
    pause_s = next(pauses, None)
    if pause_s is None or not refusal.unreached:
        return False
    await asyncio.sleep(pause_s)
    waiting.extend(refusal.unreached)
    refusal.unreached.clear()
    return True


async def _closed(task: asyncio.Task[httpx.Response]) -> None:
    with suppress(asyncio.CancelledError, RegistryError):
        response = await task
        await response.aclose()
