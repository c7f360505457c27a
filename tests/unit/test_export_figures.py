"""An export's figures are the service's own: over made logs, and golden ones."""

from pathlib import Path

import pytest

from placement.core.counts import DAY_NS
from placement.core.deciding.ruling import ruling_in_force
from placement.core.event import (
    CacheKind,
    ClientKind,
    ContentPulled,
    DurationNs,
    Identifier,
    MachineStarted,
    WithholdReason,
)
from placement.core.payoff import outcome_of
from placement.core.decisions import decision_at
from placement.core.reporting.figures import Group, GroupBy, Report
from placement.core.reporting.periods import Period
from placement.core.reporting.prices import Prices
from placement.core.reporting.report import Question, app_key, report
from placement.core.state import State
from placement.core.tables.cells import StartOutcome
from placement.core.tables.table import Row
from placement.ports import EventLog
from placement.core.tables.keys import PAIR
from tests.builders import API, FRA, IAD, LHR, SECOND_NS, SYD, TOPOLOGY, WEB, digest
from tests.decided import Decided
from tests.exporting import (
    TimedLog,
    asked,
    exported,
    log_of_messages,
    rows_of,
    state_of,
)
from tests.golden_logs import FOLDER, read_log

DECISIONS_LOG = FOLDER / "2-every-decision.jsonl"
GOLDEN_MESSAGES = 420
"""Of some days; the rest of the log leaps from one day to the next."""


