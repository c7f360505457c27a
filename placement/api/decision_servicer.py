"""ReplicationService for analysts: what was decided, why, and what came of it."""

from placement.api.reading import Context, Pace, Reader, wait_budget_s
from placement.api.refusals import ReplicationUnknownError
from placement.core.assignments import unsafe_removal
from placement.core.decisions import (
    DecisionRecord,
    decision_at,
    find_decision,
    sees_decision,
)
from placement.core.following import decision_progress
from placement.core.lookup import known_repository
from placement.core.payoff import Judge
from placement.core.start_reasons import start_reason
from placement.core.state import State
from placement.core.tables.cells import Decision
from placement.core.tables.table import ABSENT, Row
from placement.runtime.evidence import evidence_of
from placement.runtime.publisher import Publisher
from placement.v1 import replication_service_pb2 as pb
from placement.v1.replication_service_pb2_grpc import ReplicationServiceServicer
from placement.wire.page_tokens import FIRST, Key, make_page_token, parse_page_token
from placement.wire.replication_answers import (
    encode_decisions,
    encode_start,
    encode_whole,
)
from placement.wire.replication_requests import (
    DecisionsQuery,
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
        check_named(reader, query)
        binding = (basis.epoch, "replications", *query.filter)
        after = parse_page_token(query.page_token, binding)
        judge = Judge(reader.state, basis.answer_time_ns)
        records, last = await page_of(reader.state, query, after)
        found, pace = [], Pace()
        for record in records:
            found.append(judge.judged(record))
            await pace.step()
        token = "" if last is None else make_page_token(binding, last)
        return encode_decisions(found, token, basis)

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


def check_named(reader: Reader, query: DecisionsQuery) -> None:
    """Raise REGION_UNKNOWN or NAME_UNKNOWN for what nobody ever named."""
    state = reader.state
    if query.repository is not None:
        known_repository(state, query.repository)
    region = query.region
    if region is not None and state.regions.find(region.encode()) == ABSENT:
        reader.topology.known(region)


async def page_of(
    state: State, query: DecisionsQuery, after: Key
) -> tuple[list[DecisionRecord], Key | None]:
    """Return a page, and after which decision the next one begins; None: nowhere.

    What the last page ended with may be forgotten by now: then so is all before.
    """
    pace = Pace()
    last = ABSENT
    if after != FIRST:
        last = state.decisions.find(after[0].encode())
        if not sees_decision(state, last):
            return [], None
    found: list[DecisionRecord] = []
    rows = state.decisions.newest_first(last)
    for count, row in enumerate(rows, start=1):
        if listed(state, query, row):
            if len(found) == query.page_size:
                return found, _key(found[-1].replication_id)
            found.append(decision_at(state, row))
        # Where some are hidden, a page must not end with one of those.
        if count == DECISIONS_READ_MAX and state.sees_all:
            return found, _key(state.decisions.key(row).decode())
        await pace.step()
    return found, None


def listed(state: State, query: DecisionsQuery, row: Row) -> bool:
    """Say whether a listing wants the decision of a row."""
    if not sees_decision(state, row):
        return False
    get = state.decisions.get
    if not query.wants(
        get(row, Decision.STATUS), get(row, Decision.KIND), get(row, Decision.TIME)
    ):
        return False
    region = Row(get(row, Decision.TARGET))
    if query.region not in {None, state.region_at(region)}:
        return False
    if query.repository is None:
        return True
    repository, _ = state.placement_at(Row(get(row, Decision.PLACEMENT)))
    return repository == query.repository


def _key(replication_id: str) -> Key:
    return (replication_id, "", "")
