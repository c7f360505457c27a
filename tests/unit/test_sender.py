"""The sender: from the spool into the log, in order, whatever is in the way."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from unittest.mock import Mock, patch

import pytest
from structlog.testing import capture_logs

from placement.adapters.memory import MemoryEventLog
from placement.adapters.memory_spool import MemorySpool
from placement.agent.feeds.translation import Malformed, Translation
from placement.agent.outlets import Delivered, LogOutlet, Rejected
from placement.agent.sender import SECOND_NS, Sender
from placement.agent.serving import Serving
from placement.agent.spooled import EVENTS, spooled_messages, spooled_report
from placement.agent.translators import at_once, from_bundle
from placement.core.errors import InputError
from placement.core.event import Event, Identifier, TimeNs
from placement.core.fold import fold
from placement.core.state import State
from placement.ports import LogUnavailableError, Message
from placement.spooling import (
    NOTE_BYTES_MAX,
    Note,
    Position,
    SpoolFsyncError,
    SpoolLimits,
)
from placement.wire.events import decode_message, encode_message
from tests.builders import IAD, START_NS, pushed

BAD = InputError("target.digest", "x", "give a digest")


def translate(body: bytes, _headers: object) -> Translation:
    """Make one push of each name in a list; ``!`` is malformed, ``?`` a bug."""
    names = json.loads(body)
    assert "?" not in names, "a bug"
    events = tuple(push(name) for name in names if name != "!")
    malformed = tuple(
        Malformed.of(index, BAD) for index, name in enumerate(names) if name == "!"
    )
    return Translation(events, (), malformed)


def push(name: str) -> Event:
    """Return the push of a content of that name."""
    event = pushed(name, IAD)
    return Event(Identifier(f"push-{name}"), IAD, event.fact, TimeNs(START_NS))


def note(*names: str, feed: str = "test") -> Note:
    """Return a note that means pushes of these names."""
    return Note(feed, json.dumps(names).encode(), START_NS)


class World:
    """A spool, a log, and a sender between them."""

    def __init__(self, limits: SpoolLimits | None = None) -> None:
        """Begin with both empty."""
        self.log = MemoryEventLog(lambda: START_NS)
        self.spool = MemorySpool(lambda: START_NS, limits or SpoolLimits())
        self.sender = self.another()

    def another(self, serving: Serving | None = None) -> Sender:
        """Return what sends after a restart."""
        feeds = {"test": at_once(translate), EVENTS: from_bundle}
        outlet = LogOutlet(self.log)
        return Sender(
            self.spool, outlet, feeds, lambda: 0.0, lambda: START_NS, serving=serving
        )

    async def put(self, *names: str, age_ns: int = 0) -> None:
        """Spool one note, which came that long ago."""
        found = note(*names)
        await self.spool.put([replace(found, received_ns=START_NS - age_ns)])

    async def messages(self) -> list[Message]:
        """Return what the log holds."""
        status = await self.log.status()
        if not status.last_sequence:
            return []
        async for batch in self.log.read(0):
            return list(batch)
        raise AssertionError

    async def published(self) -> list[str]:
        """Return the names of the pushes in the log, in order, repeats too."""
        return [
            item.event.event_id.removeprefix("push-")  # type: ignore[union-attr]  # none is set aside
            for message in await self.messages()
            for item in decode_message(message).items
        ]


async def test_entries_are_published_in_order_and_marked_sent() -> None:
    """Several travel in one message; afterwards nothing waits."""
    world = World()
    for name in ("a", "b", "c"):
        await world.put(name)

    sent = await world.sender.send()

    assert sent == 3
    assert await world.published() == ["a", "b", "c"]
    assert len(await world.messages()) == 1
    assert (world.spool.figures.waiting_count, world.spool.figures.kept_count) == (0, 3)
    assert world.sender.counts["events_published"] == 3


async def test_what_a_pull_is_told_by_travels_once_it_is_over() -> None:
    """In one message, though the first of it waited already."""
    world, serving = World(), Serving()
    sender = world.another(serving)
    await world.put("a")

    with serving.one():
        sending = asyncio.create_task(sender.send())
        await asyncio.sleep(0)
        await world.put("b")

    assert await sending == 2
    assert len(await world.messages()) == 1


async def test_events_do_not_wait_for_clients_who_never_stop() -> None:
    """They are sent while somebody is still served."""
    world, serving = World(), Serving()
    await world.put("a")

    with serving.one():
        assert await world.another(serving).send() == 1

    assert await world.published() == ["a"]


async def test_what_waited_already_waits_no_longer_for_clients() -> None:
    """After an outage a spool is emptied as fast as it can be."""
    world, serving = World(), Serving()
    await world.put("a", age_ns=SECOND_NS)
    lull = Mock()

    with serving.one(), patch.object(serving, "lull", lull):
        assert await world.another(serving).send() == 1

    assert not lull.called


async def test_malformed_between_good_ones_is_set_aside_and_holds_up_nothing() -> None:
    """What is good of it is sent; the whole body is kept, with what is wrong."""
    world = World()
    await world.put("a")
    await world.put("b", "!", "c")
    await world.put("!")
    await world.put("d")

    with capture_logs() as lines:
        await world.sender.send()

    assert await world.published() == ["a", "b", "c", "d"]
    assert [aside.reason for aside in world.spool.asides] == ["MALFORMED"] * 2
    assert world.spool.asides[0].note == note("b", "!", "c")
    assert "1: target.digest: 'x': give a digest" in world.spool.asides[0].detail
    assert world.spool.figures.set_aside_count == 2
    assert {line["event"] for line in lines} == {"notification_malformed"}


@pytest.mark.parametrize(
    ("stray", "reason"),
    [
        (note("x", feed="from-a-later-version"), "FEED_UNKNOWN"),
        (note("?"), "UNTRANSLATABLE"),
        (Note("test", b"{", START_NS), "UNTRANSLATABLE"),
        (Note(EVENTS, b"\xff\xff", START_NS), "MALFORMED"),
    ],
)
async def test_whatever_a_note_is_the_next_one_goes_on(
    stray: Note, reason: str
) -> None:
    """A bug of ours, a downgrade, bytes that rotted: aside with it."""
    world = World()
    await world.spool.put([stray])
    await world.put("a")

    with capture_logs():
        await world.sender.send()

    assert await world.published() == ["a"]
    assert [(a.note, a.reason) for a in world.spool.asides] == [(stray, reason)]


async def test_event_without_a_time_happened_when_it_came() -> None:
    """However long it waits for the log, and whichever run sends it."""
    world = World()
    undated = pushed("a", IAD)
    feeds = {"test": at_once(lambda _body, _headers: Translation(events=(undated,)))}
    came_ns = START_NS - 3_600_000_000_000
    await world.spool.put([Note("test", b"", came_ns)])

    await Sender(world.spool, LogOutlet(world.log), feeds, lambda: 0.0).send()

    [message] = await world.messages()
    [item] = decode_message(message).items
    assert item.event.occur_time_ns == came_ns  # type: ignore[union-attr]  # it is not set aside


async def test_unreachable_log_leaves_everything_waiting() -> None:
    """Once it is back all of it is sent, in the order it came."""
    world = World()
    await world.put("a")
    world.log.stop()

    with pytest.raises(LogUnavailableError):
        await world.sender.send()
    await world.put("b")
    world.log.resume()
    await world.sender.send()

    assert await world.published() == ["a", "b"]
    assert world.spool.figures.waiting_count == 0


async def test_running_sender_waits_out_an_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says so once, not at each attempt, and when it is over."""
    monkeypatch.setattr("placement.agent.pauses.FIRST_SECONDS", 0.001)
    world = World()
    world.log.stop()
    with capture_logs() as lines:
        running = asyncio.create_task(world.sender.run())
        await world.put("a")
        await asyncio.sleep(0.1)
        trouble = world.sender.trouble
        world.log.resume()
        async with asyncio.timeout(10):
            while world.spool.figures.waiting_count:  # noqa: ASYNC110 - polled by users, too
                await asyncio.sleep(0.001)
            while world.sender.trouble:  # noqa: ASYNC110 - so too
                await asyncio.sleep(0.001)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    assert trouble.startswith("LOG_UNAVAILABLE")
    assert await world.published() == ["a"]
    assert [line["event"] for line in lines] == [
        "sending_waits",
        "sending_resumed",
    ]


