"""ReplicationService for schedulers: copies asked for, and decisions called off."""

from placement.api.authority.caller import check_region
from placement.api.reading import Context, Reader
from placement.api.refusals import (
    BudgetExhaustedError,
    ReplicationClosedError,
    ReplicationUnknownError,
    RequestConflictError,
    ResidencyForbiddenError,
)
from placement.api.seeing import check_request_id
from placement.core.copies import Image, copy_into
from placement.core.deciding.budgets import Budgets, Order, Refusal
from placement.core.deciding.desk import desk_at
from placement.core.deciding.ruling import ruling_in_force
from placement.core.decisions import find_decision
from placement.core.errors import TimeInvalidError
from placement.core.event import ReplicationRequested
from placement.core.event_keys import deciding_key
from placement.core.following import (
    Asked,
    Progress,
    asked_by,
    met_progress,
    request_progress,
)
from placement.core.graph import missing, mountable, to_move
from placement.core.images import SelectedImage, Selection, select_image
from placement.core.lookup import resolve
from placement.core.network import Network
from placement.core.oci import Digest
from placement.core.orders import is_known, is_over
from placement.core.payoff import Judge
from placement.core.residency import storage_within
from placement.core.tables.cells import DecisionStatus
from placement.core.tables.table import ABSENT
from placement.core.topology import Region
from placement.runtime.publisher import Publisher
from placement.runtime.view import Basis
from placement.v1 import replication_service_pb2 as pb
from placement.v1.replication_service_pb2_grpc import ReplicationServiceServicer
from placement.wire.replication_answers import encode_cancel, encode_request
from placement.wire.replication_requests import (
    CancelQuery,
    RequestQuery,
    decode_cancel,
    decode_request,
)
from placement.wire.requests import Consistency


class RequestAnswers(ReplicationServiceServicer):
    """The part of ReplicationService that stores what callers want."""

    _reader: Reader
    _publisher: Publisher

    async def RequestReplication(  # noqa: N802 - gRPC's name
        self, request: pb.RequestReplicationRequest, context: Context
    ) -> pb.RequestReplicationResponse:
        """Store a request once, and return how far it has come."""
        query = decode_request(request)
        asked = query.asked
        check_region(asked.target_region)
        check_request_id(asked.request_id)
        self._reader.topology.known(asked.target_region)
        basis = await self._reader.settled(query.consistency, context)
        if self._is_known(query):
            return self._answered(query, basis.token, basis)
        network = self._reader.network(basis)
        selection = Selection(asked.repository, asked.reference, asked.platform)
        image = select_image(network.state, selection)
        target = permitted_target(network, asked)
        if is_met(network, image, target):
            about = _asked_now(network, asked, image.digest, target)
            return encode_request(
                asked.request_id, met_progress(network, about), None, "", basis
            )
        self._check(network, basis, asked, image, target)
        published = await self._publisher.publish([query.event(target, image.digest)])
        token = published.token
        basis = await self._reader.settled(Consistency(token), context)
        if self._is_known(query):
            return self._answered(query, token, basis)
        network = self._reader.network(basis)  # it was not folded in time
        about = _asked_now(network, asked, image.digest, target)
        progress = request_progress(network, about)
        return self._encoded(query, progress, token, basis)

    async def CancelReplication(  # noqa: N802 - gRPC's name
        self, request: pb.CancelReplicationRequest, context: Context
    ) -> pb.CancelReplicationResponse:
        """Call off an open decision."""
        query = decode_cancel(request)
        state = self._reader.state
        record = find_decision(state, query.replication_id)
        if record is None:
            raise ReplicationUnknownError(query.replication_id)
        check_region(record.target)
        if self._is_folded(record.target, query.event_id):
            basis = self._reader.view.basis()
            return encode_cancel(query.event_id, basis.token, basis)
        if not record.open:
            raise ReplicationClosedError(query.replication_id, record.status)
        event = query.event(record, state.placement_at(record.placement))
        published = await self._publisher.publish([event])
        freshness = Consistency(published.token)
        basis = await self._reader.settled(freshness, context)
        self._check_cancelled(query)
        return encode_cancel(query.event_id, published.token, basis)

    def _check_cancelled(self, query: CancelQuery) -> None:
        """Raise ReplicationClosedError if it had ended before the call was stored."""
        record = find_decision(self._reader.state, query.replication_id)
        if record is None or not self._is_folded(record.target, query.event_id):
            return
        if record.status is not DecisionStatus.CANCELLED:
            raise ReplicationClosedError(query.replication_id, record.status)

    def _is_folded(self, region: Region, event_id: str) -> bool:
        """Say whether this very event was folded, as far as is remembered."""
        key = deciding_key(region, event_id)
        return self._reader.state.event_ids.find(key) != ABSENT

    def _is_known(self, query: RequestQuery) -> bool:
        """Say whether the request was folded; raises RequestConflictError."""
        asked, state = query.asked, self._reader.state
        if not is_known(state, ReplicationRequested, asked.request_id):
            return False
        about = asked_by(state, asked.request_id)
        if about is None or not self._is_alike(query, about):
            raise RequestConflictError(asked.request_id)
        return True

    def _is_alike(self, query: RequestQuery, about: Asked) -> bool:
        """Say whether what was folded under the request's id is what is asked now.

        Where its event is forgotten, what a tag points to now has to tell.
        """
        asked, state = query.asked, self._reader.state
        repository, digest = state.placement_at(about.placement)
        network = self._reader.network(self._reader.view.basis())
        if repository != asked.repository or not _serves(network, about.target, asked):
            return False
        if self._is_folded(about.target, query.event_id):
            return True
        return resolve(state, repository, asked.reference).content.digest == digest

    def _answered(
        self, query: RequestQuery, token: str, basis: Basis
    ) -> pb.RequestReplicationResponse:
        """Return how far a request that was folded has come."""
        about = asked_by(self._reader.state, query.asked.request_id)
        assert about is not None, "it was just found"
        progress = request_progress(self._reader.network(basis), about)
        return self._encoded(query, progress, token, basis)

    def _encoded(
        self, query: RequestQuery, progress: Progress, token: str, basis: Basis
    ) -> pb.RequestReplicationResponse:
        judge = Judge(self._reader.state, basis.answer_time_ns)
        record = progress.decision
        judged = None if record is None else judge.judged(record)
        request_id = query.asked.request_id
        return encode_request(request_id, progress, judged, token, basis)

    def _check(
        self,
        network: Network,
        basis: Basis,
        asked: ReplicationRequested,
        image: SelectedImage,
        target: Region,
    ) -> None:
        """Raise why a new request cannot be stored: its time is over, or a budget."""
        if is_over(asked.deadline_time_ns or 0, network.now_ns):
            remedy = "it has passed already: give a later time, or none"
            raise TimeInvalidError("deadline_time", asked.deadline_time_ns, remedy)
        refusal = _refusal(network, basis.epoch, image, target)
        if refusal is not None:
            raise BudgetExhaustedError(refusal, network.now_ns)


