"""WatchReplications and WatchReplication: what a region is to do, and how far it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import pytest

from placement.api.reading import Reader
from placement.api.replication_servicer import ReplicationServicer
from placement.api.server import ServerSettings
from placement.api.streaming import SendTimeoutError
from placement.api.watch_servicer import WatchLaggedError
from placement.client import PlacementClient
from placement.core.event import (
    ContentAnnounced,
    Event,
    EvictionPlanned,
    Identifier,
    RegionState,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationRequested,
    ReplicationStarted,
    ReplicationSubject,
    ReplicationWithheld,
    Text,
    TimeNs,
    WithholdReason,
)
from placement.core.oci import Tag
from placement.runtime.publisher import Publisher
from placement.runtime.watch import WatchHub
from placement.runtime.watcher import WatchSettings
from placement.v1 import basis_pb2 as basis_pb
from placement.v1 import placement_service_pb2 as placement_pb
from placement.v1 import replication_service_pb2 as pb
from tests.builders import (
    AMS,
    DAY_NS,
    FRA,
    HOUR_NS,
    IAD,
    MANIFEST,
    NOWHERE,
    SYD,
    TOPOLOGY,
    WEB,
    A,
    changed,
    event,
    pushed,
)
from tests.copying import LAYERS, WHOLE_BYTES, planned, released, subject
from tests.serving import Service, refused, serving

PATIENCE_S = 10.0


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows an image in ams, and nothing decided about it."""
    async with serving() as found:
        await found.stage.happen(*released())
        yield found


class Watch:
    """One watch of the plain stub, read item by item."""

    def __init__(self, service: Service, **request: Any) -> None:  # noqa: ANN401 - fields
        """Begin to watch syd, unless the request says otherwise."""
        asked = pb.WatchReplicationsRequest(**{"target_region": SYD, **request})
        self.call: Any = service.replication.WatchReplications(asked)
        self._items: list[pb.AssignmentItem] = []

    async def next(self) -> pb.AssignmentItem:
        """Return the next item; raises EOFError where the stream ends."""
        while not self._items:
            async with asyncio.timeout(PATIENCE_S):
                response = await self.call.read()
            if response is grpc.aio.EOF:
                raise EOFError
            self._items.extend(response.items)
        return self._items.pop(0)

    async def until(self, kind: str = "bookmark") -> list[pb.AssignmentItem]:
        """Return the items up to the first one of *kind*, and that one."""
        found = [await self.next()]
        while found[-1].WhichOneof("item") != kind:
            found.append(await self.next())
        return found


def told(items: list[pb.AssignmentItem]) -> list[str]:
    """Return each item in a word, those about decisions with their ids."""
    return [
        " ".join(
            filter(None, (kind, getattr(getattr(item, kind), "replication_id", "")))
        )
        for item in items
        for kind in [item.WhichOneof("item") or "nothing"]
    ]


async def test_open_decisions_come_by_priority_then_changes(service: Service) -> None:
    """Whoever waits comes first; then what is new, and what is done with."""
    await service.stage.happen(
        planned("later", "b", trigger=1, priority=3),
        planned("first", "c", trigger=1, priority=1),
        planned("next", "d", trigger=1, priority=2),
        planned("elsewhere", "e", FRA, trigger=1),
    )
    watch = Watch(service)
    first = await watch.until()
    await service.stage.happen(
        planned("new", "f", trigger=3),
        planned("new-elsewhere", "f", FRA, trigger=3),
        event(SYD, ReplicationCancelled(subject("first", "c"))),
        event(SYD, ReplicationExpired(subject("next", "d"))),
        event(SYD, ReplicationCompleted(subject("later", "b"), 1)),
    )
    changes = await watch.until()
    watch.call.cancel()

    assert told(first) == [
        "status",
        "snapshot_began",
        "copy first",
        "copy next",
        "copy later",
        "snapshot_ended",
        "bookmark",
    ]
    assert first[0].status.state == basis_pb.SERVING_STATE_LIVE
    assert sorted(told(changes)) == [
        "bookmark",
        "closed first",
        "closed later",
        "closed next",
        "copy new",
    ]
    ends = {
        i.closed.replication_id: i.closed.status for i in changes if i.closed.status
    }
    assert ends == {
        "first": pb.REPLICATION_STATUS_CANCELLED,
        "next": pb.REPLICATION_STATUS_EXPIRED,
        "later": pb.REPLICATION_STATUS_COMPLETED,
    }


