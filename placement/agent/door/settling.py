"""Whether the replica may answer: fresh enough for who asks, else the service must."""

import asyncio
from dataclasses import replace
from typing import Final

from placement.api.reading import StateBehindError, wait_budget_s
from placement.client.feed import LocalBasis
from placement.client.local import LocalPlacements
from placement.client.local_answers import LocalStaleError
from placement.runtime.past_errors import AsOfUnsupportedError
from placement.runtime.tokens import Token, parse_token
from placement.runtime.view import ServingState
from placement.runtime.watcher import TRUSTED
from placement.wire.requests import Consistency

WAIT_SECONDS: Final = 0.25
"""So long may an answer wait for freshness when the caller gives no less."""
LOCAL_SHARE: Final = 0.5
"""Of that, before the service is asked instead."""


class ElsewhereError(Exception):
    """The replica must not answer this while the service can."""


class Settling:
    """The freshness of one call's answer.

    *alone*: the service was asked already, and gave no answer.
    """

    def __init__(
        self, local: LocalPlacements, remaining_s: float | None, *, alone: bool
    ) -> None:
        """Answer from *local*, within what the caller gives."""
        self.alone = alone
        self._local = local
        self._budget_s = wait_budget_s(WAIT_SECONDS, remaining_s)

    async def settled(self, consistency: Consistency) -> LocalBasis:
        """Return what the answer rests on, once that is as fresh as was asked.

        Raises ElsewhereError while the service may know more, as before the replica's
        first snapshot. Alone, what is not reached is marked STALE, or raises
        StateBehindError where the caller wants that. Raises TokenInvalidError, and
        AsOfUnsupportedError: a replica has no past.
        """
        if consistency.as_of is not None:
            self.leave_to_service()
            why = "only the service knows the past, and it is out of reach"
            raise AsOfUnsupportedError(why)
        empty = self._local.basis.state is ServingState.REBUILDING
        if (self.alone or not empty) and await self._reached(consistency):
            return self._local.basis
        if not self.alone:
            raise ElsewhereError
        basis = self._local.basis
        if basis.state in TRUSTED:
            basis = replace(basis, state=ServingState.STALE)
        if consistency.fail:
            raise StateBehindError(basis)
        return basis

    def trust(self, basis: LocalBasis) -> None:
        """Raise unless a tag may be answered: one that moved starts the wrong version.

        ElsewhereError while the service may know better, and LocalStaleError.
        """
        if basis.live:
            return
        if not self.alone:
            raise ElsewhereError
        raise LocalStaleError(basis)

    def deny(self, basis: LocalBasis) -> None:
        """Raise StateBehindError unless it may be said that there is no such content.

        Before the replica's first snapshot it knows of none.
        """
        if basis.state is ServingState.REBUILDING:
            raise StateBehindError(basis)

    def leave_to_service(self) -> None:
        """Raise ElsewhereError unless the service was asked already."""
        if not self.alone:
            raise ElsewhereError

    async def _reached(self, consistency: Consistency) -> bool:
        if consistency.token:
            return await self._holds(parse_token(consistency.token))
        staleness_ns = consistency.max_staleness_ns
        return staleness_ns is None or self._local.basis.staleness_ns <= staleness_ns

    async def _holds(self, wanted: Token) -> bool:
        """Say whether what a token stands for is known, after some time if need be."""
        wait_s = 0.0 if self.alone else self._budget_s * LOCAL_SHARE
        try:
            async with asyncio.timeout(wait_s):
                while not holds(self._local.basis, wanted):
                    if self.alone or not self._local.basis.live:
                        return False
                    await self._local.changed()
        except TimeoutError:
            return False
        return True


def holds(basis: LocalBasis, wanted: Token) -> bool:
    """Say whether a replica knows all that *wanted* stands for.

    It remembers the mark of its own position alone: of an earlier one, the whole name
    of the epoch must do.
    """
    if not basis.token:
        return False
    reached = parse_token(basis.token)
    if reached.epoch != wanted.epoch or reached.sequence < wanted.sequence:
        return False
    alike = reached.mark[:1] == wanted.mark[:1]
    same_place = reached.sequence == wanted.sequence
    return not (same_place and alike) or reached.mark == wanted.mark
