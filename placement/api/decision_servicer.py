"""ReplicationService for analysts: what was decided, why, and what came of it."""

from placement.api.reading import Context, Reader, wait_budget_s
from placement.api.refusals import ReplicationUnknownError
from placement.core.assignments import unsafe_removal
from placement.core.decisions import find_decision
from placement.core.following import decision_progress
from placement.core.listing import PageSize, decision_page
from placement.core.payoff import Judge
from placement.core.start_reasons import start_reason
from placement.runtime.evidence import evidence_of
from placement.runtime.publisher import Publisher
from placement.runtime.slices import in_slices
from placement.v1 import replication_service_pb2 as pb
from placement.v1.replication_service_pb2_grpc import ReplicationServiceServicer
from placement.wire.page_tokens import Key, make_page_token, parse_page_token
from placement.wire.replication_answers import (
    encode_decisions,
    encode_start,
    encode_whole,
)
from placement.wire.replication_requests import (
    decode_decision,
    decode_decisions,
    decode_start,
)
from placement.wire.requests import DECISIONS_READ_MAX


class DecisionAnswers(ReplicationServiceServicer):
    """The part of ReplicationService that tells what was decided, and whether well."""

    _reader: Reader
    _publisher: Publisher

    async def ListReplications(  # noqa: N802 - gRPC's name
        self, request: pb.ListReplicationsRequest, context: Context
    ) -> pb.ListReplicationsResponse:
        """Return one page of decisions, the newest first."""
        query = decode_decisions(request)
        reader, basis = await self._reader.asked(query.consistency, context)
        state, wanted = reader.state, query.wanted
        wanted.check_named(state, reader.topology)
        binding = (basis.epoch, "replications", *wanted.parts)
        after, *_ = parse_page_token(query.page_token, binding)
        size = PageSize(query.page_size, DECISIONS_READ_MAX)
        page = await in_slices(
            decision_page(state, wanted, after, size, basis.answer_time_ns)
        )
        token = "" if page.last is None else make_page_token(binding, _key(page.last))
        return encode_decisions(page.found, token, basis)

    async def GetReplication(  # noqa: N802 - gRPC's name
        self, request: pb.GetReplicationRequest, context: Context
    ) -> pb.GetReplicationResponse:
        """Return one decision, all of it."""
        query = decode_decision(request)
        reader, basis = await self._reader.asked(query.consistency, context)
        record = find_decision(reader.state, query.name)
        if record is None:
            raise ReplicationUnknownError(query.name)
        network = reader.network(basis)
        judged = Judge(reader.state, basis.answer_time_ns).judged(record)
        progress = decision_progress(network, record)
        unsafe = ""
        if record.removal and record.open:
            unsafe = unsafe_removal(network, record)
        budget_s = reader.default_deadline_s
        budget_s = wait_budget_s(budget_s, context.time_remaining())
        read, view = self._publisher.stored, reader.view
        evidence = await evidence_of(read, view, record, budget_s)
        return encode_whole(judged, progress, evidence, unsafe, basis)

    async def ExplainStart(  # noqa: N802 - gRPC's name
        self, request: pb.ExplainStartRequest, context: Context
    ) -> pb.ExplainStartResponse:
        """Return why a machine's last start was as it was."""
        query = decode_start(request)
        reader, basis = await self._reader.asked(query.consistency, context)
        start = start_reason(reader.state, query.name)
        judge = Judge(reader.state, basis.answer_time_ns)
        judged = None if start.decision is None else judge.judged(start.decision)
        return encode_start(start, judged, basis)


def _key(replication_id: str) -> Key:
    return (replication_id, "", "")