async def test_copy_says_all_that_a_replicator_needs(service: Service) -> None:
    """What, from where, how much, until when, and how often it was begun."""
    until_ns = service.stage.now_ns + HOUR_NS
    begun = ReplicationStarted(subject("copy-1"), IAD, 2)
    await service.stage.happen(
        planned("copy-1", expire_ns=until_ns, priority=1), event(SYD, begun)
    )
    watch = Watch(service)
    copy = (await watch.until("copy"))[-1].copy
    watch.call.cancel()

    assert (copy.repository, copy.digest, copy.media_type) == (WEB, A, MANIFEST)
    assert (copy.source_region, copy.target_region) == (IAD, SYD)
    assert (copy.transfer_bytes, copy.priority, copy.attempt) == (WHOLE_BYTES, 1, 2)
    assert copy.expire_time.ToNanoseconds() == until_ns
    assert copy.status == pb.REPLICATION_STATUS_STARTED


async def test_token_goes_on_without_a_gap_and_without_a_repeat(
    service: Service,
) -> None:
    """Many small steps, each with a watch of its own, tell each decision once."""
    await service.stage.happen(planned("copy-0", "x0"))
    watch = Watch(service)
    heard = told(await watch.until())
    watch.call.cancel()
    token = ""
    for number in range(1, 6):
        watch = Watch(service, resume_token=token)
        items = await watch.until()
        token = items[-1].bookmark.resume_token
        watch.call.cancel()
        await service.stage.happen(
            planned(f"copy-{number}", f"x{number}", trigger=number),
            event(SYD, ReplicationCompleted(subject(f"copy-{number - 1}"), 1)),
        )

        again = Watch(service, resume_token=token)
        heard = told(await again.until())
        again.call.cancel()

        assert heard[0] == "status"
        assert sorted(heard[1:]) == sorted(
            [f"copy copy-{number}", f"closed copy-{number - 1}", "bookmark"]
        )


async def test_expired_decision_is_never_told_as_open(service: Service) -> None:
    """Its time is over, whether or not anybody has said so in the log."""
    over_ns = service.stage.now_ns + HOUR_NS
    await service.stage.happen(planned("old", "b", expire_ns=over_ns))
    service.stage.now_ns = over_ns
    service.stage.view.caught_up()

    watch = Watch(service)
    first = await watch.until()
    await service.stage.happen(event(SYD, ReplicationStarted(subject("old", "b"))))
    changes = await watch.until()
    watch.call.cancel()

    assert told(first) == ["status", "snapshot_began", "snapshot_ended", "bookmark"]
    assert told(changes) == ["closed old", "bookmark"]


async def test_withheld_and_deferred_copies_are_nobodys_duty(service: Service) -> None:
    """Nothing is told of them, neither at first nor as they are stored."""
    watch = Watch(service)
    await watch.until()
    lot, later = WithholdReason.CONTROL_GROUP, WithholdReason.OVER_BUDGET
    await service.stage.happen(
        event(SYD, withheld(subject("lot", "b"), lot)),
        event(SYD, withheld(subject("later", "c"), later)),
        planned("copy-1", trigger=5),
    )
    changes = await watch.until()
    watch.call.cancel()

    assert told(changes) == ["copy copy-1", "bookmark"]
    assert len(service.stage.view.state.decisions) == 3


def withheld(about: ReplicationSubject, cause: WithholdReason) -> ReplicationWithheld:
    """Return that a copy was withheld."""
    return ReplicationWithheld(about, 1, trigger_sequence=1, cause=cause)


@pytest.mark.parametrize("removals", [True, False])
async def test_removals_are_told_to_who_asks_and_only_while_safe(
    service: Service, *, removals: bool
) -> None:
    """An old image that two other regions hold may leave; the last copy may not."""
    await service.stage.happen(*old_image())
    service.stage.now_ns += 90 * DAY_NS
    out = EvictionPlanned(
        Identifier("out-old"), WEB, subject("", "old").digest, SYD, Text("unused long")
    )
    last = EvictionPlanned(Identifier("out-last"), WEB, A, AMS, Text("unused long"))
    await service.stage.happen(event(SYD, out), event(AMS, last))

    watch = Watch(service, include_removals=removals)
    here = await watch.until()
    watch.call.cancel()
    watch = Watch(service, target_region=AMS, include_removals=removals)
    there = await watch.until()
    watch.call.cancel()

    expected = ["removal out-old"] if removals else []
    assert [each for each in told(here) if "out-" in each] == expected
    assert [each for each in told(there) if "out-" in each] == []


