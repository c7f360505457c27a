"""Use: counted where the user is; copies, scans and old news are none; machines."""

import pytest

from placement.core.chunks import load, take_dirty
from placement.core.event import (
    CacheKind,
    ClientKind,
    ContentPulled,
    Event,
    Identifier,
    MachineGroup,
    MachinesCounted,
    MachineStarted,
    Name,
    ReplicationRequested,
    StartsRequested,
    TimeNs,
    TransferMeasured,
    TransferOutcome,
)
from placement.core.fold import fold
from placement.core.oci import Digest
from placement.core.state import State
from placement.core.tables.table import ABSENT, Table
from placement.core.topology import Region
from tests.builders import (
    AMS,
    DAY_NS,
    FRA,
    HOUR_NS,
    IAD,
    INDEX,
    LATEST,
    LAYER,
    MANIFEST,
    SECOND_NS,
    START_NS,
    WEB,
    A,
    event,
    fold_in,
    folded,
    message,
    pulled,
    pushed,
    replicated,
    seconds,
    started,
    stopped,
)

LONG_AGO_NS = START_NS - 2 * HOUR_NS


def use(state: State, region: Region, digest: Digest = A) -> tuple[int, ...]:
    """Return pulls, starts and running machines of acme/web in *region*."""
    placement = state.find_placement(WEB, digest)
    if placement == ABSENT or region.encode() not in dict(state.regions.rows()):
        return ()
    key = placement.to_bytes(4, "little")
    key += state.region_row(region).to_bytes(4, "little")
    row = state.uses.find(key)
    return () if row == ABSENT else state.uses.values(row)[:3]


def app_pulls(state: State) -> int:
    """Return how many pulls count as demand for any app."""
    return sum(state.memberships.values(row)[4] for _, row in state.memberships.rows())


def test_pull_raises_demand_only_in_its_own_region() -> None:
    """Demand is regional: a pull in fra leaves ams as it was."""
    state = folded(pushed("a", AMS), pulled("a", FRA))

    assert use(state, FRA) == (1, 0, 0)
    assert use(state, AMS) == ()


def test_pull_counts_where_the_client_is() -> None:
    """Not where the bytes came from, nor where the event was recorded."""
    fact = ContentPulled(A, WEB, client_region=FRA, source_region=IAD)

    state = folded(event(AMS, fact))

    assert [use(state, region) for region in (AMS, FRA, IAD)] == [(), (1, 0, 0), ()]


def test_pull_says_nothing_about_presence() -> None:
    """Whoever pulled may have got the bytes from anywhere."""
    state = folded(pulled("a", AMS))

    assert state.replicas_of(state.find_placement(WEB, A)) == []


@pytest.mark.parametrize("kind", [ClientKind.SCANNER, ClientKind.REPLICATOR])
def test_scans_and_copies_are_no_demand(kind: ClientKind) -> None:
    """Our own copies must never feed what decides about copies."""
    state = folded(event(AMS, ContentPulled(A, WEB, LATEST, client_kind=kind)))

    assert (len(state.uses), len(state.memberships), len(state.demand)) == (0, 0, 0)


@pytest.mark.parametrize("kind", [ClientKind.RUNTIME, ClientKind.BUILDER])
def test_runtimes_and_builders_are_demand(kind: ClientKind) -> None:
    """Both need the image where they are."""
    state = folded(event(AMS, ContentPulled(A, WEB, LATEST, client_kind=kind)))

    assert use(state, AMS) == (1, 0, 0)


def test_arrival_of_a_copy_is_no_demand() -> None:
    """It is presence alone."""
    state = folded(replicated("a", AMS))

    assert (len(state.uses), len(state.memberships)) == (0, 0)


@pytest.mark.parametrize(
    ("media_type", "tag", "pulls"),
    [
        (MANIFEST, None, 1),
        (MANIFEST, LATEST, 1),
        (INDEX, LATEST, 0),
        (LAYER, None, 0),
        ("", LATEST, 1),
        ("", None, 0),
    ],
)
def test_image_is_pulled_once(media_type: str, tag: str | None, pulls: int) -> None:
    """Of index, manifest and layers, the one manifest counts for the app."""
    fact = ContentPulled(A, WEB, LATEST if tag else None, media_type=Name(media_type))

    state = folded(event(AMS, fact))

    assert app_pulls(state) == pulls
    assert use(state, AMS) == (1, 0, 0)


def test_what_is_known_of_the_content_tells_when_the_pull_does_not() -> None:
    """A push has said that it is a layer."""
    state = folded(pushed("a", IAD), pulled("a", AMS))

    assert app_pulls(state) == 0


# Transfers.


