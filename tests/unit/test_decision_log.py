"""Decisions into the log: on what is folded, after what was decided, or refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from placement.core.event import (
    Event,
    Identifier,
    Operation,
    ReplicationPaused,
    ReplicationPlanned,
    ReplicationSubject,
)
from placement.core.state import State
from placement.ports import Appended, Expected, LogMovedError, LogUnavailableError
from placement.runtime.decision_log import TRIES_MAX, DecisionLog
from placement.wire.events import encode_message
from tests.builders import IAD, SYD, WEB, digest, event
from tests.projecting import Host, Run, pushes


def decision(name: str, region: str = SYD) -> Event:
    """Return the decision to copy something."""
    own_id = Identifier(name)
    subject = ReplicationSubject(own_id, WEB, digest(name), SYD)
    fact = ReplicationPlanned(subject, IAD, trigger_sequence=1)
    found = replace(event(SYD, fact), event_id=own_id)
    return found if region == SYD else replace(found, region=IAD)


def order(name: str = "order") -> Event:
    """Return an operator's order."""
    paused = event(IAD, ReplicationPaused((SYD,), Operation()))
    return replace(paused, event_id=Identifier(name))


async def ordered(decisions: DecisionLog, name: str = "order") -> Appended:
    """Store an order."""
    return await decisions.append_order(*encode_message([order(name)]))


@asynccontextmanager
async def deciding(host: Host) -> AsyncIterator[tuple[Run, DecisionLog]]:
    """Run a service over *host*'s log, with what it knows of decisions."""
    async with host.running() as run:
        await run.until_live_at(0)
        yield run, DecisionLog(run.log, run.view)


async def until_basis(run: Run, decisions: DecisionLog, basis: int) -> None:
    """Return once decisions may rest on that one."""
    await run.until(lambda: decisions.basis == basis)


async def test_empty_log_is_a_basis() -> None:
    """Nothing was ever decided: the first decision rests on that."""
    async with deciding(Host()) as (run, decisions):
        await run.publish(pushes(3))

        assert decisions.basis == 0
        assert await decisions.append([decision("d1")], 0) > 0


async def test_no_basis_while_a_decision_is_not_folded() -> None:
    """What was appended here is known at once, and may be rested on once folded."""
    host = Host()
    async with deciding(host) as (run, decisions):
        last = await decisions.append([decision("d1")], 0)
        at_once = decisions.basis
        await until_basis(run, decisions, last)

    assert at_once is None


async def test_decision_of_another_is_a_basis_once_folded() -> None:
    """The fold says that there is one."""
    async with deciding(Host()) as (run, decisions):
        other = DecisionLog(run.log, run.view)
        last = await other.append([decision("d1")], 0)
        await run.publish(pushes(2))

        await until_basis(run, decisions, last)


async def test_decision_on_an_old_basis_is_refused() -> None:
    """Another one was stored since: nothing of it is stored, and the log says which."""
    async with deciding(Host()) as (run, decisions):
        other = DecisionLog(run.log, run.view)
        last = await other.append([decision("d1")], 0)

        with pytest.raises(LogMovedError) as refused:
            await decisions.append([decision("d2")], 0)
        at_once = decisions.basis
        await until_basis(run, decisions, last)
        await decisions.append([decision("d2")], last)

    assert refused.value.last_sequence == last
    assert at_once in {None, last}


async def test_order_of_an_operator_is_known_before_a_decision() -> None:
    """A pause is on the same subjects: what does not know of it is refused."""
    async with deciding(Host()) as (run, decisions):
        await ordered(DecisionLog(run.log, run.view))

        with pytest.raises(LogMovedError):
            await decisions.append([decision("d1")], 0)


async def test_events_are_no_decisions() -> None:
    """However many are stored meanwhile, a decision need not know of them."""
    async with deciding(Host()) as (run, decisions):
        basis = decisions.basis
        for number in range(5):
            await run.publish(pushes(1, first=number))

        assert basis == 0
        assert await decisions.append([decision("d1")], basis) == 6


