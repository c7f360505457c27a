"""What happens in the simulated registries: seeded facts about few things.

The vocabulary is small on purpose, so that facts meet: the same content in several
regions and repositories, tags that move, the same machine twice. Of each content there
is one truth, as in any registry, which all but a few publishers tell.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final

from placement.core.event import (
    CacheKind,
    ContentReplicated,
    Event,
    Identifier,
    InventoryAbsence,
    InventoryContent,
    InventoryTaken,
    MachineStarted,
    RegionState,
    TimeNs,
)
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.topology import Region, Topology
from placement.wire.events import encode_event, subject_of
from tests import builders
from tests.builders import API, DAY_NS, HOUR_NS, SECOND_NS, WEB
from tests.simulator.history import Question

REGIONS: Final = [builders.IAD, builders.AMS, builders.SYD]
"""Those that store; machines start in one more."""
START_REGIONS: Final = [*REGIONS, builders.SCL]
TOPOLOGY: Final[Topology] = builders.topology_of(
    *START_REGIONS, home=builders.IAD, storing=REGIONS
)
REPOSITORIES: Final = [WEB, API]
LAYERS: Final = "abcd"
IMAGES: Final = {"1": "ab", "2": "b", "3": "ac"}
"""Images, and the layers that they refer to."""
BARE: Final = "89"
"""Images that refer to nothing."""
NAMES: Final = LAYERS + "".join(IMAGES) + BARE
DIGESTS: Final = [builders.digest(name) for name in NAMES]
DISPUTED: Final = "d"
"""The only content of which publishers tell different things."""
TAGS: Final = [Tag("latest"), Tag("v1")]
AGES_NS: Final = [0, SECOND_NS, 30 * SECOND_NS, HOUR_NS, 30 * HOUR_NS, -2 * DAY_NS]
"""Of events that state their time; the last is of a clock that is far ahead."""
STATES: Final = [
    RegionState.ACTIVE,
    RegionState.ACTIVE,
    RegionState.DRAINING,
    RegionState.DOWN,
]


def descriptor(name: str) -> Descriptor:
    """Return what is true of the content of that *name*."""
    media = builders.LAYER if name in LAYERS else builders.MANIFEST
    return builders.descriptor(name, media_type=media)


def references(name: str) -> list[Descriptor]:
    """Return what the content of that *name* refers to."""
    return [descriptor(layer) for layer in IMAGES.get(name, "")]


def told_by_copies(content: Descriptor) -> Descriptor:
    """Return what a copy tells of *content*: no size of what is disputed.

    The size that was attested first holds. With another one a copy would be set aside
    and never be there, and would be wanted again and again.
    """
    disputed = content.digest == builders.digest(DISPUTED)
    return replace(content, size_bytes=0) if disputed else content


WHOLE: Final[dict[str, Sequence[Descriptor]]] = {
    builders.digest(name): tuple(
        told_by_copies(each) for each in (*references(name), descriptor(name))
    )
    for name in NAMES
}
"""Of each content, by digest: all that a copy of it brings, itself last."""


class Workload:
    """Draws events, each of another id."""

    def __init__(
        self, random: Random, name: str, digests: Sequence[Digest] = DIGESTS
    ) -> None:
        """Draw from *random*; ids begin with *name*, questions are about *digests*."""
        self._digests = digests
        self._random = random
        self._name = name
        self._count = 0

    def event(self, now_ns: int) -> Event:
        """Return what happened now, or some time ago."""
        random = self._random
        self._count += 1
        region, repository = random.choice(REGIONS), random.choice(REPOSITORIES)
        name = random.choice(NAMES)
        event = self._fact(random.randrange(14), name, region, repository, now_ns)
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
        random = self._random
        machine = f"m{random.randrange(4)}"
        match kind:
            case 0 | 1 | 2 | 3:
                return self._pushed(name, region, repository)
            case 4:
                pulled = random.choice([*IMAGES, *BARE])
                return builders.pulled(pulled, region, repository)
            case 5 | 6:
                return self._started(machine)
            case 7:
                return builders.stopped(machine, region)
            case 8:
                return builders.evicted(name, region, repository)
            case 9:
                tag = random.choice(TAGS)
                return builders.tagged(tag, name, region, repository)
            case 10:
                return builders.announced(name, region, repository, held_bytes=10)
            case 11:
                arrived = ContentReplicated(
                    (descriptor(name),), repository, verified=True
                )
                return builders.event(region, arrived)
            case 12:
                return builders.changed(region, random.choice(STATES))
            case _:
                content = InventoryContent(descriptor(name), repository)
                other = InventoryAbsence(
                    builders.digest(random.choice("ef")), repository
                )
                taken = InventoryTaken(TimeNs(now_ns), True, (content,), (other,))  # noqa: FBT003 - a field of a fact
                return builders.event(region, taken)

    def _pushed(self, name: str, region: Region, repository: Repository) -> Event:
        random = self._random
        size = builders.SIZE + (name == DISPUTED and random.random() < 0.4)
        return builders.pushed(
            name,
            region,
            repository,
            size_bytes=size,
            references=references(name),
            tag=None if name in LAYERS else random.choice([None, *TAGS]),
            media_type=descriptor(name).media_type,
        )

    def _started(self, machine: str) -> Event:
        """Return a machine's start, in any region, which had to wait for its image."""
        random = self._random
        region, source = random.choice(START_REGIONS), random.choice(REGIONS)
        waited = builders.seconds(random.random() * 10)
        fact = MachineStarted(
            builders.digest(random.choice(list(IMAGES))),
            random.choice(REPOSITORIES),
            Identifier(machine),
            random.choice([None, *TAGS]),
            image_wait_ns=random.choice([None, waited]),
            source_region=random.choice([None, source]),
            cache=random.choice(list(CacheKind)),
        )
        return builders.event(region, fact)

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
            random.choice(self._digests),
            random.choice(TAGS),
        )