def old_image() -> list[Event]:
    """Return that three regions hold an old image, and newer ones of the same app."""
    names = ("old", *(f"new-{number}" for number in range(7)))
    regions = (SYD, FRA, IAD)
    layers = [
        pushed("layer", each, size_bytes=LAYERS[0].size_bytes) for each in regions
    ]
    return layers + [
        pushed(name, region, references=LAYERS, tag=Tag(f"v1.{number}"))
        for number, name in enumerate(names)
        for region in regions
    ]


async def test_nothing_is_told_while_the_service_is_not_up_to_date() -> None:
    """Then a status says so, now and again; what was missed is told afterwards."""
    settings = ServerSettings(watch=WatchSettings(bookmark_interval_s=0.2))
    async with serving(settings) as held:
        await held.stage.happen(*released(), planned("copy-1"))
        held.stage.now_ns += HOUR_NS  # for so long nobody has heard from the log
        watch = Watch(held)
        statuses = [await watch.next() for _ in range(3)]
        held.stage.view.caught_up()
        items = await watch.until()
        watch.call.cancel()

    assert [item.status.state for item in statuses] == [
        basis_pb.SERVING_STATE_STALE
    ] * 3
    assert told(items) == [
        "status",
        "snapshot_began",
        "copy copy-1",
        "snapshot_ended",
        "bookmark",
    ]
    assert items[0].status.state == basis_pb.SERVING_STATE_LIVE


async def test_degraded_service_still_gives_work(service: Service) -> None:
    """Its checkpoint cannot be written; what it knows is up to date."""
    await service.stage.happen(planned("copy-1"))
    service.stage.view.degraded("disk full")

    watch = Watch(service)
    items = await watch.until()
    watch.call.cancel()

    assert items[0].status.state == basis_pb.SERVING_STATE_DEGRADED
    assert "copy copy-1" in told(items)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"target_region": NOWHERE}, "REGION_UNKNOWN"),
        ({"target_region": "Syd"}, "REGION_INVALID"),
        ({"resume_token": "w1.e.1"}, "TOKEN_INVALID"),
    ],
)
async def test_wrong_request_is_refused(
    service: Service, fields: dict[str, str], reason: str
) -> None:
    """As any other call's."""
    found = await refused(Watch(service, **fields).call.read())

    assert found.info.reason == reason


async def test_watchers_of_all_kinds_share_one_limit() -> None:
    """A replicator, a follower, and whoever watches placements."""
    settings = ServerSettings(watch=WatchSettings(watch_count_max=1))
    async with serving(settings) as service:
        await service.stage.happen(*released(), planned("copy-1"))
        first = Watch(service)
        await first.until()
        follow = pb.WatchReplicationRequest(replication_id="copy-1")

        replicator = await refused(Watch(service).call.read())
        follower = await refused(service.replication.WatchReplication(follow).read())
        other = service.placement.WatchPlacements(placement_pb.WatchPlacementsRequest())
        placements = await refused(other.read())
        first.call.cancel()

    reasons = {found.info.reason for found in (replicator, follower, placements)}
    assert reasons == {"WATCH_LIMIT"}


async def follow(service: Service, **fields: Any) -> list[pb.ReplicationProgress]:  # noqa: ANN401 - any field
    """Return what one call tells until it ends."""
    call = service.replication.WatchReplication(pb.WatchReplicationRequest(**fields))
    async with asyncio.timeout(PATIENCE_S):
        return [response.progress async for response in call]


async def test_request_is_followed_from_the_wish_to_the_end(service: Service) -> None:
    """Asked for, decided, begun, half there, there; then the stream ends."""
    wish = ReplicationRequested(Identifier("deploy-1"), WEB, A, SYD)
    await service.stage.happen(event(SYD, wish))
    following = asyncio.create_task(follow(service, request_id="deploy-1"))
    for happened in (
        planned("copy-1", trigger=3),
        event(SYD, ReplicationStarted(subject("copy-1"), AMS, 1)),
        event(SYD, ContentAnnounced(LAYERS[0], WEB, 20_000_000)),
        event(SYD, ReplicationCompleted(subject("copy-1"), WHOLE_BYTES)),
    ):
        await asyncio.sleep(0.3)
        await service.stage.happen(happened)

    found = await following

    assert [(each.status, each.transferred_bytes, each.ended) for each in found] == [
        (pb.REPLICATION_STATUS_REQUESTED, 0, False),
        (pb.REPLICATION_STATUS_PLANNED, 0, False),
        (pb.REPLICATION_STATUS_STARTED, 0, False),
        (pb.REPLICATION_STATUS_STARTED, 20_000_000, False),
        (pb.REPLICATION_STATUS_COMPLETED, WHOLE_BYTES, True),
    ]


