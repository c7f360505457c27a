"""The metrics: each one documented, closed labels, and true to the view."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from placement.adapters.memory import MemoryCheckpointStore, MemoryEventLog
from placement.adapters.sqlite.generations import CheckpointGenerations
from placement.adapters.sqlite.older import OlderCheckpointFiles
from placement.adapters.sqlite.sharing import CheckpointCopies
from placement.adapters.sqlite.staging import CheckpointStaging
from placement.api.authority.caller import Denials
from placement.core.event import Event, Identifier, InventoryTaken, TimeNs
from placement.core.reporting.prices import Prices
from placement.core.state import State
from placement.offers import CheckpointUnsharedError, Offer, SharedCopies
from placement.ports import (
    Begin,
    CheckpointDamagedError,
    CheckpointFsyncError,
    CheckpointHeader,
    CheckpointUnwritableError,
    Chunk,
)
from placement.runtime.bootstrap import Bootstrap, BootstrapSettings, Received
from placement.runtime.calls import Calls
from placement.runtime.exchange import Exchange
from placement.runtime.figures import FigureKeeper
from placement.runtime.past import Past, PastSettings
from placement.runtime.planner import Planner
from placement.runtime.pressure import Pressure
from placement.runtime.publisher import Publisher
from placement.runtime.sharing import Sharing, SharingSettings
from placement.runtime.view import ServingState, View
from placement.spooling import SpoolFigures
from placement.telemetry.admission import register_admission
from placement.telemetry.authority import AuthorityFigures, register_authority
from placement.telemetry.bootstrapping import register_bootstrapping
from placement.telemetry.calls import register_calls
from placement.telemetry.checkpoints import MeasuredCheckpointStore
from placement.telemetry.inventories import register_inventories
from placement.telemetry.listener import health_text
from placement.telemetry.metrics import NS_PER_SECOND, SERVED, build_registry
from placement.telemetry.outcomes import register_outcomes
from placement.telemetry.past import register_past
from placement.telemetry.planning import register_planning
from placement.telemetry.refusals import register_refusals
from placement.telemetry.waits import register_waits
from tests.agent_figures import whole_agent
from tests.builders import (
    IAD,
    LHR,
    NOWHERE,
    START_NS,
    SYD,
    TOPOLOGY,
    folded,
    pushed,
)
from tests.deciding import NO_CONTROL_GROUP, Office, release, requested, ruled
from tests.loaded import loaded

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(placement_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
AGENTS = "## An agent's"
HEADER = CheckpointHeader("epoch", 7, START_NS, 1, b"")


def measured(view: View) -> tuple[CollectorRegistry, MeasuredCheckpointStore]:
    """Return the registry of a whole service over *view*, and its store."""
    registry = build_registry(view, {"made": 2, "failed": 1})
    log = MemoryEventLog(lambda: START_NS)
    planner = Planner(view, TOPOLOGY, Publisher(log, view), lambda: START_NS)
    register_planning(registry, view, TOPOLOGY, planner)
    register_bootstrapping(registry, nobody())
    register_inventories(registry, view, TOPOLOGY)
    denials = Denials(TOPOLOGY)
    expiry = {"server": START_NS // NS_PER_SECOND, "client_ca": 2_000_000_000}
    register_authority(
        registry,
        AuthorityFigures(
            denials.by_role, denials.cross_region, lambda: expiry, lambda: {"failed": 1}
        ),
    )
    register_refusals(registry, view, TOPOLOGY)
    register_waits(registry, view, TOPOLOGY)
    register_outcomes(registry, FigureKeeper(view, TOPOLOGY, Prices()), TOPOLOGY)
    calls = Calls()
    calls.method("/placement.v1.PlacementService/RankSources").ended(0, 1_000)
    calls.method("/placement.v1.PlacementService/WatchPlacements", streams=True)
    register_calls(registry, calls)
    register_past(registry, no_past(view, log))
    pressure = Pressure(clock_ns=lambda: 0, chance=lambda: 0.5)
    register_admission(registry, pressure, WatchHubFigures())
    return registry, MeasuredCheckpointStore(MemoryCheckpointStore(), registry)


def no_past(view: View, log: MemoryEventLog) -> Past:
    """Return the past of a service about which nobody asks."""
    older = OlderCheckpointFiles(Path("never-written") / "checkpoint.sqlite", 2, 1, 0)
    return Past(log, view, older, lambda: START_NS, PastSettings())


def nobody() -> Exchange:
    """Return an exchange of checkpoints with nobody, in which nothing is stored."""
    path = Path("never-written") / "checkpoint.sqlite"
    log = MemoryEventLog(lambda: START_NS)
    staging = CheckpointStaging(path, CheckpointGenerations(path))

    async def make(copies: SharedCopies) -> Offer:
        raise CheckpointUnsharedError(str(copies))

    sharing = Sharing(make, CheckpointCopies(path), SharingSettings())
    return Exchange(sharing, Bootstrap([], staging, log, BootstrapSettings()))


def test_bootstrap_is_told_by_bytes_and_outcome(view: View) -> None:
    """How far it is, what came of each peer, and what was given to others."""
    exchange = nobody()
    assert exchange.bootstrap is not None
    assert exchange.sharing is not None
    exchange.bootstrap.received = Received("peer:1", 43, 100)
    exchange.bootstrap.received_bytes = 43
    exchange.bootstrap.counts["refused"] += 1
    exchange.sharing.counts["whole"] += 2
    registry = build_registry(view)

    register_bootstrapping(registry, exchange)

    told = generate_latest(registry).decode()
    assert "placement_bootstrap_running 1.0" in told
    assert "placement_bootstrap_expected_bytes 100.0" in told
    assert "placement_bootstrap_received_bytes_total 43.0" in told
    assert 'placement_bootstraps_total{outcome="refused"} 1.0' in told
    assert 'placement_checkpoint_streams_total{outcome="whole"} 2.0' in told
    assert "peer:1" not in told, "no label takes a value from elsewhere"


def test_past_is_told_by_what_it_cost(view: View) -> None:
    """Folds, messages, seconds; and how many were there already."""
    past = no_past(view, MemoryEventLog(lambda: START_NS))
    past.counts.update(whole=2, failed=1, messages=70, found=3, loaded=1)
    past.seconds = 2.5
    registry = build_registry(view)

    register_past(registry, past)

    assert value(registry, "placement_past_folds_total", outcome="whole") == 2
    assert value(registry, "placement_past_folds_total", outcome="failed") == 1
    assert value(registry, "placement_past_messages_total") == 70
    assert value(registry, "placement_past_found_total") == 3
    assert value(registry, "placement_past_fold_seconds_total") == 2.5
    assert value(registry, "placement_past_checkpoints_total", outcome="loaded") == 1
    assert value(registry, "placement_past_states") == 0


class WatchHubFigures:
    """What a server says of its watches."""

    watch_count = 3
    snapshot_count = 1


def scraped(registry: CollectorRegistry) -> list[Metric]:
    """Return what a Prometheus server would understand."""
    return list(text_string_to_metric_families(generate_latest(registry).decode()))


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """Return the one sample of that name and labels."""
    found = registry.get_sample_value(name, labels)
    assert found is not None, f"{name} {labels}"
    return found


@pytest.fixture
def view() -> View:
    """Return a view of an empty state, whose clock stands still."""
    return View(lambda: START_NS)


def exposed_name(family: Metric) -> str:
    """Return a family's name as its samples carry it."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def own(families: Iterable[Metric]) -> dict[str, str]:
    """Return the types of our own metrics, by the names that are documented."""
    return {
        exposed_name(family): family.type
        for family in families
        if family.name.startswith("placement_")
    }


