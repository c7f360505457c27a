"""Reports on the wire: what is asked, what is refused, and what is left out."""

import math
from dataclasses import replace

import pytest

from placement.core.errors import InputError, NumberInvalidError, TimeInvalidError
from placement.core.policy import DEFAULT
from placement.core.reporting.figures import (
    Copies,
    Costs,
    Group,
    GroupBy,
    Measured,
    Observed,
    Outcome,
    Report,
)
from placement.core.reporting.lift import Lift
from placement.core.reporting.periods import Period
from placement.core.tables.cells import StartOutcome
from placement.runtime.view import Basis, ServingState
from placement.v1 import replication_service_pb2 as replication_pb
from placement.v1 import report_service_pb2 as pb
from placement.wire.fields import nanoseconds
from placement.wire.reports import check_span, decode_report, encode_report
from placement.wire.requests import REPORT_GROUPS_MAX
from tests.builders import DAY_NS, SECOND_NS, START_NS

BASIS = Basis("e", 7, START_NS, ServingState.LIVE, 0, START_NS)
KNOWN = Measured(Lift(2.0, 1.0, 4.0, 50, 25), 3, 1)
UNKNOWN = Measured(Lift(2.0, -math.inf, math.inf, 50, 5))


def group(key: str = "", measured: Measured = KNOWN, moved_bytes: int = 0) -> Group:
    """Return a group with a few figures."""
    copies = Copies(decided_count=4, used_count=3, unused_count=1, saved_ns=SECOND_NS)
    return Group(
        key,
        replace(copies, moved_bytes=moved_bytes, wasted_bytes=500_000_000),
        Costs(1.5, 0.5, 0.5),
        measured,
        Observed(waited_ns=2 * SECOND_NS),
        (Outcome(StartOutcome.EVICTED, 3, 2, 5 * SECOND_NS, 4 * SECOND_NS),),
        100e6,
    )


def encoded(*groups: Group, total: Group | None = None) -> pb.GetReportResponse:
    """Return a report of *groups* as it is answered."""
    found = Report(Period(10, 17), "EUR", total or group(), groups)
    return encode_report(found, DEFAULT, BASIS)


def test_question_is_decoded() -> None:
    """Every field; without times, the service says what the period is."""
    request = pb.GetReportRequest(grouping=pb.REPORT_GROUPING_WEEK)
    open_ended = decode_report(request)
    request.start_time.FromNanoseconds(START_NS)
    request.end_time.FromNanoseconds(START_NS + 1)
    closed = decode_report(request)

    assert (open_ended.start_ns, open_ended.end_ns) == (None, None)
    assert (closed.start_ns, closed.end_ns) == (START_NS, START_NS + 1)
    assert closed.group_by is GroupBy.WEEK


def test_groupings_are_those_of_the_core() -> None:
    """By number and by name."""
    names = {
        value.name.removeprefix("REPORT_GROUPING_"): value.number
        for value in pb.ReportGrouping.DESCRIPTOR.values
    }

    assert names == {
        "UNSPECIFIED" if by is GroupBy.WHOLE else by.name: by.value for by in GroupBy
    }


def test_what_cannot_be_asked_is_refused() -> None:
    """Another grouping, a time before 1970, a point before the log."""
    request = pb.GetReportRequest()
    request.as_of.sequence = 0
    with pytest.raises(NumberInvalidError, match="give the sequence of a message"):
        decode_report(request)
    with pytest.raises(InputError, match="grouping: '9' is not valid"):
        decode_report(pb.GetReportRequest(grouping=9))  # type: ignore[arg-type]  # on purpose
    early = pb.GetReportRequest()
    early.start_time.FromNanoseconds(-1)
    with pytest.raises(TimeInvalidError):
        decode_report(early)


@pytest.mark.parametrize(
    ("start_ns", "valid"),
    [
        (None, True),
        (START_NS - 1, True),
        (START_NS, False),
        (START_NS - 366 * DAY_NS, True),
        (START_NS - 366 * DAY_NS - 1, False),
    ],
    ids=str,
)
def test_period_is_neither_empty_nor_endless(
    start_ns: int | None, *, valid: bool
) -> None:
    """It begins before it ends, and is at most 366 days."""
    if valid:
        check_span(start_ns, START_NS)
        return
    with pytest.raises(TimeInvalidError, match="start_time"):
        check_span(start_ns, START_NS)


def test_figures_arrive() -> None:
    """Sums, rates and the interval, of the whole and of a group."""
    answer = encoded(group("acme", moved_bytes=7))

    assert nanoseconds(answer.end_time) - nanoseconds(answer.start_time) == 7 * DAY_NS
    assert (answer.currency, answer.policy) == ("EUR", "default")
    (found,) = answer.groups
    assert (found.key, found.copies.moved_bytes) == ("acme", 7)
    assert found.copies.hit_rate == 0.75
    assert found.copies.saved_seconds_per_cost == 100 / 2
    assert found.copies.saved_seconds_per_wasted_gb == 100 / 0.5
    assert nanoseconds(found.copies.modelled_saving) == SECOND_NS
    measured = found.measured
    assert (measured.lift_low_seconds, measured.lift_high_seconds) == (1, 4)
    assert (measured.saved_low_seconds, measured.saved_high_seconds) == (50, 200)
    assert (measured.open_count, measured.unreported_count) == (3, 1)
    (outcome,) = found.starts.outcomes
    assert outcome.outcome == replication_pb.START_OUTCOME_EVICTED
    assert nanoseconds(outcome.beyond_local_duration) == 4 * SECOND_NS
    assert found.starts.local_share == 0
    assert found.starts.regret_bytes == 4 * 100e6 + 500_000_000


def test_what_is_not_known_is_absent() -> None:
    """An interval without an end, a rate of nothing: no number stands for them."""
    nothing = replace(
        group(measured=UNKNOWN), copies=Copies(), costs=Costs(), outcomes=()
    )

    found = encoded(total=nothing).total

    for name in ("lift_low_seconds", "lift_high_seconds"):
        assert not found.measured.HasField(name)
    assert not found.measured.HasField("saved_low_seconds")
    assert not found.measured.HasField("saved_high_seconds")
    assert found.measured.saved_seconds == 100
    assert not found.copies.HasField("hit_rate")
    assert not found.copies.HasField("saved_seconds_per_cost")
    assert not found.copies.HasField("saved_seconds_per_wasted_gb")
    assert not found.observed.HasField("hit_rate")
    assert not found.starts.HasField("local_share")


def test_largest_groups_are_told_and_the_others_counted() -> None:
    """By key all the same, so that weeks stay in order."""
    small = [group(f"b{number:04d}") for number in range(REPORT_GROUPS_MAX)]
    answer = encoded(*small, group("c", moved_bytes=1))

    keys = [each.key for each in answer.groups]
    assert len(keys) == REPORT_GROUPS_MAX
    assert keys[-1] == "c"
    assert keys == sorted(keys)
    assert answer.omitted_group_count == 1
