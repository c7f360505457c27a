"""Decisions and orders into the log, each only if none was stored that it did not know.

A decision rests on a state that has folded all decisions and orders before it. The log
refuses it if another one was stored since: whoever decided folds that one and decides
again. So budgets, last copies and pauses hold with any number of services, and one that
stood still for an hour can do no harm. An order rests on nothing and is stored after
all that was, by the same rule, since a log in several copies keeps it only if all do.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from placement.core.event import Event
from placement.faults import FaultPoint, reach
from placement.ports import Appended, EventLog, Expected, LogMovedError
from placement.runtime.appending import append_own
from placement.runtime.view import View
from placement.wire.events import DECISIONS_SUBJECTS, encoded_batches

TRIES_MAX: Final = 50
"""So often an order tries to be stored after all others, before it gives up."""
PAUSE_SECONDS: Final = 0.01
"""Where the log does not say what was stored, it is asked again after so long."""


class DecisionLog:
    """The decisions in *log*, as far as they are known here."""

    def __init__(self, log: EventLog, view: View) -> None:
        """Know only what *view* has folded."""
        self._log = log
        self._view = view
        self._generation = view.generation
        self._told = 0
        """Where the log said that the last decision is; 0: it has not said."""
        self._doubted = 0
        """What was folded as a decision, and is none to the log."""

    @property
    def basis(self) -> int | None:
        """The last decision that is folded, on which others may rest.

        None while there is one that is not folded yet.
        """
        known = self._known()
        return known if known <= self._view.state.sequence else None

    def _known(self) -> int:
        if self._generation != self._view.generation:  # another log, maybe
            self._generation = self._view.generation
            self._told = self._doubted = 0
        folded = self._view.decided_sequence
        return max(self._told, 0 if folded == self._doubted else folded)

    async def append(self, events: Sequence[Event], basis: int) -> int:
        """Store decisions that rest on *basis*; return where the last of them is.

        Raises LogMovedError once another one was stored: those before that are stored,
        and those after are not. Raises what EventLog.append does, too.
        """
        last = basis
        for _, encoded in encoded_batches(events):
            subject, body, message_id = encoded
            reach(FaultPoint.BEFORE_DECISION)
            expected = Expected(DECISIONS_SUBJECTS, last)
            stored = await self._append(subject, body, message_id, expected)
            last = max(last, stored.sequence)
            self._told = max(self._told, last)
        reach(FaultPoint.AFTER_APPEND_BEFORE_ANSWER)
        return last

    async def append_order(
        self, subject: str, body: bytes, message_id: str
    ) -> Appended:
        """Store an order after all that was decided, whatever that is.

        Raises LogMovedError if others are quicker TRIES_MAX times in a row, and what
        EventLog.append does.
        """
        for _ in range(TRIES_MAX):
            expected = Expected(DECISIONS_SUBJECTS, self._known())
            try:
                stored = await self._append(subject, body, message_id, expected)
            except LogMovedError as error:
                moved = error
            else:
                self._told = max(self._told, stored.sequence)
                return stored
        raise moved

    async def _append(
        self, subject: str, body: bytes, message_id: str, expected: Expected
    ) -> Appended:
        try:
            return await append_own(self._log, subject, body, message_id, expected)
        except LogMovedError as error:
            self._told = error.last_sequence
            if error.last_sequence < expected.sequence:
                # It was rewound or trimmed, or what was folded is no decision to it.
                self._doubted = self._view.decided_sequence
            if not error.last_sequence:
                await asyncio.sleep(PAUSE_SECONDS)
            raise