def permitted_target(network: Network, asked: ReplicationRequested) -> Region:
    """Return the storage region that a request means, by the policy in force.

    Raises ResidencyForbiddenError where the policy leaves none.
    """
    ruling = ruling_in_force(network.state, network.now_ns)
    topology = network.topology
    permitted = ruling.guardrails.permitted(topology, asked.repository)
    target: Region | None = asked.target_region
    if not topology.stores(asked.target_region):
        target = storage_within(network, asked.target_region, permitted)
    if target is None or target not in permitted:
        raise ResidencyForbiddenError(asked, ruling.label, permitted)
    return target


def is_met(network: Network, image: SelectedImage, target: Region) -> bool:
    """Say whether a storage region has, or can mount, all that was asked for."""
    state = network.state
    region = state.regions.find(target.encode())
    if image.selection.platform is None:
        return not to_move(state, image.owner, state.find_digest(image.digest), region)
    absent = missing(state, image.owner, list(image.contents), region)
    return all(mountable(state, image.owner, row, region) for row in absent)


def _refusal(
    network: Network, epoch: str, image: SelectedImage, target: Region
) -> Refusal | None:
    """Return which budget forbids to decide the copy now, or None where none does.

    Nothing is refused where nobody has the image yet, or where it is on its way.
    """
    desk = desk_at(network.state, network.topology, epoch, network.now_ns)
    wanted = Image(image.selection.repository, image.digest)
    copy = copy_into(network, wanted, target, target)
    if copy is None:
        return None
    organization = desk.organization_of(image.owner)
    order = Order(copy.source, copy.target, organization, copy.transfer_bytes)
    return Budgets(desk).refusal(order)


def _asked_now(
    network: Network, asked: ReplicationRequested, digest: Digest, target: Region
) -> Asked:
    """Return what a request is about that is not folded."""
    placement = network.state.find_placement(asked.repository, digest)
    return Asked(placement, target, network.now_ns, asked.deadline_time_ns or 0)


def _serves(network: Network, target: Region, asked: ReplicationRequested) -> bool:
    """Say whether *target* may be what the request's region meant when it was made."""
    region = asked.target_region
    if network.topology.stores(region):
        return target == region
    return target in network.topology.serving_order(region)