async def test_crash_between_publishing_and_marking_folds_to_the_same() -> None:
    """The next run sends it again, with others; the fold counts it once."""
    world = World()
    await world.put("a")
    await world.put("b")
    kept = MemorySpool(lambda: START_NS)
    await kept.put([entry.note for entry in await world.spool.waiting(10, 0)])
    await world.sender.send()

    world.spool = kept  # as the disk was before it was marked
    await world.put("c")
    await world.another().send()

    state = State()
    for message in await world.messages():
        fold(state, decode_message(message))
    assert sorted(await world.published()) == ["a", "a", "b", "b", "c"]
    assert (state.count("folded"), state.count("duplicate")) == (3, 2)


async def test_replaced_log_gets_all_that_is_kept_again() -> None:
    """Noticed while nothing is to be sent, by asking which log it is."""
    world = World()
    await world.put("a")
    await world.put("b")
    await world.sender.send()
    world.log.replace()

    with capture_logs() as lines:
        await world.sender.look()
    await world.sender.send()
    await world.sender.look()

    assert await world.published() == ["a", "b"]
    assert [line["event"] for line in lines] == ["entries_resent"]
    assert world.spool.figures.waiting_count == 0


async def test_replaced_log_is_noticed_by_what_is_published() -> None:
    """What comes first after the break is stored, and what was before it follows."""
    world = World()
    await world.put("a")
    await world.sender.send()
    world.log.replace()
    await world.put("b")

    with capture_logs():
        await world.sender.send()
        await world.another().send()

    assert sorted(await world.published()) == ["a", "b"]