def reported(state: State, by: GroupBy) -> Report:
    """Return the service's own report over all of a log, at the log's time."""
    now_ns = state.store_time_ns
    question = Question(Period(0, now_ns // DAY_NS + 1), by, now_ns)
    policy = ruling_in_force(state, now_ns).policy
    return report(state, TOPOLOGY, Prices(), policy, question)


def groups(state: State, by: GroupBy) -> dict[str, Group]:
    """Return the report's groups by their keys."""
    return {group.key: group for group in reported(state, by).groups}


async def made_log() -> TimedLog:
    """Return a log in which copies come to every end, and starts miss in every way."""
    log = Decided()
    for number in range(30):
        log.release(f"w{number}").release(f"a{number}", API)
        if number % 3:
            log.complete(log.plan(f"w{number}"))
        else:
            log.withhold(f"w{number}")
        wait_s = 0.33 if number % 3 else 20.0 + number
        log.start(f"w{number}", wait_s=None if number == 7 else wait_s)
        if number % 4 == 0:
            log.start(f"w{number}", FRA, wait_s=3.0)
        copy = log.plan(f"a{number}", LHR, API)
        match number % 5:
            case 0:
                log.fail(copy)
            case 1:
                log.expire(copy)
            case 2:
                log.cancel(copy)
            case 3:
                log.start(f"a{number}", LHR, API, wait_s=9.0)
                log.complete(copy)
        if number % 5 != 3:
            log.start(f"a{number}", LHR, API, wait_s=5.0)
    log.withhold("w1", FRA, cause=WithholdReason.OBSERVE_ONLY)
    log.withhold("w2", FRA, cause=WithholdReason.OVER_BUDGET)
    for number in range(40):
        _promise(log, number)
        _pull(log, number)
    log.release("unused").complete(log.plan("unused", FRA))
    log.release("newer")
    return await TimedLog().tell(log.told)


def _promise(log: Decided, number: int) -> None:
    """Let a machine start that had been promised a wait."""
    fact = MachineStarted(
        digest("w1"),
        WEB,
        Identifier(f"promised-{number}"),
        image_wait_ns=DurationNs((number % 7 + 1) * SECOND_NS),
        source_region=IAD if number % 2 else None,
        transferred_bytes=1_000 + number,
        cache=list(CacheKind)[number % 4],
        expected_wait_p50_ns=DurationNs(3 * SECOND_NS),
        expected_wait_p90_ns=DurationNs(6 * SECOND_NS),
    )
    log.tell(SYD, fact)


def _pull(log: Decided, number: int) -> None:
    """Let somebody pull, now and then from afar, now and then without demand."""
    fact = ContentPulled(
        digest(f"w{number % 5}"),
        WEB,
        client_region=LHR if number % 2 else None,
        source_region=IAD if number % 3 else None,
        transferred_bytes=10_000 + number,
        client_kind=list(ClientKind)[number % 5],
    )
    log.tell(FRA, fact)


async def golden_log() -> TimedLog:
    """Return a log that holds every decision, as it was captured once."""
    _, messages = read_log(DECISIONS_LOG)
    return await log_of_messages(messages[:GOLDEN_MESSAGES])


@pytest.fixture(params=["made", "golden"])
async def log(request: pytest.FixtureRequest) -> TimedLog:
    """Give a log to be exported."""
    return await (made_log() if request.param == "made" else golden_log())


async def test_figures_are_those_of_the_report(log: EventLog, tmp_path: Path) -> None:
    """Starts, regret, copies, savings, calibration: whole and by every grouping."""
    await exported(log, tmp_path)
    state = await state_of(log)

    whole = reported(state, GroupBy.WHOLE).total
    _check_starts(tmp_path, state)
    _check_regret(tmp_path, whole)
    _check_reasons(tmp_path, whole)
    _check_savings(tmp_path, state, whole)
    _check_calibration(tmp_path, state)
    _check_outcomes(tmp_path, state)


def _check_starts(directory: Path, state: State) -> None:
    found = asked(directory, "starts_local", with_known_bad=True)
    for by, key in (
        (GroupBy.APP, lambda row: app_key(row["organization"] or "", row["app"])),
        (GroupBy.ORGANIZATION, lambda row: row["organization"] or ""),
        (GroupBy.WEEK, lambda row: row["week"]),
    ):
        told: dict[str, tuple[int, int]] = {}
        for row in found:
            starts, local = told.get(key(row), (0, 0))
            told[key(row)] = starts + row["starts"], local + row["local"]
        expected = {
            name: (
                sum(each.start_count for each in group.outcomes),
                sum(
                    each.start_count
                    for each in group.outcomes
                    if each.outcome is StartOutcome.LOCAL
                ),
            )
            for name, group in groups(state, by).items()
            if group.outcomes
        }
        assert told == expected


def _check_regret(directory: Path, whole: Group) -> None:
    found = asked(directory, "regret_by_miss_class", with_known_bad=True)
    classes = {row["miss"]: row for row in found}
    for each in whole.outcomes:
        row = classes.pop(each.outcome.name.lower())
        assert (row["starts"], row["waited"]) == (each.start_count, each.waited_count)
        assert row["waited_seconds"] == pytest.approx(each.wait_ns / 1e9)
        assert row["beyond_local_seconds"] == pytest.approx(each.beyond_local_ns / 1e9)
    assert set(classes) <= {"copies nobody used"}
    regret = sum(row["regret_bytes"] for row in found)
    assert regret == pytest.approx(whole.regret_bytes)


def _check_reasons(directory: Path, whole: Group) -> None:
    found = asked(directory, "decisions_by_reason", with_known_bad=True)
    copies = whole.copies
    for column, expected in (
        ("decided", copies.decided_count),
        ("completed", copies.completed_count),
        ("used", copies.used_count),
        ("late", copies.late_count),
        ("unused", copies.unused_count),
        ("undecided", copies.undecided_count),
        ("unjudged", copies.unjudged_count),
        ("moved_bytes", copies.moved_bytes),
        ("wasted_bytes", copies.wasted_bytes),
    ):
        assert sum(row[column] for row in found) == expected, column
    links = asked(directory, "bytes_per_link", with_known_bad=True)
    assert sum(row["copied_bytes"] for row in links) == copies.moved_bytes


def _check_savings(directory: Path, state: State, whole: Group) -> None:
    found = asked(directory, "saved_by_organization", with_known_bad=True)
    rows = {row["organization"] or "": row for row in found}
    modelled = sum(row["modelled_seconds"] or 0 for row in found)
    assert modelled == pytest.approx(whole.copies.saved_ns / 1e9)
    for name, group in groups(state, GroupBy.ORGANIZATION).items():
        lift = group.measured.lift
        if not lift.treated_count and name not in rows:
            continue
        row = rows[name]
        assert (row["treated"], row["withheld"], row["open"]) == (
            lift.treated_count,
            lift.withheld_count,
            group.measured.open_count,
        )
        assert row["measured_seconds"] == pytest.approx(group.measured.saved_seconds)


def _check_calibration(directory: Path, state: State) -> None:
    """Samples and what was kept to are those that `placement routes` tells."""
    found = {
        (row["source"], row["target"]): (
            row["samples"],
            row["below_p50"],
            row["below_p90"],
        )
        for row in asked(directory, "estimate_calibration", with_known_bad=True)
    }

    expected = {}
    for key, row in state.calibration.rows():
        source, target = (state.region_at(Row(part)) for part in PAIR.unpack(key))
        expected[source, target] = state.calibration.values(Row(row))
    assert found == expected


def _check_outcomes(directory: Path, state: State) -> None:
    """Payoff, starts and waits of each are those of GetReplication at that moment."""
    rows = {row["replication_id"]: row for row in rows_of(directory, "outcomes")}
    assert len(rows) == len(state.decisions)
    for number in range(len(state.decisions)):
        record = decision_at(state, Row(number))
        outcome = outcome_of(state, record, state.store_time_ns)
        row = rows[record.replication_id]
        assert row["payoff"] == outcome.payoff.name.lower()
        assert row["status"] == record.status.name.lower()
        assert (row["start_count"], row["wait_ns"]) == (
            outcome.start_count,
            outcome.wait_ns,
        )


async def test_bytes_per_link_are_those_of_the_facts(tmp_path: Path) -> None:
    """What pulls and starts say that moved between regions, and nothing else."""
    await exported(await made_log(), tmp_path)

    links = {
        (row["source"], row["target"]): row
        for row in asked(tmp_path, "bytes_per_link", with_known_bad=True)
    }

    pulls = [n for n in range(40) if n % 3 and n % 2]
    assert links[IAD, LHR]["pulled_bytes"] == sum(10_000 + n for n in pulls)
    starts = [n for n in range(40) if n % 2]
    assert links[IAD, SYD]["started_bytes"] == sum(1_000 + n for n in starts)
    assert (FRA, FRA) not in links