async def test_decision_that_has_ended_is_told_once(service: Service) -> None:
    """The last word comes at once."""
    await service.stage.happen(
        planned("copy-1"), event(SYD, ReplicationExpired(subject("copy-1")))
    )

    (found,) = await follow(service, replication_id="copy-1")

    assert (found.status, found.ended) == (pb.REPLICATION_STATUS_EXPIRED, True)
    assert not found.HasField("expected_ready_time")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"request_id": "deploy-9"}, "REQUEST_UNKNOWN"),
        ({"replication_id": "copy-9"}, "REPLICATION_UNKNOWN"),
        ({}, "INPUT_INVALID"),
        ({"request_id": "no spaces"}, "TEXT_INVALID"),
    ],
)
async def test_what_is_not_there_cannot_be_followed(
    service: Service, fields: dict[str, str], reason: str
) -> None:
    """Said at once, not after a wait."""
    found = await refused(follow(service, **fields))

    assert found.info.reason == reason


async def test_client_goes_on_by_itself_when_the_service_ends_a_watch(
    service: Service,
) -> None:
    """With the token of the last bookmark: no snapshot, no repeat."""
    await service.stage.happen(planned("copy-1"))
    hub = service.server._hub  # noqa: SLF001 - nothing else ends its watches alone
    heard: list[str] = []
    async with PlacementClient(service.target) as client:
        items = client.watch_replications(SYD)
        async with aclosing(items), asyncio.timeout(PATIENCE_S):
            async for item in items:
                heard += told([item])
                if heard[-1] == "bookmark" and "copy copy-2" not in heard:
                    hub.stop()
                    await asyncio.sleep(0.5)
                    hub._stopped = False  # noqa: SLF001 - as another service would be
                    await service.stage.happen(planned("copy-2", "b", trigger=3))
                elif heard[-1] == "bookmark":
                    break

    assert heard.count("snapshot_began") == 1
    assert heard.count("copy copy-1") == heard.count("copy copy-2") == 1


async def test_client_follows_a_request_to_its_end(service: Service) -> None:
    """And ends by itself, after the last word."""
    wish = ReplicationRequested(
        Identifier("deploy-1"), WEB, A, SYD, TimeNs(service.stage.now_ns + HOUR_NS)
    )
    await service.stage.happen(event(SYD, wish), planned("copy-1", trigger=3))
    found = []
    async with PlacementClient(service.target) as client:
        watch = client.watch_replication(request_id="deploy-1")
        async with aclosing(watch), asyncio.timeout(PATIENCE_S):
            async for response in watch:
                found.append(response.progress.status)
                if len(found) == 1:
                    cancelled = ReplicationCancelled(subject("copy-1"))
                    await service.stage.happen(event(SYD, cancelled))

    assert found == [pb.REPLICATION_STATUS_PLANNED, pb.REPLICATION_STATUS_CANCELLED]


async def test_paused_or_drained_regions_still_tell_what_is_open(
    service: Service,
) -> None:
    """Copies that were decided go on; only new ones are not decided."""
    await service.stage.happen(planned("copy-1"), changed(SYD, RegionState.DRAINING))

    watch = Watch(service)
    items = await watch.until()
    watch.call.cancel()

    assert "copy copy-1" in told(items)


async def test_watcher_that_reads_nothing_is_let_go_with_its_token(
    service: Service,
) -> None:
    """Both kinds of watches; only duties can be gone on with."""
    await service.stage.happen(planned("copy-1"))
    view = service.stage.view
    hub = WatchHub(view, WatchSettings())
    reader = Reader(view, TOPOLOGY, 0.25)
    servicer = ReplicationServicer(reader, hub, Publisher(service.stage.log, view))
    context: Any = None
    duties: Any = servicer.WatchReplications(
        pb.WatchReplicationsRequest(target_region=SYD), context
    )
    first = await anext(duties)
    await service.stage.happen(planned("copy-2", "b", trigger=3))
    await anext(duties)
    one: Any = servicer.WatchReplication(
        pb.WatchReplicationRequest(replication_id="copy-1"), context
    )
    await anext(one)
    open_count = hub.open_count

    with pytest.raises(WatchLaggedError) as lagged:
        await duties.athrow(SendTimeoutError())
    with pytest.raises(WatchLaggedError):
        await one.athrow(SendTimeoutError())

    token = first.items[-1].bookmark.resume_token
    assert lagged.value.metadata["resume_token"] == token
    assert (open_count, hub.open_count) == (2, 0)