@pytest.mark.parametrize("looks", [True, False])
async def test_rewound_log_gets_what_it_lost_again(looks: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """All that is kept: what others stored since may stand where ours was."""
    world = World()
    for name in ("a", "b", "c"):
        await world.put(name)
        await world.sender.send()
    world.log.rewind(1)

    with capture_logs():
        if looks:
            await world.sender.look()
        else:
            await world.put("d")
            await world.sender.send()
        await world.sender.send()

    expected = ["a", "a", "b", "c"] if looks else ["a", "d", "a", "b", "c"]
    assert await world.published() == expected


async def test_rewound_log_that_others_filled_again_is_noticed() -> None:
    """It reaches further than before, and where our last message was is another one."""
    world = World()
    for name in ("a", "b"):
        await world.put(name)
        await world.sender.send()
    world.log.rewind(1)
    for number in range(5):
        subject, body, message_id = encode_message([pushed(f"other{number}", IAD)])
        await world.log.append(subject, body, message_id)

    with capture_logs():
        await world.sender.look()
        await world.sender.send()

    assert {"a", "b"} <= set(await world.published())


@pytest.mark.parametrize("looks", [True, False])
async def test_lost_end_that_others_have_filled_up_is_noticed(looks: bool) -> None:  # noqa: FBT001 - two ways to notice
    """The log is as long as before: only what it says where we were tells."""
    world = World()
    await world.put("a")
    await world.put("b")
    await world.sender.send()
    world.log.rewind(0)
    await LogOutlet(world.log).publish([push("x")])
    await LogOutlet(world.log).publish([push("y")])
    with capture_logs():
        if looks:
            await world.sender.look()
        else:
            await world.put("c")
            await world.sender.send()
        await world.sender.send()

    assert {"a", "b", "x", "y"} <= set(await world.published())


async def test_trusted_end_of_a_log_that_was_left_is_ignored() -> None:
    """A service that still answers from the old log must not make us go in circles."""

    class Behind(LogOutlet):
        """Says where the old log ended."""

        async def end(self) -> Position | None:
            return Position("memory-1", 99)

    world = World()
    await world.put("a")
    await world.sender.send()
    world.log.replace()
    feeds = {"test": at_once(translate)}
    sender = Sender(world.spool, Behind(world.log), feeds, lambda: 0.0)
    await world.put("b")
    with capture_logs():
        await sender.send()
        await sender.send()

        await sender.look()

    assert world.spool.figures.waiting_count == 0
    assert world.spool.figures.position == Position("memory-2", 2)


async def test_rejected_event_is_set_aside_and_the_others_are_sent() -> None:
    """It is kept as the event that it is, with the service's reason."""

    class Picky:
        """Rejects what is called ``b``."""

        hides = False

        async def publish(self, events: Sequence[Event]) -> Delivered:
            rejected = tuple(
                Rejected(event, "DIGEST_INVALID", "no digest")
                for event in events
                if event.event_id == "push-b"
            )
            position = Position("e", 1) if len(rejected) < len(events) else None
            return Delivered(position, 0, rejected)

        async def end(self) -> Position | None:
            return None

        async def holds(self, position: Position) -> bool:
            raise AssertionError(position)

    world = World()
    sender = Sender(world.spool, Picky(), {"test": at_once(translate)}, lambda: 0.0)
    await world.put("a")
    await world.put("b")
    with capture_logs():
        await sender.send()
        await world.put("b")
        await sender.send()

    assert [aside.reason for aside in world.spool.asides] == ["DIGEST_INVALID"] * 2
    first = await from_bundle(world.spool.asides[0].note)
    assert first.events == (push("b"),)
    assert world.spool.figures.waiting_count == 0


class Full:
    """Takes no push of what is called ``new``, until there is room."""

    hides = False

    def __init__(self) -> None:
        """Have none."""
        self.room = False
        self.taken: list[str] = []

    async def publish(self, events: Sequence[Event]) -> Delivered:
        """Hold back what is new, and reject what is called ``bad``."""
        held = [e for e in events if "new" in e.event_id and not self.room]
        bad = [e for e in events if "bad" in e.event_id]
        taken = [e.event_id for e in events if e not in held and e not in bad]
        self.taken += [name.removeprefix("push-") for name in taken]
        rejected = tuple(Rejected(event, "DIGEST_INVALID", "no") for event in bad)
        why = LogUnavailableError("too many new contents") if held else None
        position = Position("e", len(self.taken)) if taken else None
        return Delivered(position, 0, rejected, tuple(held), why)

    async def end(self) -> Position | None:
        """Tell nothing."""
        return None

    async def holds(self, position: Position) -> bool:
        """Say yes."""
        del position
        return True


async def test_what_is_not_taken_now_holds_nothing_else_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever came after it is sent; then it is tried again, as a whole.

    A round holds two entries here, so that what is held fills several.
    """
    monkeypatch.setattr("placement.agent.sender.ENTRIES_MAX", 2)
    world, outlet = World(), Full()
    sender = Sender(world.spool, outlet, {"test": at_once(translate)}, lambda: 0.0)
    for number in range(5):
        await world.put(f"new{number}", "bad", "!")
    await world.put("a")
    await world.put("b")

    with capture_logs():
        for _ in range(4):
            await sender.send()
        assert outlet.taken == ["a", "b"]
        assert world.spool.figures.waiting_count == 5
        assert world.spool.asides == []
        with pytest.raises(LogUnavailableError):
            await sender.send()
        await world.put("c")
        for _ in range(3):
            await sender.send()
        outlet.room = True
        with pytest.raises(LogUnavailableError):
            await sender.send()
        for _ in range(3):
            await sender.send()

    assert outlet.taken == ["a", "b", "c", *(f"new{number}" for number in range(5))]
    assert world.spool.figures.waiting_count == 0
    reasons = [aside.reason for aside in world.spool.asides]
    assert sorted(reasons) == ["DIGEST_INVALID"] * 5 + ["MALFORMED"] * 5


async def test_failed_flush_ends_the_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only another process can know what the disk holds."""
    world = World()

    async def failed(*_: float) -> Sequence[object]:
        message = "the disk failed to flush"
        raise SpoolFsyncError(message)

    monkeypatch.setattr(world.spool, "waiting", failed)

    with pytest.raises(SpoolFsyncError):
        await world.sender.run()


async def test_own_reports_go_the_same_way() -> None:
    """A thousand events are spooled, and published as they were."""
    world = World()
    report = spooled_report(world.spool, lambda: START_NS)
    events = [push(f"{number}") for number in range(1_000)]

    await report(events)
    await report([])
    await world.sender.send()

    assert await world.published() == [f"{number}" for number in range(1_000)]


async def test_message_that_nobody_repeats_waits_for_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full spool holds the reader up, and loses nothing."""
    monkeypatch.setattr("placement.agent.pauses.FIRST_SECONDS", 0.001)
    world = World(SpoolLimits(waiting_bytes_max=12))
    spool_message = spooled_messages(world.spool, "test", lambda: START_NS, lambda: 0.0)
    with capture_logs() as lines:
        await spool_message(b'["first"]')
        second = asyncio.create_task(spool_message(b'["second"]'))
        await asyncio.sleep(0.05)
        waited = not second.done()
        await world.sender.send()
        await asyncio.wait_for(second, 10)
        await spool_message(b"x" * (NOTE_BYTES_MAX + 1))
    await world.sender.send()

    assert waited
    assert await world.published() == ["first", "second"]
    assert [line["event"] for line in lines] == ["message_waits", "message_too_large"]


async def test_repeat_of_old_news_does_not_hide_that_the_end_was_lost() -> None:
    """A registry tells of an old push again: how far we were is still known."""
    world = World()
    for name in ("a", "b"):
        await world.put(name)
        await world.sender.send()
    await world.put("a")  # the log has it, far back
    await world.sender.send()
    world.log.rewind(1)

    with capture_logs():
        await world.sender.look()
        await world.sender.send()

    assert {"a", "b"} <= set(await world.published())
