"""Folding a block of messages is folding them one by one, on any log of any facts."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.core import event as ev
from placement.core.event import Event, Fact, Recorded, RecordedMessage, SetAside
from placement.core.fingerprint import canonical_rows
from placement.core.fold import fold
from placement.core.fold_block import fold_block
from placement.core.oci import Descriptor, Repository, Tag
from placement.core.state import State
from tests.blocks import block_of
from tests.builders import AMS, DAY_NS, FRA, HOUR_NS, SECOND_NS, START_NS
from tests.model import Model
from tests.strategies import DIGESTS, TYPES, examples, facts, logs

WEB, API = Repository("acme/web"), Repository("api")
CONTENTS = [Descriptor(named, TYPES[named], 9) for named in DIGESTS]


def rows_of(state: State) -> list[str]:
    """Return what the fingerprint is of, so that a difference can be read."""
    return sorted(map(repr, canonical_rows(state)))


def assert_alike(log: list[RecordedMessage], known: int, cuts: set[int]) -> None:
    """Fold *known* messages, then the others in blocks that end before *cuts*."""
    one_by_one, in_blocks, model = State(), State(), Model()
    for message in log:
        fold(one_by_one, message)
        model.fold(message)
    for message in log[:known]:
        fold(in_blocks, message)
    begin = known
    for end in sorted({*(cut for cut in cuts if known < cut < len(log)), len(log)}):
        if begin < end:
            fold_block(in_blocks, block_of(log[begin:end]), lambda _: None)
        begin = end

    assert rows_of(in_blocks) == rows_of(one_by_one)
    assert rows_of(in_blocks) == sorted(map(repr, model.rows()))
    assert in_blocks.sequence == one_by_one.sequence
    assert in_blocks.message_hash == one_by_one.message_hash
    assert in_blocks.store_time_ns == one_by_one.store_time_ns


@examples(100)
@given(st.data())
def test_block_is_folded_as_its_messages_are(data: st.DataObject) -> None:
    """Whatever stands in it, and however a log is cut into blocks."""
    log = data.draw(logs(facts, 24, calm=data.draw(st.booleans())))
    known = data.draw(st.integers(0, len(log)))
    cuts = data.draw(st.sets(st.integers(0, 24), max_size=3))

    assert_alike(log, known, cuts)


# A busy log: what is pulled was pushed before, and little stands around the pulls.


class BusyLog:
    """Messages that hold hardly anything but pulls, drawn by a seed."""

    def __init__(self, seed: int) -> None:
        """Draw by *seed*."""
        self.random = Random(seed)
        self.untyped = self.random.random() < 0.5
        self.reported = self.random.random() < 0.5
        self.number = 0
        self.stored_ns = START_NS

    def draw(self, *choices: Any) -> Any:  # noqa: ANN401 - whatever is given
        """Return one of *choices*."""
        return self.random.choice(choices)

    def messages(self) -> list[RecordedMessage]:
        """Return a whole log."""
        begun: list[Fact] = [
            ev.ContentPushed(
                replace(c, media_type="" if self.untyped else c.media_type), r
            )
            for c in CONTENTS
            for r in (WEB, API)
        ]
        # What is left out is new when it is pulled.
        begun = [fact for fact in begun if self.random.random() < 0.7]
        begun += [self.start()] * self.reported
        found = [self.message(begun), self.message([self.transfer(), self.pull()])]
        for _ in range(self.random.randint(2, 5)):
            count = self.random.randint(1, 40)
            quiet = self.draw(0.0, 0.05, 0.2)
            facts = [
                self.around() if self.random.random() < quiet else self.pull()
                for _ in range(count)
            ]
            found.append(self.message(facts))
        return found

    def message(self, facts: list[Fact]) -> RecordedMessage:
        """Return the next message, with these facts."""
        self.number += 1
        self.stored_ns += self.draw(1, 3, SECOND_NS, HOUR_NS, 7 * DAY_NS, -2)
        items: list[Recorded | SetAside] = []
        for index, fact in enumerate(facts):
            app = (
                "" if isinstance(fact, ev.ContentPulled) else self.draw("", "", "shop")
            )
            where, name = self.draw(AMS, FRA), f"e-{self.number}-{index}"
            event = Event(ev.Identifier(name), where, fact, app=ev.Name(app))
            age_ns = self.draw(0, 0, 0, 1, HOUR_NS, 23 * HOUR_NS, DAY_NS + 1)
            time_ns = self.stored_ns - age_ns
            items.append(Recorded(self.number, index, time_ns, self.stored_ns, event))
        marked = b"%016d" % self.number
        return RecordedMessage(self.number, self.stored_ns, marked, tuple(items))

    def pull(self) -> ev.ContentPulled:
        """Return a pull as agents report it, now and then of an odd client."""
        content = self.draw(*CONTENTS)
        return ev.ContentPulled(
            content.digest,
            self.draw(WEB, WEB, API),
            client_region=self.draw(None, AMS, FRA),
            source_region=self.draw(None, AMS, FRA),
            transferred_bytes=self.draw(0, 5, 6, 7),
            pull_duration_ns=self.draw(None, ev.DurationNs(SECOND_NS)),
            client_kind=self.draw(*[ev.ClientKind.RUNTIME] * 9, *ev.ClientKind),
            media_type=ev.Name(self.draw("", content.media_type)),
        )

    def around(self) -> Fact:
        """Return what changes what the pulls beside it mean, or may seem to."""
        content, where = self.draw(*CONTENTS), self.draw(WEB, API)
        push = ev.ContentPushed(content, where)
        owner = ev.OwnershipDeclared(where, self.draw("acme", "b"), self.draw("", "a"))
        moved = ev.TagMoved(where, Tag("v1"), content.digest)
        tagged = replace(self.pull(), tag=self.draw(None, Tag("v1")))
        start, transfer = self.start(), self.transfer()
        asked = ev.StartsRequested(where, content.digest, (AMS,))
        facts: list[Fact] = [push, push, owner, moved, tagged, start, transfer, asked]
        return facts[self.random.randrange(len(facts))]

    def start(self) -> ev.MachineStarted:
        """Return the start of a machine, mostly one that fetched its image."""
        content, where = self.draw(*CONTENTS), self.draw(WEB, API)
        machine = ev.Identifier(f"m-{self.random.randint(0, 5)}")
        waited_ns = self.draw(None, ev.DurationNs(SECOND_NS))
        source = self.draw(None, AMS, FRA)
        return ev.MachineStarted(
            content.digest,
            where,
            machine,
            image_wait_ns=waited_ns,
            source_region=source,
            transferred_bytes=7,
        )

    def transfer(self) -> ev.TransferMeasured:
        """Return a transfer that a replicator timed."""
        took_ns = ev.DurationNs(SECOND_NS)
        return ev.TransferMeasured(self.draw(AMS, FRA), self.draw(3, 4), took_ns)


@pytest.mark.parametrize("seed", range(16))
def test_calm_pulls_are_folded_as_each_by_itself(seed: int) -> None:
    """Most pulls are calm; times, transfers, kinds and owners are as in turn."""
    busy = BusyLog(seed)

    for _ in range(4):
        busy.stored_ns, busy.number = START_NS, 0
        log = busy.messages()
        known = busy.random.randint(0, len(log) - 1)
        cuts = {busy.random.randint(1, 7) for _ in range(2)}

        assert_alike(log, known, cuts)
