"""Reports: the request, parsed once, and the figures as they are answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import cast

from placement.core.errors import InputError, TimeInvalidError
from placement.core.policy import Policy
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
from placement.v1 import replication_service_pb2 as replication_pb
from placement.v1 import report_service_pb2 as pb
from placement.wire.answers import Basis, encode_basis
from placement.wire.fields import DURATION_NS_MAX, decode_time, encode_time
from placement.wire.requests import (
    REPORT_GROUPS_MAX,
    Consistency,
    decode_freshness,
)


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """Which report; no start: as long as a report is by itself, no end: until now."""

    start_ns: int | None
    end_ns: int | None
    group_by: GroupBy
    consistency: Consistency


def decode_report(request: pb.GetReportRequest) -> ReportQuery:
    """Return which report is asked for; raises InputError."""
    start_ns = end_ns = None
    if request.HasField("start_time"):
        start_ns = decode_time(request.start_time, "start_time")
    if request.HasField("end_time"):
        end_ns = decode_time(request.end_time, "end_time")
    try:
        group_by = GroupBy(request.grouping)
    except ValueError:
        remedy = f"give a grouping from 0 to {max(GroupBy):d}"
        raise InputError("grouping", request.grouping, remedy) from None
    freshness = decode_freshness(request)
    return ReportQuery(start_ns, end_ns, group_by, freshness)


def check_span(start_ns: int | None, end_ns: int) -> None:
    """Raise TimeInvalidError unless a period may begin and end like that."""
    if start_ns is not None and start_ns >= end_ns:
        remedy = "let the period begin before it ends"
        raise TimeInvalidError("start_time", start_ns, remedy)
    if start_ns is not None and end_ns - start_ns > DURATION_NS_MAX:
        remedy = "report on at most 366 days"
        raise TimeInvalidError("start_time", start_ns, remedy)


def encode_report(report: Report, policy: Policy, basis: Basis) -> pb.GetReportResponse:
    """Return what the decisions and starts of a period came to."""
    chosen = _largest(report.groups)
    response = pb.GetReportResponse(
        currency=report.currency,
        policy=policy.name,
        kappa_bytes_per_second=policy.kappa_bytes_per_second,
        total=_group(report.total),
        groups=map(_group, chosen),
        omitted_group_count=len(report.groups) - len(chosen),
        basis=encode_basis(basis),
    )
    encode_time(report.period.start_ns, response.start_time)
    encode_time(report.period.end_ns, response.end_time)
    return response


def _largest(groups: Sequence[Group]) -> Sequence[Group]:
    """Return those that most was decided about or started in, still by key."""
    if len(groups) <= REPORT_GROUPS_MAX:
        return groups
    largest = sorted(groups, key=_size)[:REPORT_GROUPS_MAX]
    return sorted(largest, key=lambda group: group.key)


def _size(group: Group) -> tuple[int, int, str]:
    decided_bytes = group.copies.moved_bytes + group.observed.transfer_bytes
    starts = sum(each.start_count for each in group.outcomes)
    return -decided_bytes, -starts, group.key


def _group(group: Group) -> pb.ReportGroup:
    copies = _copies(group.copies, group.costs)
    if group.seconds_per_cost is not None:
        copies.saved_seconds_per_cost = group.seconds_per_cost
    if group.seconds_per_wasted_gb is not None:
        copies.saved_seconds_per_wasted_gb = group.seconds_per_wasted_gb
    return pb.ReportGroup(
        key=group.key,
        copies=copies,
        measured=_measured(group.measured),
        observed=_observed(group.observed),
        starts=pb.StartFigures(
            outcomes=map(_outcome, group.outcomes),
            local_share=group.local_share,
            regret_bytes=group.regret_bytes,
        ),
    )


def _copies(copies: Copies, costs: Costs) -> pb.CopyFigures:
    proto = pb.CopyFigures(
        decided_count=copies.decided_count,
        open_count=copies.open_count,
        completed_count=copies.completed_count,
        failed_count=copies.failed_count,
        expired_count=copies.expired_count,
        cancelled_count=copies.cancelled_count,
        deferred_count=copies.deferred_count,
        withheld_count=copies.withheld_count,
        used_count=copies.used_count,
        late_count=copies.late_count,
        unused_count=copies.unused_count,
        undecided_count=copies.undecided_count,
        unjudged_count=copies.unjudged_count,
        hit_rate=copies.hit_rate,
        moved_bytes=copies.moved_bytes,
        wasted_bytes=copies.wasted_bytes,
        transfer_cost=costs.transfer,
        wasted_cost=costs.wasted,
        storage_cost=costs.storage,
    )
    encode_time(copies.saved_ns, proto.modelled_saving)
    return proto


def _measured(measured: Measured) -> pb.MeasuredSaving:
    lift = measured.lift
    low, high = measured.interval_seconds
    return pb.MeasuredSaving(
        treated_count=lift.treated_count,
        withheld_count=lift.withheld_count,
        open_count=measured.open_count,
        unreported_count=measured.unreported_count,
        lift_seconds=lift.mean,
        lift_low_seconds=_known(lift.low),
        lift_high_seconds=_known(lift.high),
        saved_seconds=measured.saved_seconds,
        saved_low_seconds=_known(low) if lift.measured else None,
        saved_high_seconds=_known(high) if lift.measured else None,
    )


def _known(seconds: float) -> float | None:
    return seconds if isfinite(seconds) else None


def _observed(observed: Observed) -> pb.ObservedFigures:
    proto = pb.ObservedFigures(
        decided_count=observed.decided_count,
        used_count=observed.used_count,
        late_count=observed.late_count,
        unused_count=observed.unused_count,
        undecided_count=observed.undecided_count,
        unjudged_count=observed.unjudged_count,
        hit_rate=observed.hit_rate,
        transfer_bytes=observed.transfer_bytes,
        wasted_bytes=observed.wasted_bytes,
        transfer_cost=observed.transfer_cost,
    )
    encode_time(observed.saved_ns, proto.modelled_saving)
    encode_time(observed.waited_ns, proto.waited_duration)
    return proto


def _outcome(outcome: Outcome) -> pb.OutcomeFigures:
    proto = pb.OutcomeFigures(
        outcome=cast("replication_pb.StartOutcome.ValueType", int(outcome.outcome)),
        start_count=outcome.start_count,
        waited_count=outcome.waited_count,
    )
    encode_time(outcome.wait_ns, proto.wait_duration)
    encode_time(outcome.beyond_local_ns, proto.beyond_local_duration)
    return proto