def routes(state: State) -> dict[str, tuple[int, ...]]:
    """Return the last transfer of each route: bytes, duration, concurrency, outcome."""
    found: dict[str, tuple[int, ...]] = {}
    for key, row in state.transfers.rows():
        rows = [int.from_bytes(key[n : n + 4], "little") for n in (0, 4)]
        source, target = (list(state.regions.rows())[number][0] for number in rows)
        moved, took, _, beside, outcome = state.transfers.values(row)
        name = f"{source.decode()}-{target.decode()}"
        found[name] = (moved, took, beside, outcome)
    return found


def test_real_transfers_are_kept_by_route() -> None:
    """Measured ones, and those of pulls and starts that say bytes and duration."""
    second = seconds(1)
    measured = TransferMeasured(IAD, 9, second, 4, TransferOutcome.FAILED)
    pull = ContentPulled(A, WEB, None, FRA, IAD, 7, second)
    start = MachineStarted(
        A,
        WEB,
        Identifier("m1"),
        image_wait_ns=second,
        source_region=FRA,
        transferred_bytes=5,
    )

    state = folded(event(AMS, measured), event(AMS, pull), event(IAD, start))

    assert routes(state) == {
        "iad-ams": (9, SECOND_NS, 4, 2),
        "iad-fra": (7, SECOND_NS, 0, 1),
        "fra-iad": (5, SECOND_NS, 0, 1),
    }


def test_what_moved_nothing_or_took_no_time_is_no_transfer() -> None:
    """Nor is a start that had its image on the host."""
    second = seconds(1)
    host = MachineStarted(
        A,
        WEB,
        Identifier("m1"),
        image_wait_ns=second,
        source_region=FRA,
        transferred_bytes=5,
        cache=CacheKind.HOST,
    )

    state = folded(
        event(AMS, TransferMeasured(IAD, 0, second)),
        event(AMS, TransferMeasured(IAD, 9, seconds(0))),
        pulled("a", AMS),
        event(AMS, host),
    )

    assert routes(state) == {}


def test_route_keeps_its_last_32_transfers() -> None:
    """The 33rd takes the place of the first."""
    told = [
        event(AMS, TransferMeasured(IAD, number, seconds(1))) for number in range(1, 34)
    ]

    state = folded(*told)

    kept = sorted(state.transfers.values(row)[0] for _, row in state.transfers.rows())
    assert kept == list(range(2, 34))
    assert [state.routes.values(row) for _, row in state.routes.rows()] == [(33,)]


# Machines.


def test_start_is_demand_and_a_running_machine() -> None:
    """Counted in the machine's region."""
    state = folded(started("a", AMS))

    assert use(state, AMS) == (0, 1, 1)


def test_stopped_machine_runs_no_longer() -> None:
    """Its start stays counted."""
    state = folded(started("a", AMS), stopped("m1", AMS))

    assert use(state, AMS) == (0, 1, 0)


def test_stop_that_comes_before_its_start_counts() -> None:
    """Order of delivery does not matter where the events' own times tell."""
    state = folded(
        stopped("m1", AMS, at_ns=LONG_AGO_NS + 9), started("a", AMS, at_ns=LONG_AGO_NS)
    )

    assert use(state, AMS) == (0, 1, 0)


def test_machine_that_moved_runs_in_one_place() -> None:
    """The latest start says where and what."""
    state = folded(started("a", AMS), started("b", FRA))

    assert use(state, AMS) == (0, 1, 0)
    assert use(state, FRA, Digest("sha256:" + 64 * "b")) == (0, 1, 1)


def test_start_told_a_day_late_runs_and_is_no_demand() -> None:
    """Where an app runs now is worth knowing, however late."""
    state = folded(started("a", AMS, at_ns=START_NS - DAY_NS))

    assert use(state, AMS) == (0, 0, 1)
    assert len(state.memberships) == 0


def counted(
    *machines: str, scan_ns: int, complete: bool = True, region: Region = AMS
) -> Event:
    """Return a page of the machines of acme/web that run."""
    group = MachineGroup(WEB, A, tuple(map(Identifier, machines)))
    fact = MachinesCounted(TimeNs(scan_ns), complete, (group,))
    return event(region, fact)


def test_count_heals_a_lost_stop_and_a_lost_start() -> None:
    """After the last page, what no page named is gone, and what was named runs."""
    state = folded(
        started("a", AMS, machine="gone"),
        started("a", AMS, machine="stays"),
        counted("stays", "new", scan_ns=START_NS + 3 * SECOND_NS),
    )

    assert use(state, AMS) == (0, 2, 2)


def test_count_leaves_alone_what_started_after_it_began() -> None:
    """Nor does it touch the machines of another region."""
    state = folded(
        started("a", AMS, machine="new"),
        started("a", FRA, machine="elsewhere"),
        counted(scan_ns=START_NS),
        counted(scan_ns=START_NS + 9 * SECOND_NS),
    )

    assert use(state, AMS) == (0, 1, 0)
    assert use(state, FRA) == (0, 1, 1)
    assert use(folded(started("a", AMS), counted(scan_ns=START_NS)), AMS) == (0, 1, 1)


