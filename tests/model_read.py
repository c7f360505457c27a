"""What an event says, whichever fact it is: the regions and the contents it names."""

from placement.core.event import (
    ContentAnnounced,
    ContentPinned,
    ContentPulled,
    ContentPushed,
    ContentReplicated,
    ContentUnpinned,
    Event,
    EvictionCancelled,
    EvictionPlanned,
    Fact,
    InventoryTaken,
    MachineStarted,
    RegionChanged,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPaused,
    ReplicationPlanned,
    ReplicationRequested,
    ReplicationResumed,
    ReplicationStarted,
    ReplicationWithheld,
    StartsRequested,
    TransferMeasured,
)
from placement.core.oci import Descriptor


def regions_in(event: Event) -> list[str | None]:  # noqa: C901 - one kind a case
    """Return every region that an event names."""
    named: tuple[str | None, ...] = ()
    match event.fact:
        case ContentPushed(client_region=client):
            named = (client,)
        case ContentPulled(client_region=client, source_region=source):
            named = (client, source)
        case StartsRequested(regions=regions):
            named = regions
        case (
            ContentAnnounced(source_region=source)
            | ContentReplicated(source_region=source)
            | TransferMeasured(source_region=source)
            | MachineStarted(source_region=source)
        ):
            named = (source,)
        case (
            ReplicationPlanned(
                subject=subject, source_region=source, start_regions=starts
            )
            | ReplicationWithheld(
                subject=subject, source_region=source, start_regions=starts
            )
        ):
            named = (subject.target_region, source, *starts)
        case ReplicationStarted(subject=subject, source_region=source):
            named = (subject.target_region, source)
        case EvictionPlanned(target_region=target, start_regions=starts):
            named = (target, *starts)
        case (
            ReplicationCompleted(subject=subject)
            | ReplicationFailed(subject=subject)
            | ReplicationCancelled(subject=subject)
            | ReplicationExpired(subject=subject)
        ):
            named = (subject.target_region,)
        case (
            ReplicationRequested(target_region=target)
            | EvictionCancelled(target_region=target)
            | RegionChanged(target_region=target)
        ):
            named = (target,)
        case (
            ReplicationPaused(target_regions=targets)
            | ReplicationResumed(target_regions=targets)
            | ContentPinned(target_regions=targets)
            | ContentUnpinned(target_regions=targets)
        ):
            named = targets
        case _:
            pass  # the others name their own region alone
    return [event.region, *named]


def descriptors_in(fact: Fact) -> list[Descriptor]:
    """Return everything that a fact says of the size of some content."""
    match fact:
        case ContentPushed(content=content, references=references):
            return [content, *references]
        case ContentAnnounced(content=content):
            return [content]
        case ContentReplicated(contents=contents, references=references):
            return [*contents, *references]
        case InventoryTaken(contents=entries):
            return [d for e in entries for d in (e.content, *e.references)]
        case _:
            return []