def test_every_metric_is_documented_and_back(view: View) -> None:
    """The table of docs/metrics.md and the endpoint name the same metrics and types."""
    registry, _ = measured(view)

    exposed = own(scraped(registry))

    assert exposed == documented(AGENTS, before=True)


def test_every_metric_of_an_agent_is_documented_and_back() -> None:
    """Its table is one of its own; each figure is the spool's."""
    figures = SpoolFigures(
        waiting_count=3,
        waiting_bytes=70,
        oldest_waiting_ns=START_NS - 2_500_000_000,
        sent_count=9,
        set_aside_count=1,
    )
    sent = {"events_published": 5, "entries_resent": 6}
    registry = whole_agent(figures, {"received": 4}, sent)

    exposed = own(scraped(registry))

    assert exposed == documented(AGENTS, before=False)
    assert value(registry, "placement_spool_waiting") == 3
    assert value(registry, "placement_spool_oldest_waiting_seconds") == 2.5
    assert value(registry, "placement_spool_set_aside_total") == 1
    assert value(registry, "placement_agent_requests_total", outcome="received") == 4
    assert value(registry, "placement_agent_events_total", outcome="published") == 5
    assert value(registry, "placement_spool_resent_total") == 6
    feed = {"feed": "harbor", "outcome": "spooled"}
    assert value(registry, "placement_agent_feed_requests_total", **feed) == 3
    assert value(registry, "placement_scans_total", outcome="complete") == 2
    assert value(registry, "placement_replicator_waiting") == 4
    assert value(registry, "placement_router_contents_total", source="far") == 2
    assert value(registry, "placement_router_sent_bytes_total", source="here") == 30
    assert value(registry, "placement_replica_staleness_seconds") == 2


