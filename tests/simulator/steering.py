"""What operators order and schedulers ask for in a run, drawn by the seed."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final

from placement.core.event import (
    ContentPinned,
    ContentUnpinned,
    Document,
    Fact,
    Identifier,
    Name,
    Operation,
    PolicyChanged,
    ReplicationPaused,
    ReplicationRequested,
    ReplicationResumed,
    StartsRequested,
    TimeNs,
)
from placement.core.oci import Digest, Tag
from placement.core.topology import Region
from tests import builders
from tests.builders import IAD, SECOND_NS, SIZE
from tests.simulator.publishers import Publisher
from tests.simulator.workload import (
    IMAGES,
    REGIONS,
    REPOSITORIES,
    START_REGIONS,
    STATES,
    TAGS,
)
from tests.simulator.world import World

POLICIES: Final = [
    "",
    f"[limits]\nlink_bytes_per_hour = {2 * SIZE}\n",
    "[limits]\nregion_copies_in_flight = 1\nretry_seconds = 1\n",
    f"[limits]\norganization_bytes_per_day = {3 * SIZE}\n",
    "[limits]\ndecision_seconds = 5\nretry_seconds = 2\n",
    '[[residency]]\nrepositories = ["acme/web"]\nallow = ["iad", "ams"]\n',
    '[[residency]]\nrepositories = ["*"]\ndeny = ["syd"]\n',
    "holdout_fraction = 0.5\n[limits]\nmin_copies = 3\n",
    'mode = "observe"\n',
    'rule = "set_60d"\n',
]
"""Documents that may be put in force: each guards something else."""
KEEPING: Final = """
[keep]
previous_versions = 0
grace_days = 0
recent_versions = 0
unused_days = 0
pull_days = 0
storage_bytes = { iad = 9_000, ams = 9_000, syd = 9_000 }
"""
"""Lets all leave that may at all."""
DIGESTS: Final = [builders.digest(name) for name in IMAGES]
PAUSE_SECONDS: Final = 6
NAMED_BY_DIGEST: Final = 0.7
"""The chance that a scheduler does not trust a tag."""


class Operator(Publisher):
    """Orders now and then, and in the end lets copies be made again."""

    def __init__(
        self,
        world: World,
        name: str,
        event_count: int,
        digests: Sequence[Digest] = DIGESTS,
        policies: Sequence[str] = POLICIES,
    ) -> None:
        """Order *event_count* times, about *digests*, under one of *policies*."""
        super().__init__(world, name, event_count)
        self._digests = digests
        self._policies = policies

    def make(self, world: World) -> None:
        """Put an order into the outbox."""
        fact = self._order(world.random, world.now_ns())
        self.keep(builders.event(IAD, fact))

    def _order(  # noqa: PLR0911 - one kind of order a line
        self, random: Random, now_ns: int
    ) -> Fact:
        regions: tuple[Region, ...] = random.choice([(), (random.choice(REGIONS),)])
        repository = random.choice(REPOSITORIES)
        digest = random.choice(self._digests)
        operation = Operation(Name("anna"))
        if not self.left:
            return ReplicationResumed((), operation)
        match random.randrange(8):
            case 0 | 1:
                ends_ns = now_ns + PAUSE_SECONDS * SECOND_NS
                expires = random.choice([None, TimeNs(ends_ns)])
                return ReplicationPaused(
                    regions, replace(operation, expire_time_ns=expires)
                )
            case 2:
                return ReplicationResumed(regions, operation)
            case 3:
                return builders.changed(
                    random.choice(REGIONS), random.choice(STATES)
                ).fact
            case 4:
                return ContentPinned(repository, digest, regions, operation)
            case 5:
                return ContentUnpinned(repository, digest, regions, operation)
            case _:
                number = random.randrange(len(self._policies))
                content = Document(self._policies[number])
                return PolicyChanged(Name(f"policy-{number}"), content, operation)


class Scheduler(Publisher):
    """Says where machines are about to start, and asks to have images there."""

    def __init__(
        self,
        world: World,
        name: str,
        event_count: int,
        digests: Sequence[Digest] = DIGESTS,
    ) -> None:
        """Ask *event_count* times, for any of *digests*."""
        super().__init__(world, name, event_count)
        self._digests = digests

    def make(self, world: World) -> None:
        """Put a wish into the outbox."""
        random = world.random
        repository = random.choice(REPOSITORIES)
        digest = random.choice(self._digests)
        reference: Digest | Tag = random.choice(TAGS)
        if random.random() < NAMED_BY_DIGEST:
            reference = digest
        own_id = Identifier(f"{self.outbox.name}-asks-{self.left}")
        fact: Fact
        if random.random() < 0.5:
            fact = StartsRequested(
                repository,
                reference,
                tuple(random.sample(START_REGIONS, random.randint(1, 2))),
                request_id=random.choice([None, own_id]),
            )
        else:
            target = random.choice(REGIONS)
            fact = ReplicationRequested(own_id, repository, reference, target)
        self.keep(builders.event(random.choice(REGIONS), fact))
