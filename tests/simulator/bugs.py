"""Bugs to plant in the product for a test: the checker must find every one of them.

Each is a context manager that replaces a seam of the product while a run is made; the
product itself has no switches for them.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

from placement.core import fold as folding
from placement.core.errors import PlacementError
from placement.core.event import Event, Identifier, Recorded, RecordedMessage, SetAside
from placement.core.event_keys import event_key
from placement.core.fold import fold_steps
from placement.core.state import State
from placement.core.tables.table import ABSENT
from placement.core.watched import Bookmark, Interest
from placement.ports import EventLog, LogReplacedError, Message
from placement.runtime import line, projector
from placement.runtime.checkpoint import Restored
from placement.runtime.epochs import Position, Standing, inspect
from placement.runtime.gathering import Stored
from placement.runtime.publisher import Publisher
from placement.runtime.view import Basis, View
from placement.runtime.watch import WatchHub
from placement.runtime.watcher import Batch, Watcher, parse_watch_token
from placement.wire import events, opened
from placement.wire.events import Encoded, decode_items
from tests.simulator.agent_bugs import AGENT_BUGS
from tests.simulator.deciding_bugs import DECIDING_BUGS
from tests.simulator.log import LogConnection
from tests.simulator.publishers import POISON
from tests.simulator.router_bugs import ROUTER_BUGS

Decode = Callable[..., Iterator[Recorded | SetAside]]
Plant = Callable[[], AbstractContextManager[None]]


@contextmanager
def skip_one_dedupe() -> Iterator[None]:
    """Fold one event that was folded before as if it were new."""
    original = folding._fold_recorded  # noqa: SLF001 - the seam to break
    left = [1]

    def broken(state: State, item: Recorded) -> None:
        known = state.event_ids.find(event_key(item.event)) != ABSENT
        if known and left:
            left.pop()
            item = _renamed(item)
        original(state, item)

    with patch.object(folding, "_fold_recorded", broken):
        yield


def _renamed(item: Recorded) -> Recorded:
    own_id = Identifier(f"{item.event.event_id}-again")
    return replace(item, event=replace(item.event, event_id=own_id))


@contextmanager
def acknowledge_before_commit() -> Iterator[None]:
    """Say that events are stored while they are on their way to the log."""
    original = Publisher._store  # noqa: SLF001 - the seam to break

    async def later(publisher: Publisher, batch: list[Event], encoded: Encoded) -> None:
        with suppress(PlacementError):
            await original(publisher, batch, encoded)

    async def broken(
        publisher: Publisher, batch: list[Event], encoded: Encoded
    ) -> Stored:
        tasks.append(asyncio.create_task(later(publisher, batch, encoded)))
        view = publisher._view  # noqa: SLF001 - the seam to break
        epoch = view.epoch.partition("~")[0]
        return Stored(epoch, view.state.sequence + 1, "", duplicate=False)

    tasks: list[asyncio.Task[None]] = []
    with patch.object(Publisher, "_store", broken):
        yield


@contextmanager
def reuse_a_resume_token() -> Iterator[None]:
    """Let a watcher go on from where another one of the same service is."""
    original = WatchHub.watch
    latest: dict[WatchHub, str] = {}

    async def broken(
        hub: WatchHub, interest: Interest, resume_token: str = ""
    ) -> AsyncGenerator[Batch, None]:
        other = latest.get(hub, "")
        if resume_token and other:
            theirs, ours = parse_watch_token(other), parse_watch_token(resume_token)
            if theirs.epoch == ours.epoch and theirs.sequence > ours.sequence:
                resume_token = other
        async for batch in original(hub, interest, resume_token):
            for item in batch:
                if isinstance(item, Bookmark):
                    latest[hub] = item.token
            yield batch

    with patch.object(WatchHub, "watch", broken):
        yield


@contextmanager
def apply_a_batch_twice() -> Iterator[None]:
    """Fold the first message after a restart twice, as with an offset of its own."""
    restored: list[State] = []

    original = Restored.state

    def remembering(self: Restored) -> State:
        state = original(self)
        restored.append(state)
        return state

    def broken(state: State, message: RecordedMessage) -> Iterator[None]:
        yield from fold_steps(state, message)
        if any(state is one for one in restored):
            restored[:] = [one for one in restored if one is not state]
            state.sequence -= 1
            items = tuple(
                _renamed(item) if isinstance(item, Recorded) else item
                for item in message.items
            )
            yield from fold_steps(state, replace(message, items=items))

    with (
        patch.object(Restored, "state", remembering),
        patch.object(line, "fold_steps", broken),
    ):
        yield


@contextmanager
def lose_the_tail_of_a_rewind() -> Iterator[None]:
    """Go on after a rewind as if what was folded were still in the log."""
    original = LogConnection.read

    async def unmoved(log: EventLog, position: Position) -> Standing:
        return Standing((await inspect(log, position)).status)

    async def broken(
        log: LogConnection, after_sequence: int, epoch: str = ""
    ) -> AsyncIterator[Sequence[Message]]:
        position = after_sequence
        while True:
            try:
                async for batch in original(log, position, epoch):
                    yield batch
                    position = batch[-1].sequence if batch else position
            except LogReplacedError:
                await asyncio.sleep(1)

    with (
        patch.object(projector, "inspect", unmoved),
        patch.object(LogConnection, "read", broken),
    ):
        yield


@contextmanager
def hand_out_a_basis_before_its_fold() -> Iterator[None]:
    """Say how far the log reaches instead of how far it is folded."""
    original = View.basis

    def broken(view: View, *, behind: bool = False) -> Basis:
        basis = original(view, behind=behind)
        return basis._replace(sequence=max(basis.sequence, view.last_sequence or 0))

    with patch.object(View, "basis", broken):
        yield


@contextmanager
def _decoding_by(
    broken: Callable[..., Iterator[Recorded | SetAside]],
) -> Iterator[None]:
    """Let *broken* decode messages: alone, and those that are folded together."""
    with (
        patch.object(opened, "decode_items", broken),
        patch.object(events, "decode_items", broken),
    ):
        yield


@contextmanager
def fold_an_unknown_fact() -> Iterator[None]:
    """Take a fact that this version does not know for one that means nothing."""

    def broken(
        message: Message, skipped: Sequence[int] = ()
    ) -> Iterator[Recorded | SetAside]:
        for item in decode_items(message, skipped):
            if not (isinstance(item, SetAside) and item.reason == "FACT_UNKNOWN"):
                yield item

    with _decoding_by(broken):
        yield


@contextmanager
def drop_a_bookmark() -> Iterator[None]:
    """Let each watch forget its third bookmark."""
    original = Watcher._bookmark  # noqa: SLF001 - the seam to break
    counts: dict[Watcher[Any], int] = {}

    def broken(watcher: Watcher[Any], items: list[Any]) -> None:
        before = len(items)
        original(watcher, items)
        if len(items) > before:
            counts[watcher] = counts.get(watcher, 0) + 1
            if counts[watcher] == 3:
                items.pop()

    with patch.object(Watcher, "_bookmark", broken):
        yield


@contextmanager
def poison() -> Iterator[None]:
    """Fail at one message, as a bug in decoding does, which no replica can get past.

    This one is no bug that a checker finds: the product must survive it.
    """

    def broken(
        message: Message, skipped: Sequence[int] = ()
    ) -> Iterator[Recorded | SetAside]:
        for place, item in enumerate(decode_items(message, skipped)):
            if isinstance(item, Recorded) and item.event.event_id == POISON:
                raise ZeroDivisionError(place)
            yield item

    with _decoding_by(broken):
        yield


BUGS: Final[dict[str, Plant]] = {
    plant.__name__: plant
    for plant in (
        skip_one_dedupe,
        acknowledge_before_commit,
        reuse_a_resume_token,
        apply_a_batch_twice,
        lose_the_tail_of_a_rewind,
        hand_out_a_basis_before_its_fold,
        fold_an_unknown_fact,
        drop_a_bookmark,
        *DECIDING_BUGS,
        *AGENT_BUGS,
        *ROUTER_BUGS,
    )
}


def only_with_registries(name: str) -> bool | None:
    """Say whether a bug shows in worlds of registries alone; None: in some of each."""
    agents = {plant.__name__ for plant in (*AGENT_BUGS, *ROUTER_BUGS)}
    return True if name in agents else None


def planted(name: str) -> AbstractContextManager[None]:
    """Return the block within which the bug of *name* is planted; empty: none."""
    return BUGS[name]() if name else nullcontext()