async def test_decisions_of_one_round_rest_on_each_other() -> None:
    """A message a region: the second expects the first."""
    async with deciding(Host()) as (run, decisions):
        last = await decisions.append([decision("d1"), decision("d2", IAD)], 0)
        await until_basis(run, decisions, last)

        assert last == 2
        assert len(run.view.state.decisions) == 2


async def test_order_is_stored_after_all_that_was_decided() -> None:
    """It rests on nothing, so it tries again with what the log says."""
    async with deciding(Host()) as (run, decisions):
        other = DecisionLog(run.log, run.view)
        last = await other.append([decision("d1")], 0)

        stored = await ordered(decisions)

        assert stored.sequence == last + 1


async def test_repeated_order_is_stored_once() -> None:
    """The same request twice: the second one is a duplicate of the first."""
    async with deciding(Host()) as (_, decisions):
        first = await ordered(decisions)
        again = await ordered(decisions)

    assert again == replace(first, duplicate=True)


class Racing:
    """A log in which somebody is always quicker; what it tells of them may vary."""

    def __init__(self, run: Run, refusals: int, *, told: bool = True) -> None:
        """Refuse so many appends."""
        self._run = run
        self._left = refusals
        self._told = told
        self.tried = 0

    def __getattr__(self, name: str) -> object:
        """Be the log in all else."""
        return getattr(self._run.log, name)

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Refuse, and then append."""
        self.tried += 1
        if self._left:
            self._left -= 1
            assert expected is not None, "orders expect something"
            last = expected.sequence + 1
            raise LogMovedError(expected, last if self._told else 0)
        return await self._run.log.append(subject, body, message_id)


async def test_order_gives_up_after_many_tries() -> None:
    """Whoever ordered is told to come again, instead of waiting for ever."""
    async with deciding(Host()) as (run, _):
        log = Racing(run, refusals=10**9)

        with pytest.raises(LogMovedError):
            await ordered(DecisionLog(log, run.view))  # type: ignore[arg-type] # a double

        assert log.tried == TRIES_MAX


async def test_order_asks_again_where_the_log_does_not_say() -> None:
    """An old broker only says that something was stored: a moment later it is known."""
    async with deciding(Host()) as (run, _):
        log = Racing(run, refusals=3, told=False)

        stored = await ordered(DecisionLog(log, run.view))  # type: ignore[arg-type] # a double

        assert stored.sequence == 1
        assert log.tried == 4


async def test_unreachable_log_is_told_as_such() -> None:
    """Nothing was decided, and it is not known whether somebody else did."""
    async with deciding(Host()) as (run, decisions):
        run.log.stop()  # type: ignore[attr-defined] # the memory log
        with pytest.raises(LogUnavailableError):
            await decisions.append([decision("d1")], 0)


async def test_trimmed_log_is_decided_on_all_the_same() -> None:
    """The last decision was trimmed away: the log knows of none, and says so once."""
    host = Host()
    async with deciding(host) as (run, decisions):
        last = await decisions.append([decision("d1")], 0)
        await run.publish(pushes(3))
        await until_basis(run, decisions, last)
        host.log.trim(last + 1)

        with pytest.raises(LogMovedError) as refused:
            await decisions.append([decision("d2")], last)
        basis = decisions.basis
        assert basis is not None
        stored = await decisions.append([decision("d2")], basis)
        await until_basis(run, decisions, stored)

    assert (refused.value.last_sequence, basis) == (0, 0)
    assert stored > last


async def test_another_state_begins_anew() -> None:
    """What was known of one log means nothing in another one."""
    async with deciding(Host()) as (run, decisions):
        last = await decisions.append([decision("d1")], 0)
        await until_basis(run, decisions, last)

        run.view.replace(State(), "another", restored=False)

        assert decisions.basis == 0