def test_count_leaves_alone_what_started_the_moment_it_began() -> None:
    """Only what had started before can have been missed by it."""
    told = [started("a", AMS), counted(scan_ns=START_NS + SECOND_NS)]

    assert use(folded(*told), AMS) == (0, 1, 1)


def test_page_that_is_not_the_last_removes_nothing() -> None:
    """Only the whole count says what is gone."""
    state = folded(
        started("a", AMS, machine="m1"),
        counted("m2", scan_ns=START_NS + 2 * SECOND_NS, complete=False),
    )

    assert use(state, AMS) == (0, 1, 2)


def test_pages_of_a_clock_that_is_ahead_are_one_count() -> None:
    """The first page's machines are not gone because the last did not name them."""
    ahead_ns = START_NS + 30 * SECOND_NS

    state = folded(
        counted("m1", scan_ns=ahead_ns, complete=False), counted("m2", scan_ns=ahead_ns)
    )

    assert use(state, AMS) == (0, 0, 2)


def test_next_count_of_a_clock_that_is_ahead_heals_the_first() -> None:
    """What only the first named is gone after the second, both told too early."""
    state = folded(
        counted("m1", "m2", scan_ns=START_NS + 20 * SECOND_NS),
        counted("m2", scan_ns=START_NS + 30 * SECOND_NS),
    )

    assert use(state, AMS) == (0, 0, 1)


def test_count_of_the_far_future_does_not_hide_machines_for_ever() -> None:
    """The first count that is stored more than a day later heals what it said."""
    state = folded(counted("m1", scan_ns=START_NS + 100 * DAY_NS))
    later_ns = START_NS + 2 * DAY_NS

    fold(state, message(2, counted(scan_ns=later_ns), store_time_ns=later_ns))

    assert use(state, AMS) == (0, 0, 0)


def test_stopped_machines_are_forgotten_the_oldest_first() -> None:
    """With room for two, the third that stops takes the place of the first."""
    state = State()
    state.stopped = Table("stopped", (), 2)

    for name in ("m1", "m2", "m3"):
        fold_in(state, started("a", AMS, machine=name), stopped(name, AMS))

    assert (len(state.machines), len(state.stopped)) == (2, 2)
    assert use(state, AMS) == (0, 3, 0)


def test_count_forgets_machines_in_the_same_order_after_a_restart() -> None:
    """Rows were added in another order than the region's machines were heard of."""
    whole, restored = State(), State()
    whole.stopped = Table("stopped", (), 2)
    restored.stopped = Table("stopped", (), 2)
    fold_in(
        whole,
        started("a", AMS, machine="m1"),
        *(started("a", FRA, machine=f"m{n}") for n in (2, 3, 4)),
        *(started("a", AMS, machine=f"m{n}") for n in (4, 3, 2)),
    )
    load(restored, take_dirty(whole))
    restored.sequence = whole.sequence

    for state in (whole, restored):
        fold_in(state, counted(scan_ns=START_NS + 60 * SECOND_NS))

    assert set(dict(restored.stopped.rows())) == set(dict(whole.stopped.rows()))
    assert set(dict(restored.machines.rows())) == set(dict(whole.machines.rows()))


# Requests.


def wanted(state: State) -> list[int]:
    """Return when the last starts were asked for, wherever they were."""
    return [state.memberships.values(row)[5] for _, row in state.memberships.rows()]


def test_request_for_starts_is_remembered_in_each_region() -> None:
    """Demand that is nearly certain, before any start."""
    fact = StartsRequested(WEB, LATEST, (AMS, FRA))

    state = folded(event(IAD, fact))

    assert wanted(state) == [START_NS + SECOND_NS] * 2


def test_same_request_is_one_request() -> None:
    """Its id is the caller's: asking again changes nothing, not even the time."""
    fact = StartsRequested(WEB, LATEST, (AMS,), request_id=Identifier("deploy-7"))

    state = folded(event(IAD, fact), event(IAD, fact))

    assert wanted(state) == [START_NS + SECOND_NS]
    assert len(state.requests) == 1


def test_requests_of_two_kinds_do_not_share_their_ids() -> None:
    """One deploy may ask for a copy and for starts under its own id."""
    deploy = Identifier("deploy-7")

    state = folded(
        event(IAD, ReplicationRequested(deploy, WEB, LATEST, AMS)),
        event(IAD, StartsRequested(WEB, LATEST, (AMS,), request_id=deploy)),
    )

    assert wanted(state) == [START_NS + 2 * SECOND_NS]
