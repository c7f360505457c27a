"""Tells what becomes of a copy, as events whose ids follow from what they say."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from placement.agent.registry.manifests import Manifest
from placement.agent.replicator.duties import Copy
from placement.agent.replicator.failures import CopyFailedError
from placement.agent.replicator.progress import Progress, Transfer
from placement.agent.reporting import Report
from placement.core.errors import clipped
from placement.core.event import (
    ContentAnnounced,
    ContentReplicated,
    Event,
    Fact,
    ReplicationCompleted,
    ReplicationFailed,
    ReplicationStarted,
    TransferMeasured,
)
from placement.core.facts.values import (
    DurationNs,
    Identifier,
    Name,
    Text,
    TimeNs,
    TransferOutcome,
)
from placement.core.oci import Descriptor, Digest, Repository
from placement.core.topology import Region

PUBLISHER: Final = Name("placement-replicator")
REASON_LENGTH_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Teller:
    """Makes events of one region and hands them to *report*."""

    region: Region
    report: Report
    clock: Callable[[], int]

    async def tell(self, facts: Iterable[tuple[str, Fact]]) -> None:
        """Report *facts*, each with what tells it from all others."""
        now_ns = TimeNs(self.clock())
        events = [
            Event(event_id(name), self.region, fact, now_ns, PUBLISHER)
            for name, fact in facts
        ]
        if events:
            await self.report(events)


@dataclass(frozen=True, slots=True)
class Story:
    """One flight of one content: the decisions that it carries out, if any."""

    teller: Teller
    repository: Repository
    digest: Digest
    copies: Sequence[Copy]
    name: str
    """What tells this flight from all others."""

    @property
    def replication_id(self) -> Identifier | None:
        """The first of the decisions."""
        return self.copies[0].subject.replication_id if self.copies else None

    async def begun(self, source: Region | None) -> None:
        """Say that the copy began."""
        on_its_way = ContentAnnounced(
            content=Descriptor(self.digest),
            repository=self.repository,
            source_region=source,
            replication_id=self.replication_id,
        )
        facts: list[tuple[str, Fact]] = [(f"{self.name} announced", on_its_way)]
        facts += [
            (
                f"{copy.own_id} {copy.attempt} started",
                ReplicationStarted(copy.subject, source, copy.attempt),
            )
            for copy in self.copies
        ]
        await self.teller.tell(facts)

    async def came_on(self, progress: Progress) -> None:
        """Say which blobs are here, what is under way, and what was measured."""
        arrived = progress.taken_arrived()
        transfers = progress.taken_transfers()
        facts: list[tuple[str, Fact]] = []
        if arrived:
            facts.append(self._arrived(arrived, (), progress.source_region))
        for blob, held in progress.under_way.values():
            partial = ContentAnnounced(
                content=blob,
                repository=self.repository,
                held_bytes=held,
                source_region=progress.source_region,
                replication_id=self.replication_id,
            )
            facts.append((f"{self.name} {blob.digest} {held}", partial))
        facts += [self._measured(transfer) for transfer in transfers]
        try:
            await self.teller.tell(facts)
        except BaseException:
            progress.arrived[:0] = arrived
            progress.transfers[:0] = transfers
            raise

    async def ended(
        self, progress: Progress, manifests: Sequence[Manifest], duration_ns: int
    ) -> None:
        """Say that all is here; a copy that moved nothing took no time to speak of."""
        await self.came_on(progress)
        facts = [
            self._arrived([one.descriptor], one.references, progress.source_region)
            for one in manifests
        ]
        took = DurationNs(duration_ns) if progress.moved_bytes else None
        facts += [
            (
                f"{copy.own_id} {copy.attempt} completed",
                ReplicationCompleted(
                    copy.subject, progress.moved_bytes, took, copy.attempt
                ),
            )
            for copy in self.copies
        ]
        await self.teller.tell(facts)

    async def failed(self, error: CopyFailedError, attempts_max: int) -> None:
        """Say that the copy failed, and whether another attempt follows."""
        reason = Text(clipped(error, REASON_LENGTH_MAX))
        await self.teller.tell(
            (
                f"{copy.own_id} {copy.attempt} failed",
                ReplicationFailed(
                    copy.subject,
                    reason,
                    copy.attempt,
                    error.retryable and copy.attempt < attempts_max,
                    error.cause,
                ),
            )
            for copy in self.copies
        )

    def _arrived(
        self,
        contents: Sequence[Descriptor],
        references: Sequence[Descriptor],
        source: Region | None,
    ) -> tuple[str, Fact]:
        digests = " ".join(content.digest for content in contents)
        return f"{self.name} arrived {digests}", ContentReplicated(
            contents=tuple(contents),
            repository=self.repository,
            source_region=source,
            verified=True,
            replication_id=self.replication_id,
            references=tuple(references),
        )

    def _measured(self, transfer: Transfer) -> tuple[str, Fact]:
        return f"{self.name} measured {transfer.digest}", TransferMeasured(
            source_region=transfer.source_region,
            transferred_bytes=transfer.moved_bytes,
            transfer_duration_ns=DurationNs(transfer.duration_ns),
            concurrency=transfer.concurrency,
            outcome=TransferOutcome.COMPLETED,
            digest=transfer.digest,
        )


def event_id(name: str) -> Identifier:
    """Return the id of the event that *name* tells from all others."""
    return Identifier(f"copy-{blake2b(name.encode(), digest_size=16).hexdigest()}")
