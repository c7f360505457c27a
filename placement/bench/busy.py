"""A busy log over a made state: what a platform reports, event by event, by one seed.

Of a start: a machine that started, one that stopped, the manifest and seven layers that
were pulled; and now and then a new version of a few layers, a copy and a transfer.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

import numpy as np

from placement.bench.made_state import LAYER, MANIFEST, SEED, TIME_NS
from placement.core.event import (
    CacheKind,
    ClientKind,
    ContentPulled,
    ContentPushed,
    ContentReplicated,
    DurationNs,
    Event,
    Fact,
    Identifier,
    MachineStarted,
    MachineStopped,
    Name,
    TransferMeasured,
)
from placement.core.fold import fold
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.state import State
from placement.core.tables.table import Row
from placement.core.topology import Region
from placement.ports import Message
from placement.wire.events import decode_message, encode_message

BATCH: Final = 500
RUNNING_APPS_MAX: Final = 2_000
"""Apps whose machines start and stop meanwhile."""
REGIONS_PER_APP: Final = 2
SECOND_NS: Final = 1_000_000_000
PULLS_PER_START: Final = 8
"""A manifest, and layers that the host has not."""
STARTS_PER_VERSION: Final = 40
LAYERS_PER_VERSION: Final = 4


class BusyLog:
    """Messages that follow what *state* has folded; drawing them changes no state."""

    def __init__(self, state: State) -> None:
        """Let some apps of *state* have an image that runs, by folding so."""
        self._random = Random(SEED)  # noqa: S311 - a made-up log, not a secret
        self._numbers = np.random.default_rng(SEED)
        self._state = state
        self._regions = [Region(key.decode()) for key, _ in state.regions.rows()]
        self._sequence = state.sequence
        self._number = 0
        self._images: list[tuple[Repository, Digest, list[Region]]] = []
        self._machines: dict[Region, deque[Identifier]] = defaultdict(deque)
        """Those that run, by region, the oldest first."""
        for message in self._prologue():
            fold(state, decode_message(message))

    def _prologue(self) -> Iterator[Message]:
        count = min(RUNNING_APPS_MAX, len(self._state.repositories))
        for row in range(count):
            repository = self._state.repository_at(Row(row))
            image, regions = self._digest(), self._draw_regions()
            pushed = self._pushed(repository, image, MANIFEST, Tag("v1"))
            self._images.append((repository, image, regions))
            yield self._message(regions[0], [pushed])
            for region in regions:
                yield self._message(region, [self._start(row, region)])

    def _draw_regions(self) -> list[Region]:
        return self._random.sample(
            self._regions, min(REGIONS_PER_APP, len(self._regions))
        )

    def uses(self, count: int) -> list[Message]:
        """Return so many messages of BATCH pulls of layers that are used already."""
        return [
            self._message(self._regions[0], self._pulls(BATCH)) for _ in range(count)
        ]

    def mix(self, count: int) -> list[Message]:
        """Return so many messages of BATCH events of all kinds."""
        found = []
        for _ in range(count):
            region = self._random.choice(self._regions)
            facts = list(self._mixed(region))
            self._random.shuffle(facts)
            found.append(self._message(region, facts[:BATCH]))
        return found

    def _mixed(self, region: Region) -> Iterator[Fact]:
        """Yield at least BATCH facts in the shares that they have."""
        here = [row for row, image in enumerate(self._images) if region in image[2]]
        starts = BATCH // (PULLS_PER_START + 2)
        for row in self._random.choices(here or [0], k=starts):
            repository, digest, _ = self._images[row]
            yield self._start(row, region)
            yield self._stop(region)
            yield _pulled(repository, digest, region, MANIFEST, region)
        yield from self._pulls(starts * (PULLS_PER_START - 1))
        for _ in range(max(1, starts // STARTS_PER_VERSION)):
            yield from self._version(self._random.choice(self._images)[0])
        source = self._random.choice(self._regions)
        yield TransferMeasured(source, 70_000_000, DurationNs(2 * SECOND_NS))

    def _version(self, repository: Repository) -> Iterator[Fact]:
        layers = [
            Descriptor(self._digest(), LAYER, 9_000_000)
            for _ in range(LAYERS_PER_VERSION)
        ]
        for layer in layers:
            yield ContentPushed(layer, repository)
        tag = Tag(f"v{self._number}")
        yield self._pushed(repository, self._digest(), MANIFEST, tag, layers)
        yield ContentReplicated(tuple(layers), repository, verified=True)

    def _pulls(self, count: int) -> list[Fact]:
        """Return pulls: half of what is used most, a hundredth, and half of all."""
        state, uses = self._state, len(self._state.uses)
        anywhere = self._numbers.integers(0, uses, count)
        hottest = self._numbers.integers(0, max(1, uses // 100), count)
        rows = np.where(self._numbers.random(count) < 0.5, anywhere, hottest)  # noqa: PLR2004 - half
        found: list[Fact] = []
        for row in rows.tolist():
            placement = Row(state.uses.part(Row(row), 0))
            client = state.region_at(Row(state.uses.part(Row(row), 1)))
            repository, digest = state.placement_at(placement)
            source = self._random.choice(self._regions)
            found.append(_pulled(repository, digest, client, LAYER, source))
        return found

    def _start(self, row: int, region: Region) -> MachineStarted:
        repository, digest, _ = self._images[row]
        self._number += 1
        machine = Identifier(f"machine-{self._number:012x}")
        self._machines[region].append(machine)
        return MachineStarted(
            digest,
            repository,
            machine,
            image_wait_ns=DurationNs(SECOND_NS // 3),
            source_region=region,
            transferred_bytes=50_000_000,
            cache=CacheKind.REGION,
        )

    def _stop(self, region: Region) -> MachineStopped:
        return MachineStopped(self._machines[region].popleft())

    def _pushed(
        self,
        repository: Repository,
        digest: Digest,
        media: str,
        tag: Tag,
        layers: Sequence[Descriptor] = (),
    ) -> ContentPushed:
        content = Descriptor(digest, media, 2_000)
        return ContentPushed(content, repository, tag=tag, references=tuple(layers))

    def _digest(self) -> Digest:
        return Digest(f"sha256:{self._random.randbytes(32).hex()}")

    def _message(self, region: Region, facts: Sequence[Fact]) -> Message:
        """Return the next message, a second after the one before."""
        self._sequence += 1
        events = []
        for fact in facts:
            self._number += 1
            events.append(Event(Identifier(f"busy-{self._number:024x}"), region, fact))
        subject, body, _ = encode_message(events)
        stored_ns = max(self._state.store_time_ns, TIME_NS) + self._sequence * SECOND_NS
        return Message(self._sequence, stored_ns, subject, body)


def _pulled(
    repository: Repository, digest: Digest, client: Region, media: str, source: Region
) -> ContentPulled:
    return ContentPulled(
        digest,
        repository,
        client_region=client,
        source_region=source,
        transferred_bytes=30_000_000,
        pull_duration_ns=DurationNs(SECOND_NS),
        client_kind=ClientKind.RUNTIME,
        media_type=Name(media),
    )
