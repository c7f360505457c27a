"""What decisions came to, as Prometheus is told it: true to the state, counted once."""

import math

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from placement.core.deciding.spending import BudgetUse, budget_use
from placement.core.event import CacheKind, Identifier, MachineStarted
from placement.core.fold import fold
from placement.core.reporting.prices import Prices
from placement.core.state import State
from placement.core.tables.waits import CameFrom
from placement.core.topology import Region
from placement.runtime import figures
from placement.runtime.calls import Calls
from placement.runtime.figures import FigureKeeper
from placement.runtime.view import View
from placement.telemetry.calls import register_calls
from placement.telemetry.exposition import SAMPLES_MAX, metrics_page
from placement.telemetry.outcomes import register_outcomes
from placement.telemetry.waits import register_waits
from tests.builders import IAD, SYD, TOPOLOGY, WEB, A, event, message, seconds
from tests.decided import GIGABYTE, SAVED_S, Decided
from tests.unit.test_budgets import GB, office_of, plan

PRICES = Prices("EUR", 0.02, 0.03)


async def told(log: Decided) -> CollectorRegistry:
    """Return a registry that tells what a look at *log* found."""
    view = View(lambda: log.now_ns)
    view.replace(log.state, "epoch", restored=False)
    keeper = FigureKeeper(view, TOPOLOGY, PRICES)
    keeper.newest = await keeper.look()
    registry = CollectorRegistry()
    register_outcomes(registry, keeper, TOPOLOGY)
    return registry


def week_of_copies() -> Decided:
    """Return a log in which one copy paid off, one is open, and one start regrets."""
    log = Decided()
    for name in ("a", "b", "c"):
        log.release(name)
    log.complete(log.plan("a"))
    log.start("a", wait_s=0.25)
    log.plan("b")
    return log.start("c", wait_s=5.5)


async def test_outcomes_are_told_in_the_words_of_people() -> None:
    """Paid off and open; what the one start waited beyond a local one is regret."""
    registry = await told(week_of_copies())

    def value(name: str, **labels: str) -> float:
        found = registry.get_sample_value(name, labels)
        assert found is not None, name
        return found

    assert value("placement_copies", outcome="paid_off") == 1
    assert value("placement_copies", outcome="open") == 1
    assert value("placement_copies", outcome="wasted") == 0
    assert value("placement_starts", outcome="local") == 1
    assert value("placement_starts", outcome="never_predicted") == 1
    regret = value("placement_regret_seconds", outcome="never_predicted")
    assert 4 < regret <= 5.5
    assert value("placement_saved_seconds", figure="modelled") == SAVED_S
    assert math.isnan(value("placement_saved_seconds", figure="measured"))
    assert value("placement_copies_bytes", part="moved") == GIGABYTE
    assert value("placement_copies_cost", part="transfer") == pytest.approx(0.02)
    used = {"budget": "region_copies_in_flight", "region": str(SYD)}
    assert value("placement_budget_used", **used) == 1
    assert value("placement_budget_limit", **used) == 16
    assert value("placement_figures_timestamp_seconds") > 0


