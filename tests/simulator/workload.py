"""What happens in the simulated registries: seeded facts about few things.

The vocabulary is small on purpose, so that facts meet: the same content in several
regions and repositories, tags that move, the same machine twice.
"""

from dataclasses import replace
from random import Random
from typing import Final

from placement.core.event import (
    ContentReplicated,
    Event,
    Identifier,
    InventoryAbsence,
    InventoryContent,
    InventoryTaken,
    RegionState,
    TimeNs,
)
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from placement.wire.events import encode_event, subject_of
from tests import builders
from tests.builders import API, DAY_NS, HOUR_NS, SECOND_NS, WEB
from tests.simulator.history import Question

REGIONS: Final = [builders.IAD, builders.AMS, builders.SYD]
REPOSITORIES: Final = [WEB, API]
NAMES: Final = "abcd"
TAGS: Final = [Tag("latest"), Tag("v1")]
AGES_NS: Final = [0, SECOND_NS, 30 * SECOND_NS, HOUR_NS, 30 * HOUR_NS, -2 * DAY_NS]
"""Of events that state their time; the last is of a clock that is far ahead."""


class Workload:
    """Draws events, each of another id."""

    def __init__(self, random: Random, name: str) -> None:
        """Draw from *random*; ids begin with *name*."""
        self._random = random
        self._name = name
        self._count = 0

    def event(self, now_ns: int) -> Event:
        """Return what happened now, or some time ago."""
        random = self._random
        self._count += 1
        region, repository = random.choice(REGIONS), random.choice(REPOSITORIES)
        name = random.choice(NAMES)
        event = self._fact(random.randrange(12), name, region, repository, now_ns)
        if random.random() < 0.3:
            event = replace(
                event, occur_time_ns=TimeNs(now_ns - random.choice(AGES_NS))
            )
        return replace(event, event_id=Identifier(f"{self._name}-{self._count}"))

    def _fact(  # noqa: PLR0911 - one kind of event a line
        self,
        kind: int,
        name: str,
        region: Region,
        repository: Repository,
        now_ns: int,
    ) -> Event:
        machine = f"m{self._random.randrange(4)}"
        match kind:
            case 0 | 1 | 2:
                size = builders.SIZE + (self._random.random() < 0.1)
                tag = self._random.choice([None, *TAGS])
                return builders.pushed(
                    name, region, repository, size_bytes=size, tag=tag
                )
            case 3:
                return builders.pulled(name, region, repository)
            case 4:
                return builders.started(name, region, repository, machine=machine)
            case 5:
                return builders.stopped(machine, region)
            case 6:
                return builders.evicted(name, region, repository)
            case 7:
                tag = self._random.choice(TAGS)
                return builders.tagged(tag, name, region, repository)
            case 8:
                return builders.announced(name, region, repository, held_bytes=10)
            case 9:
                contents = (builders.descriptor(name),)
                arrived = ContentReplicated(contents, repository, verified=True)
                return builders.event(region, arrived)
            case 10:
                return builders.changed(
                    region, self._random.choice(list(RegionState)[1:])
                )
            case _:
                content = InventoryContent(builders.descriptor(name), repository)
                other = InventoryAbsence(
                    builders.digest(self._random.choice("ef")), repository
                )
                taken = InventoryTaken(TimeNs(now_ns), True, (content,), (other,))  # noqa: FBT003 - a field of a fact
                return builders.event(region, taken)

    def unreadable(self) -> tuple[str, bytes, str]:
        """Return a message that some program stored by mistake: subject, body, id."""
        random = self._random
        self._count += 1
        region = random.choice(REGIONS)
        pushed = builders.pushed("a", region)
        event = replace(pushed, event_id=Identifier(f"{self._name}-{self._count}"))
        body = encode_event(event).SerializeToString(deterministic=True)
        newer = encode_event(event)
        newer.ClearField("content_pushed")
        unknown = newer.SerializeToString(deterministic=True) + b"\xfa\x3f\x02\x08\x01"
        subject = subject_of(region, "content_pushed")
        subject, body = random.choice(
            [
                (subject, b"\xff" * 9),
                ("placement.events.v1.nowhere.content_pushed", body),
                (subject, unknown),
                ("placement.other", body),
            ]
        )
        return subject, body, f"{self._name}-{self._count}"

    def question(self) -> Question:
        """Return what a client may ask."""
        random = self._random
        return Question(
            random.choice(REPOSITORIES),
            Digest(builders.digest(random.choice(NAMES))),
            random.choice(TAGS),
        )