def documented(heading: str, *, before: bool) -> dict[str, str]:
    """Return the types of the metrics that are documented before or after *heading*."""
    first, _, second = DOCUMENT.read_text().partition(heading)
    rows = ROW.findall(first if before else second)
    return {name: kind for name, kind, _ in rows}


def test_labels_are_as_documented(view: View) -> None:
    """Each label, and each of its values where the table lists them."""
    registry, _ = measured(view)
    listed = {name: text for name, _, text in ROW.findall(DOCUMENT.read_text())}

    for family in [*scraped(registry), *scraped(whole_agent(SpoolFigures()))]:
        if exposed_name(family) not in listed:
            continue
        text = listed[exposed_name(family)]
        names = {name for each in family.samples for name in each.labels} - {"le"}
        assert names == set(re.findall(r"`(\w+)`", text)), family.name
        values = re.findall(r"\w+", text.partition(":")[2])
        # The state's tables, the catalogue's regions and the roles stand elsewhere.
        if values and not re.search(" of the |one of|those of", text):
            found = {v for each in family.samples for v in each.labels.values()}
            assert found == set(values), family.name


def test_events_add_no_series(view: View) -> None:
    """However many names the events bring, the series stay the same."""
    registry, _ = measured(view)
    before = {(s.name, *s.labels.items()) for f in scraped(registry) for s in f.samples}

    many = [
        replace(pushed(f"layer-{n}", IAD), event_id=Identifier(f"e{n}"))
        for n in range(500)
    ]
    view.replace(folded(*many), "epoch", restored=False)

    after = {(s.name, *s.labels.items()) for f in scraped(registry) for s in f.samples}
    assert after == before


@pytest.mark.parametrize("state", SERVED)
def test_one_serving_state_is_one(view: View, state: ServingState) -> None:
    """Exactly the state that answers carry is 1."""
    registry, _ = measured(view)
    if state is not ServingState.REBUILDING:
        restored = state is ServingState.STALE
        view.replace(State(), "epoch", restored=restored)
        if not restored:
            view.caught_up()
    if state is ServingState.EPOCH_BROKEN:
        view.broken("rewound")
    if state is ServingState.DEGRADED:
        view.degraded("disk full")

    found = {
        each: value(registry, "placement_serving_state", state=each.name.lower())
        for each in SERVED
    }

    assert found == {each: float(each is state) for each in SERVED}


def test_positions_follow_the_view(view: View) -> None:
    """What was folded, of how much, and since when nothing newer is known."""
    registry, _ = measured(view)
    state = folded(pushed("a", IAD), pushed("b", IAD))
    view.replace(state, "epoch", restored=False)

    view.reached(START_NS - 3_000_000_000, state.sequence + 5)

    assert value(registry, "placement_fold_sequence") == state.sequence
    assert value(registry, "placement_log_end_sequence") == state.sequence + 5
    assert value(registry, "placement_events_total", outcome="folded") == state.count(
        "folded"
    )
    assert value(registry, "placement_state_rows", table="digests") == len(
        state.digests
    )
    assert value(registry, "placement_checkpoint_copies_total", outcome="made") == 2


def test_decisions_are_told_by_status_and_region(view: View) -> None:
    """Two are open, one failed; regions outside of the catalogue have no series."""
    registry, _ = measured(view)
    office = Office().tell(ruled(NO_CONTROL_GROUP), *release("v1")).forget()
    office.tell(requested("v1", LHR), requested("v1", SYD, "r2")).act()
    office.tell(requested("v1", NOWHERE, "r3"), *release("v2"))
    office.tell(requested("v2", LHR, "r4")).act()
    office.fail(office.decisions()[-1])

    view.replace(office.state, "epoch", restored=False)

    statuses = {
        status: value(registry, "placement_decisions", status=status)
        for status in ("planned", "failed", "deferred")
    }
    assert statuses == {"planned": 2, "failed": 1, "deferred": 0}
    assert value(registry, "placement_decisions_open", region=LHR) == 1
    assert value(registry, "placement_decisions_open", region=IAD) == 0
    nowhere = {"region": str(NOWHERE)}
    assert registry.get_sample_value("placement_decisions_open", nowhere) is None