async def test_look_lets_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much there is to look at, no slice is longer than it may be."""
    rests = []

    async def rest(pause_s: float) -> None:
        rests.append(pause_s)

    monkeypatch.setattr("placement.runtime.figures.asyncio.sleep", rest)
    log = week_of_copies()
    view = View(lambda: log.now_ns)
    view.replace(log.state, "epoch", restored=False)
    monkeypatch.setattr(figures, "SLICE_SECONDS", 1e-9)

    found = await FigureKeeper(view, TOPOLOGY, PRICES).look()

    assert found.week.copies.used_count == 1
    assert len(rests) > 5


def started(number: int, wait_s: float, cache: CacheKind) -> MachineStarted:
    """Return a start that says what it waited, and for what."""
    machine = Identifier(f"m{number}")
    return MachineStarted(A, WEB, machine, image_wait_ns=seconds(wait_s), cache=cache)


def test_wait_is_counted_once_however_often_it_is_folded() -> None:
    """What was stored before the process began is not; a rebuild counts the same."""
    facts = [
        started(number, wait_s, cache)
        for number, (wait_s, cache) in enumerate(
            [
                (50.0, CacheKind.REMOTE),
                (0.2, CacheKind.HOST),
                (2.0, CacheKind.REMOTE),
                (200.0, CacheKind.REMOTE),
            ]
        )
    ]
    log = [message(n, event(SYD, fact)) for n, fact in enumerate(facts, 1)]
    since_ns = log[1].store_time_ns
    counted = []
    for again in (log, log):  # the line that is shown, and one beside it
        state = State()
        state.indexes.waits.since_ns = since_ns
        for one in (*again, *again[-1:]):
            if one.sequence > state.sequence:
                fold(state, one)
        view = View(lambda: since_ns)
        view.replace(state, "epoch", restored=False)
        registry = CollectorRegistry()
        register_waits(registry, view, TOPOLOGY)
        name = "placement_start_wait_seconds"
        labels = {"region": str(SYD), "came_from": "remote"}
        counted.append(
            [
                registry.get_sample_value(f"{name}_bucket", {**labels, "le": le})
                for le in ("1.0", "3.0", "100.0", "+Inf")
            ]
        )
        assert registry.get_sample_value(f"{name}_sum", labels) == 202.0

    assert counted == [[0, 1, 1, 2]] * 2


def test_state_that_nobody_watches_counts_no_waits() -> None:
    """A replay, a simulation or a look at the past has no counts to keep."""
    state = State()

    fold(state, message(1, event(SYD, started(1, 3.0, CacheKind.REMOTE))))

    row = state.regions.find(SYD.encode())
    assert state.indexes.waits.of(row, CameFrom.REMOTE)[0][-1] == 0


def test_fullest_budget_is_told() -> None:
    """Of links into a region the one of which most is used; of none, zero."""
    office = office_of("link_bytes_per_hour = 4000000000")
    plan(office, "a", GB)
    plan(office, "b", 2 * GB, source=Region("ams"))

    uses = {
        (use.budget, use.region): use for use in budget_use(office.desk, [IAD, SYD])
    }

    key = ("link_bytes_per_hour", SYD)
    assert uses[key] == BudgetUse(*key, 2 * GB, 4 * GB)
    idle = ("link_bytes_per_hour", IAD)
    assert uses[idle] == BudgetUse(*idle, 0, 4 * GB)
    everybody = ("organization_bytes_per_day", None)
    assert uses[everybody].used == 3 * GB


@pytest.mark.parametrize(
    "accept", ["text/plain", "application/openmetrics-text; version=1.0.0"]
)
async def test_large_families_are_written_in_parts_and_read_as_one(accept: str) -> None:
    """Help and type come once, OpenMetrics ends once, and no sample is missing."""
    registry = CollectorRegistry()
    calls = figures_of_many()
    register_calls(registry, calls)
    app = Starlette(routes=[metrics_page(registry)])

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        text = (await client.get("/metrics", headers={"accept": accept})).text

    assert text.count("# TYPE placement_rpc_seconds histogram") == 1
    assert text.count("# EOF") == accept.count("openmetrics")
    families = {
        family.name: family
        for family in text_string_to_metric_families(text.replace("# EOF\n", ""))
    }
    samples = families["placement_rpc_seconds"].samples
    assert len(samples) > 2 * SAMPLES_MAX
    counts = [one for one in samples if one.name == "placement_rpc_seconds_count"]
    assert len(counts) == 100


def figures_of_many() -> Calls:
    """Return calls of a hundred methods."""
    calls = Calls()
    for number in range(100):
        calls.method(f"Service/Method{number:03}").ended(0, 10**6)
    return calls
