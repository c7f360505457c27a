"""Bugs to plant in agents, and in those who tell them what to remove.

They show in worlds of registries only (``simulation.has_registries``).
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from placement.agent.feeds import distribution
from placement.agent.inventory.pages import Pages
from placement.agent.outlets import Delivered, LogOutlet
from placement.agent.receiver import Put, Receiver, ReceiverSettings
from placement.agent.registry.client import Registry
from placement.agent.replicator.flights import Flight
from placement.agent.replicator.moving import Mover
from placement.agent.replicator.progress import Progress
from placement.agent.replicator.replicator import Replicator
from placement.agent.replicator.streaming import BlobStream
from placement.agent.sender import Sender
from placement.core.deciding import eviction, removals
from placement.core.event import Event, InventoryAbsence
from placement.core.oci import Descriptor, Repository
from placement.ports import Clock, LogUnavailableError
from placement.spooling import Note


@contextmanager
def answer_before_spooling() -> Iterator[None]:
    """Tell a registry that its notification is taken while it is on its way there."""
    original = Receiver.__init__
    tasks: list[asyncio.Task[None]] = []

    def broken(
        receiver: Receiver, settings: ReceiverSettings, put: Put, clock: Clock
    ) -> None:
        async def later(notes: Sequence[Note]) -> None:
            async def putting() -> None:
                await put(notes)

            tasks.append(asyncio.create_task(putting()))

        original(receiver, settings, later, clock)

    with patch.object(Receiver, "__init__", broken):
        yield


@contextmanager
def never_send_again() -> Iterator[None]:
    """Take no notice of a log that lost what was sent."""

    async def broken(*_: object) -> None:
        return

    with (
        patch.object(Sender, "look", broken),
        patch.object(Sender, "_note_position", broken),
    ):
        yield


@contextmanager
def forget_what_was_not_sent() -> Iterator[None]:
    """Let go of events that the log did not take."""
    original = LogOutlet.publish

    async def broken(outlet: LogOutlet, events: Sequence[Event]) -> Delivered:
        try:
            return await original(outlet, events)
        except LogUnavailableError:
            return Delivered()

    with patch.object(LogOutlet, "publish", broken):
        yield


@contextmanager
def count_own_copies_as_uses() -> Iterator[None]:
    """Take what our replicators read for pulls."""

    def never(*_: object) -> bool:
        return False

    with patch.object(distribution, "is_own", never):
        yield


@contextmanager
def keep_quiet_about_absences() -> Iterator[None]:
    """Let an inventory tell only what it found."""

    async def broken(_: Pages, absence: InventoryAbsence) -> None:
        del absence

    with patch.object(Pages, "add_absence", broken):
        yield


@contextmanager
def trust_the_source() -> Iterator[None]:
    """Store what a source sends, whatever its digest."""

    async def broken(stream: BlobStream, chunk: bytes) -> None:
        stream.position += len(chunk)

    with patch.object(BlobStream, "_let_in", broken):
        yield


@contextmanager
def copy_what_is_there() -> Iterator[None]:
    """Move a blob without a look whether it is there already."""

    async def broken(
        mover: Mover,
        repository: Repository,
        blob: Descriptor,
        sources: Sequence[Registry],
        progress: Progress,
    ) -> None:
        sized = await mover._sized(repository, blob, sources)  # noqa: SLF001 - the seam to break
        address = await mover._target.begin_upload(repository)  # noqa: SLF001 - the seam to break
        await mover._moved(repository, sized, address, sources, progress)  # noqa: SLF001 - the seam to break
        progress.arrived.append(sized)

    with patch.object(Mover, "ensure", broken):
        yield


@contextmanager
def hold_what_was_called_off() -> Iterator[None]:
    """Never settle with those who do not want a copy any more."""

    async def broken(replicator: Replicator, flight: Flight) -> None:
        is_dropped = replicator._is_dropped  # noqa: SLF001 - the seam to break
        flight.requests[:] = [one for one in flight.requests if not is_dropped(one)]

    with patch.object(Replicator, "_drop", broken):
        yield


@contextmanager
def remove_the_last_copy() -> Iterator[None]:
    """Let leave whatever a policy wants to."""

    def never(*_: Any) -> str:  # noqa: ANN401 - passed on
        return ""

    with (
        patch.object(eviction, "refused", never),
        patch.object(removals, "refused", never),
    ):
        yield


AGENT_BUGS: Final = (
    answer_before_spooling,
    never_send_again,
    forget_what_was_not_sent,
    count_own_copies_as_uses,
    keep_quiet_about_absences,
    trust_the_source,
    copy_what_is_there,
    hold_what_was_called_off,
    remove_the_last_copy,
)
