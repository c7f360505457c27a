"""Asks a registry patiently: in turn, a few at once, again when it fails in passing."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from placement.agent.inventory.pace import Pace
from placement.agent.inventory.settings import (
    ATTEMPTS_MAX,
    CONCURRENCY_MAX,
    PAUSE_SECONDS_MAX,
    RETRY_AFTER_SECONDS_MAX,
)
from placement.agent.pauses import Pauses
from placement.agent.registry.errors import RegistryError, RegistryUnreachableError

Answer = TypeVar("Answer")


class Asker:
    """Everything that an inventory asks of its registry goes through here."""

    def __init__(
        self,
        pace: Pace,
        chance: Callable[[], float],
        request_seconds: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Ask at *pace*; no request may take longer than *request_seconds*."""
        self._pace = pace
        self._chance = chance
        self._request_seconds = request_seconds
        self._sleep = sleep
        self._gate = asyncio.Semaphore(CONCURRENCY_MAX)
        self.request_count = 0

    async def ask(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return what *request* does; it is made anew for each attempt.

        Raises RegistryError: at once for what no repeat can mend, and after
        ATTEMPTS_MAX attempts for the rest.
        """
        pauses = Pauses(self._chance, PAUSE_SECONDS_MAX)
        while True:
            try:
                return await self._once(request)
            except RegistryError as error:
                if not error.retryable or pauses.count == ATTEMPTS_MAX - 1:
                    raise
                asked_s = min(error.retry_after_s, RETRY_AFTER_SECONDS_MAX)
            if asked_s:
                self._pace.rest(asked_s)
            await self._sleep(max(pauses.next_s(), asked_s))

    async def _once(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        async with self._gate:
            await self._pace.turn()
            self.request_count += 1
            try:
                async with asyncio.timeout(self._request_seconds):
                    return await request()
            except TimeoutError:
                message = f"the registry did not answer in {self._request_seconds} s"
                raise RegistryUnreachableError(message) from None


async def together(work: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Return what all of *work* returns, in its order; the first failure ends all."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
