"""Answers about decisions, written once: how far they are, and what came of them."""

from collections.abc import Iterable
from typing import Any, Protocol, cast

from placement.core.decisions import DecisionRecord
from placement.core.event import Factor
from placement.core.following import Progress
from placement.core.payoff import Judged, Outcome
from placement.core.start_reasons import StartReason
from placement.core.tables.cells import DecisionStatus
from placement.v1 import replication_service_pb2 as pb
from placement.wire.answers import Basis, encode_basis, encode_factors
from placement.wire.fields import encode_time


class Evidence(Protocol):
    """What a decision rested on, as the runtime read it."""

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The numbers."""

    @property
    def explanation(self) -> str:
        """The same for people."""

    @property
    def request_id(self) -> str:
        """The request that it answers; empty when there is none."""


def encode_request(
    request_id: str,
    progress: Progress,
    judged: Judged | None,
    token: str,
    basis: Basis,
) -> pb.RequestReplicationResponse:
    """Return how far a request has come; *judged* is what carries it out."""
    return pb.RequestReplicationResponse(
        request_id=request_id,
        replication=None if judged is None else encode_decision(judged),
        progress=encode_progress(progress),
        token=token,
        basis=encode_basis(basis),
    )


def encode_cancel(
    event_id: str, token: str, basis: Basis
) -> pb.CancelReplicationResponse:
    """Return that a decision was called off."""
    return pb.CancelReplicationResponse(
        event_id=event_id, token=token, basis=encode_basis(basis)
    )


def encode_followed(progress: Progress, basis: Basis) -> pb.WatchReplicationResponse:
    """Return how far what is followed has come."""
    return pb.WatchReplicationResponse(
        progress=encode_progress(progress), basis=encode_basis(basis)
    )


def encode_decisions(
    found: Iterable[Judged], token: str, basis: Basis
) -> pb.ListReplicationsResponse:
    """Return one page of decisions; *token* is empty on the last one."""
    return pb.ListReplicationsResponse(
        replications=[encode_decision(judged) for judged in found],
        next_page_token=token,
        basis=encode_basis(basis),
    )


def encode_whole(
    judged: Judged,
    progress: Progress,
    evidence: Evidence | str,
    unsafe: str,
    basis: Basis,
) -> pb.GetReplicationResponse:
    """Return one decision, what it rested on or why that is not known, and the rest."""
    proto = pb.GetReplicationResponse(
        replication=encode_decision(judged),
        progress=encode_progress(progress),
        unsafe_reason=unsafe,
        basis=encode_basis(basis),
    )
    if isinstance(evidence, str):
        proto.evidence_unavailable = evidence
    else:
        proto.evidence.CopyFrom(
            pb.ReplicationEvidence(
                factors=encode_factors(evidence.factors),
                explanation=evidence.explanation,
                request_id=evidence.request_id,
            )
        )
    return proto


def encode_start(
    start: StartReason, judged: Judged | None, basis: Basis
) -> pb.ExplainStartResponse:
    """Return why a start was as it was; *judged* is the decision that tells so."""
    proto = pb.ExplainStartResponse(
        machine_id=start.machine_id,
        repository=start.repository,
        digest=start.digest,
        region=start.region,
        running=start.running,
        outcome=cast("pb.StartOutcome.ValueType", int(start.outcome or 0)),
        replication=None if judged is None else encode_decision(judged),
        explanation=start.explanation,
        basis=encode_basis(basis),
    )
    encode_time(start.start_ns, proto.start_time)
    if start.wait_ns is not None:
        encode_time(start.wait_ns, proto.image_wait)
    return proto


# What the answers above are made of.


def encode_decision(judged: Judged) -> pb.ReplicationDecision:
    """Return a decision, how far it is, and what came of it."""
    record = judged.record
    removal, status = record.removal, encode_status(record.status)
    proto = pb.ReplicationDecision(
        replication_id=record.replication_id,
        kind=pb.DECISION_KIND_REMOVAL if removal else pb.DECISION_KIND_COPY,
        status=status,
        repository=judged.repository,
        digest=judged.digest,
        tags=judged.tags,
        source_region=record.source or "",
        target_region=record.target,
        start_regions=record.start_regions,
        transfer_bytes=record.transfer_bytes,
        trigger_sequence=record.trigger_sequence,
        sequence=record.sequence,
        priority=record.priority,
        attempt=record.attempt,
        probability=record.probability_millionths / 1e6,
        moved_bytes=record.moved_bytes,
        policy=record.policy,
        reason=record.reason,
        outcome=_outcome(judged.outcome),
    )
    _put_kind(record, proto)
    _put_times(record, proto)
    return proto


def _put_kind(record: DecisionRecord, proto: pb.ReplicationDecision) -> None:
    """Write the codes that only some kinds of decisions have."""
    if not record.removal:
        proto.trigger = cast("Any", record.kind)
    if record.status in {DecisionStatus.WITHHELD, DecisionStatus.DEFERRED}:
        proto.withhold_reason = cast("Any", record.cause)
    elif record.status is DecisionStatus.FAILED:
        proto.failure_cause = cast("Any", record.cause)


def _put_times(record: DecisionRecord, proto: pb.ReplicationDecision) -> None:
    """Write moments and durations; what is 0 is absent."""
    for value_ns, target in (
        (record.time_ns, proto.decide_time),
        (record.change_ns, proto.change_time),
        (record.expire_ns, proto.expire_time),
        (record.complete_ns, proto.complete_time),
        (record.saved_ns, proto.saved_duration),
        (record.expected_ns, proto.expected_duration),
        (record.took_ns, proto.transfer_duration),
    ):
        if value_ns:
            encode_time(value_ns, target)


def _outcome(outcome: Outcome) -> pb.ReplicationOutcome:
    proto = pb.ReplicationOutcome(
        payoff=cast("pb.Payoff.ValueType", int(outcome.payoff)),
        start_count=outcome.start_count,
        waited_count=outcome.waited_count,
    )
    encode_time(outcome.wait_ns, proto.wait_duration)
    if outcome.first_start_ns:
        encode_time(outcome.first_start_ns, proto.first_start_time)
    if outcome.saved_ns is not None:
        encode_time(outcome.saved_ns, proto.saved_duration)
    return proto


def encode_progress(progress: Progress) -> pb.ReplicationProgress:
    """Return how far a request or a decision has come."""
    decision = progress.decision
    proto = pb.ReplicationProgress(
        status=encode_status(progress.status),
        ended=progress.ended,
        repository=progress.repository,
        digest=progress.digest,
        target_region=progress.target,
        replication_id=decision.replication_id if decision else "",
        source_region=progress.source or "",
        transfer_bytes=progress.transfer_bytes,
        transferred_bytes=progress.transferred_bytes,
    )
    if progress.ready_ns is not None:
        encode_time(progress.ready_ns, proto.expected_ready_time)
    return proto


def encode_status(status: int) -> "pb.ReplicationStatus.ValueType":
    """Return how far it has come: a DecisionStatus, or REQUESTED."""
    return cast("pb.ReplicationStatus.ValueType", int(status))