def test_service_without_a_planner_tells_zero(view: View) -> None:
    """Its figures are there all the same, so that no alert goes silent."""
    registry = CollectorRegistry()
    register_planning(registry, view, TOPOLOGY, None)

    assert value(registry, "placement_planner_decided_total") == 0
    assert value(registry, "placement_planner_put_off") == 0


def test_inventories_are_dated_by_region(view: View) -> None:
    """When the last complete one began; 0 where there was none, or half of one."""
    registry, _ = measured(view)
    half = InventoryTaken(TimeNs(START_NS), complete=False, contents=(), absences=())
    whole = replace(half, complete=True)
    events = [Event(Identifier("h"), SYD, half), Event(Identifier("w"), IAD, whole)]

    view.replace(folded(*events), "epoch", restored=False)

    name = "placement_inventory_timestamp_seconds"
    assert value(registry, name, region=IAD) == START_NS / 1_000_000_000
    assert value(registry, name, region=SYD) == 0
    assert value(registry, name, region=LHR) == 0


def test_rebuild_tells_how_far_it_is(view: View) -> None:
    """While one runs, its position; else 0, whatever the last one came to."""
    registry, _ = measured(view)
    view.rebuilding, view.rebuilt_sequence = "of another fold version", 70
    running = value(registry, "placement_rebuild_sequence")

    view.rebuilding = ""

    assert running == 70
    assert value(registry, "placement_rebuild_sequence") == 0
    assert value(registry, "placement_rebuild_running") == 0


async def test_saves_are_counted_by_outcome(view: View) -> None:
    """A save that was written, and each way in which it may not be."""
    registry, store = measured(view)
    await store.save(HEADER, [Chunk("digest", 0, b"a")])
    for error in (
        CheckpointUnwritableError("full"),
        CheckpointFsyncError("EIO"),
        CheckpointDamagedError("flipped"),
        KeyError("a bug"),
    ):
        failing = MeasuredFailing(error)
        store._store = failing  # noqa: SLF001 - the store fails from now on
        with pytest.raises(type(error)):
            await store.save(HEADER, [])

    for outcome in ("written", "unwritable", "flush_failed", "damaged", "cut_short"):
        name = "placement_checkpoint_saves_total"
        assert value(registry, name, outcome=outcome) == 1, outcome
    assert value(registry, "placement_checkpoint_sequence") == HEADER.sequence
    assert value(registry, "placement_checkpoint_timestamp_seconds") > 0
    assert value(registry, "placement_checkpoint_save_seconds_count") == 1


class MeasuredFailing(MemoryCheckpointStore):
    """A store that fails to save and to load."""

    def __init__(self, error: Exception) -> None:
        """Raise *error* each time."""
        super().__init__()
        self._error = error

    async def save(self, header: CheckpointHeader, chunks: Iterable[Chunk]) -> None:
        """Fail."""
        del header, chunks
        raise self._error

    async def load(self, begin: Begin) -> CheckpointHeader | None:
        """Fail."""
        del begin
        raise self._error


async def test_loads_and_discards_are_counted(view: View) -> None:
    """None, whole, damaged and unreadable loads; a discard begins at 0 again."""
    registry, store = measured(view)
    await loaded(store)
    await store.save(HEADER, [Chunk("digest", 0, b"a")])
    await loaded(store)
    await store.discard("of another version")
    await store.close()
    for error in (CheckpointDamagedError("flipped"), CheckpointUnwritableError("EIO")):
        store._store = MeasuredFailing(error)  # noqa: SLF001 - fails from now on
        with pytest.raises(type(error)):
            await loaded(store)

    for outcome in ("none", "whole", "damaged", "unreadable"):
        name = "placement_checkpoint_loads_total"
        assert value(registry, name, outcome=outcome) == 1, outcome
    assert value(registry, "placement_checkpoint_discards_total") == 1
    assert value(registry, "placement_checkpoint_sequence") == 0


def test_health_says_state_and_trouble(view: View) -> None:
    """People read what is wrong in words, not numbers."""
    view.replace(State(), "epoch", restored=False)
    view.caught_up()
    sound = health_text(view)

    view.degraded("checkpoint could not be written: disk full")

    assert sound.splitlines()[0] == "LIVE"
    assert "trouble" not in sound
    assert health_text(view).splitlines()[0] == "DEGRADED"
    assert "trouble: checkpoint could not be written: disk full" in health_text(view)
