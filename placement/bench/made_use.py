"""Made-up use for benchmarks: rounds of pushes, copies, pulls, starts and stops.

A round is encoded once; the others are the same bytes with its number in every name
and digest, so that events are made faster than a log stores them.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from placement.core.event import (
    CacheKind,
    ClientKind,
    ContentPulled,
    ContentPushed,
    DurationNs,
    Event,
    Fact,
    Identifier,
    MachineStarted,
    MachineStopped,
    Name,
    ReplicationCompleted,
    ReplicationPlanned,
    ReplicationSubject,
    ReplicationTrigger,
    ReplicationWithheld,
    WithholdReason,
)
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.topology import Region
from placement.wire.events import Encoded, batched, encode_message

ROUND_EVENTS: Final = 5_000
APPS: Final = 20
STARTS: Final = 1_000
"""Each machine stops again in its round."""
WITHHELD: Final = 5
"""Of so many apps' copies one is withheld; of others every fourth is not completed."""
MANIFEST: Final = Name("application/vnd.oci.image.manifest.v1+json")
IMAGE_BYTES: Final = 300_000_000
SECOND_NS: Final = 1_000_000_000
_ROUND: Final = b"feed0000"
"""Stands in names and digests for the number of the round, in hexadecimal."""


class MadeUse:
    """Rounds of ROUND_EVENTS events, always the same."""

    def __init__(self, regions: Sequence[Region]) -> None:
        """Encode one round, in the first regions of *regions*."""
        self._regions = tuple(regions[:8])
        self._encoded = [
            encode_message(batch)
            for stage in self._stages()
            for batch in batched(stage)
        ]

    def round(self, number: int) -> Iterator[Encoded]:
        """Yield the messages of a round, to be stored in their order."""
        named = b"%08x" % number
        for subject, body, message_id in self._encoded:
            yield subject, body.replace(_ROUND, named), f"{message_id}-{number}"

    def _stages(self) -> Iterator[list[Event]]:
        """Yield what happens one after another."""
        home, others = self._regions[0], self._regions[1:]
        copies = [(app, others[app % len(others)]) for app in range(APPS)]
        yield [self._event(f"p{app}", home, _pushed(app)) for app in range(APPS)]
        yield [
            self._event(f"d{app}", target, self._decided(app, target))
            for app, target in copies
        ]
        yield [
            self._event(f"c{app}", target, self._completed(app, target))
            for app, target in copies
            if app % WITHHELD and app % 4
        ]
        starts = [self._start(number) for number in range(STARTS)]
        yield starts
        yield [
            self._event(f"o{number}", each.region, MachineStopped(_machine(number)))
            for number, each in enumerate(starts)
        ]
        made = 2 * APPS + sum(1 for app, _ in copies if app % WITHHELD and app % 4)
        count = ROUND_EVENTS - made - 2 * STARTS
        yield [self._pull(number) for number in range(count)]

    def _event(self, name: str, region: Region, fact: Fact) -> Event:
        return Event(Identifier(f"{name}-{_ROUND.decode()}"), region, fact)

    def _subject(self, app: int, target: Region) -> ReplicationSubject:
        own = Identifier(f"r-{_ROUND.decode()}-{app}")
        return ReplicationSubject(own, _repository(app), _digest(app), target)

    def _decided(self, app: int, target: Region) -> Fact:
        subject = self._subject(app, target)
        saved, expected = DurationNs(20 * SECOND_NS), DurationNs(30 * SECOND_NS)
        if app % WITHHELD == 0:
            return ReplicationWithheld(
                subject,
                IMAGE_BYTES,
                ReplicationTrigger.PUSH,
                1,
                source_region=self._regions[0],
                start_regions=(target,),
                probability=0.5,
                saved_duration_ns=saved,
                expected_duration_ns=expected,
                cause=WithholdReason.CONTROL_GROUP,
                reason=Name("start-forecast"),
            )
        return ReplicationPlanned(
            subject,
            self._regions[0],
            IMAGE_BYTES,
            ReplicationTrigger.PUSH,
            1,
            start_regions=(target,),
            probability=0.5,
            saved_duration_ns=saved,
            expected_duration_ns=expected,
            priority=2,
            reason=Name("start-forecast"),
        )

    def _completed(self, app: int, target: Region) -> Fact:
        took = DurationNs(25 * SECOND_NS)
        return ReplicationCompleted(self._subject(app, target), IMAGE_BYTES, took)

    def _start(self, number: int) -> Event:
        app = number % APPS
        region = self._regions[1 + number % (len(self._regions) - 1)]
        far = number % 3 == 0
        fact = MachineStarted(
            _digest(app),
            _repository(app),
            _machine(number),
            image_wait_ns=DurationNs((1 + number % 40 * far) * SECOND_NS // 2),
            source_region=self._regions[0] if far else region,
            transferred_bytes=IMAGE_BYTES if far else 0,
            cache=CacheKind.REMOTE if far else CacheKind.REGION,
            expected_wait_p50_ns=DurationNs((2 + number % 9) * SECOND_NS),
            expected_wait_p90_ns=DurationNs((4 + number % 18) * SECOND_NS),
        )
        return self._event(f"s{number}", region, fact)

    def _pull(self, number: int) -> Event:
        app = number % APPS
        fact = ContentPulled(
            _digest(app),
            _repository(app),
            client_region=self._regions[number % len(self._regions)],
            source_region=self._regions[0],
            transferred_bytes=1_000_000 + number,
            pull_duration_ns=DurationNs(200_000_000 + number),
            client_kind=ClientKind.RUNTIME,
            media_type=MANIFEST,
            size_bytes=5_000,
        )
        return self._event(f"u{number}", self._regions[0], fact)


def _pushed(app: int) -> ContentPushed:
    content = Descriptor(_digest(app), MANIFEST, IMAGE_BYTES)
    return ContentPushed(content, _repository(app), Tag(f"v{_ROUND.decode()}"))


def _repository(app: int) -> Repository:
    return Repository(f"team-{app % 7}/app-{app}")


def _digest(app: int) -> Digest:
    return Digest(f"sha256:{app:08x}{_ROUND.decode()}{0:048x}")


def _machine(number: int) -> Identifier:
    return Identifier(f"m-{_ROUND.decode()}-{number}")
