"""OperationsService: operators' orders into the log, and which of them are in force."""

from placement.api.authority.caller import check_regions
from placement.api.checkpoint_servicer import CheckpointStreams
from placement.api.reading import Context, Pace, Reader
from placement.core.deciding.ruling import Ruling, parse_ruling, ruling_of
from placement.core.deciding.standing import policy_statuses
from placement.core.errors import InputError, PolicyInvalidError, TimeInvalidError
from placement.core.event import (
    ContentPinned,
    ContentUnpinned,
    Event,
    Name,
    PolicyChanged,
    RegionChanged,
    ReplicationPaused,
    ReplicationResumed,
)
from placement.core.event_keys import event_key
from placement.core.lookup import known_repository, resolve
from placement.core.oci import Digest, Tag, is_digest
from placement.core.orders import (
    PinOrder,
    is_known,
    is_over,
    listed_pins,
    pause_orders,
    region_orders,
)
from placement.core.policy import named_policy
from placement.core.state import State
from placement.core.tables.table import ABSENT, Row
from placement.core.tag_steps import tags_to
from placement.core.topology import Region
from placement.ports import Clock
from placement.runtime.publisher import Publisher
from placement.runtime.sharing import Sharing
from placement.runtime.slices import in_slices
from placement.v1 import operations_service_pb2 as pb
from placement.wire.operation_answers import (
    OrdersPage,
    Receipt,
    encode_orders,
    encode_pause,
    encode_pin,
    encode_policy,
    encode_region_state,
    encode_resume,
    encode_unpin,
)
from placement.wire.operation_requests import (
    Order,
    OrdersQuery,
    PolicyQuery,
    decode_orders,
    decode_pause,
    decode_pin,
    decode_policy,
    decode_region_state,
    decode_resume,
    decode_unpin,
    order_event,
)
from placement.wire.page_tokens import FIRST, Key, make_page_token, parse_page_token
from placement.wire.requests import Consistency, decode_consistency


class OperationsServicer(CheckpointStreams):
    """Stores orders as facts, each once, lists what holds, and gives the checkpoint."""

    def __init__(
        self,
        reader: Reader,
        publisher: Publisher,
        clock: Clock,
        sharing: Sharing | None = None,
    ) -> None:
        """Look up in what *reader* gives, and store with *publisher*.

        Without *sharing* no checkpoint is given.
        """
        self._sharing = sharing
        self._reader = reader
        self._publisher = publisher
        self._clock = clock

    async def SetRegionState(  # noqa: N802 - gRPC's name
        self, request: pb.SetRegionStateRequest, context: Context
    ) -> pb.SetRegionStateResponse:
        """Say what a region may be used for."""
        query = decode_region_state(request)
        order = RegionChanged(query.region, query.state, query.operation)
        return encode_region_state(await self._give(order, (query.region,), context))

    async def PauseReplication(  # noqa: N802 - gRPC's name
        self, request: pb.PauseReplicationRequest, context: Context
    ) -> pb.PauseReplicationResponse:
        """Stop new copies."""
        query = decode_pause(request)
        order = ReplicationPaused(query.regions, query.operation)
        return encode_pause(await self._give(order, query.regions, context))

    async def ResumeReplication(  # noqa: N802 - gRPC's name
        self, request: pb.ResumeReplicationRequest, context: Context
    ) -> pb.ResumeReplicationResponse:
        """Allow new copies again."""
        query = decode_resume(request)
        order = ReplicationResumed(query.regions, query.operation)
        return encode_resume(await self._give(order, query.regions, context))

    async def PinContent(  # noqa: N802 - gRPC's name
        self, request: pb.PinContentRequest, context: Context
    ) -> pb.PinContentResponse:
        """Let content stay: what the reference points to now."""
        query = decode_pin(request)
        await self._reader.settled(decode_consistency(request.consistency), context)
        found = resolve(self._reader.state, query.repository, query.reference)
        digest, regions = found.content.digest, query.regions
        order = ContentPinned(query.repository, digest, regions, query.operation)
        return encode_pin(await self._give(order, regions, context), digest)

    async def UnpinContent(  # noqa: N802 - gRPC's name
        self, request: pb.UnpinContentRequest, context: Context
    ) -> pb.UnpinContentResponse:
        """Let content go again, by digest also what nobody has any more."""
        query = decode_unpin(request)
        await self._reader.settled(decode_consistency(request.consistency), context)
        digest, regions = Digest(query.reference), query.regions
        if not is_digest(query.reference):
            tag = Tag(query.reference)
            found = resolve(self._reader.state, query.repository, tag)
            digest = found.content.digest
        order = ContentUnpinned(query.repository, digest, regions, query.operation)
        return encode_unpin(await self._give(order, regions, context), digest)

    async def SetPolicy(  # noqa: N802 - gRPC's name
        self, request: pb.SetPolicyRequest, context: Context
    ) -> pb.SetPolicyResponse:
        """Put a policy in force, or only say whether it could be."""
        query = decode_policy(request)
        ruling = self._ruling(query)
        name = ruling.policy.name
        if query.validate_only:
            receipt = Receipt("", "", self._reader.view.basis())
        else:
            order = PolicyChanged(Name(name), query.content, query.operation)
            receipt = await self._give(order, (), context)
        return encode_policy(receipt, name, ruling.digest)

    async def ListOrders(  # noqa: N802 - gRPC's name
        self, request: pb.ListOrdersRequest, context: Context
    ) -> pb.ListOrdersResponse:
        """Return a page of the pins in force, and on the first one all other orders."""
        query = decode_orders(request)
        reader, basis = await self._reader.asked(query.consistency, context)
        state, now_ns = reader.state, basis.answer_time_ns
        binding = (basis.epoch, "orders", query.repository or "")
        after = parse_page_token(query.page_token, binding)
        pins, last = await pins_of(state, query, after, now_ns)
        page = OrdersPage(pins)
        if after == FIRST:
            page = OrdersPage(
                pins,
                region_orders(state, now_ns),
                pause_orders(state, now_ns),
                policy_statuses(state, now_ns),
            )
        token = "" if last is None else make_page_token(binding, last)
        return encode_orders(page, token, basis)

    def _ruling(self, query: PolicyQuery) -> Ruling:
        """Return the policy that is meant; raises PolicyInvalidError and its like."""
        if query.name:
            built_in = ruling_of(named_policy(query.name, "name").name, "")
            assert built_in is not None, "an empty document leaves all as it is"
            return built_in
        ruling = parse_ruling(query.content)
        unknown = ruling.guardrails.unknown_names(self._reader.topology)
        if unknown:
            remedy = "name only regions, areas and aliases of the catalogue"
            raise PolicyInvalidError("policy", ", ".join(unknown), remedy)
        return ruling

    async def _give(
        self, order: Order, regions: tuple[Region, ...], context: Context
    ) -> Receipt:
        """Store *order*, which is about *regions*, and wait until it is folded here.

        Raises RegionUnknownError, InputError for one that cannot be given any more, and
        what ``Publisher.publish`` and ``check_regions`` raise.
        """
        topology = self._reader.topology
        check_regions(regions)
        for region in regions:
            topology.known(region)
        where = regions[0] if len(regions) == 1 else topology.home
        event = order_event(order, where, self._clock())
        if not self._is_folded(event):
            self._check_new(order)
        published = await self._publisher.publish([event])
        freshness = Consistency(published.token)
        basis = await self._reader.settled(freshness, context)
        return Receipt(event.event_id, published.token, basis)

    def _is_folded(self, event: Event) -> bool:
        """Say whether this very order was given before, as far as is remembered."""
        state = self._reader.state
        return state.event_ids.find(event_key(event)) != ABSENT

    def _check_new(self, order: Order) -> None:
        """Raise InputError for an order that could not take effect."""
        operation = order.operation
        if is_over(operation.expire_time_ns or 0, self._clock()):
            remedy = "it has passed already: give a later time, or none"
            raise TimeInvalidError(
                "operation.expire_time", operation.expire_time_ns, remedy
            )
        request_id = operation.request_id
        if request_id is not None and is_known(
            self._reader.state, type(order), request_id
        ):
            remedy = "another order was given with this id: choose a new one"
            raise InputError("operation.request_id", request_id, remedy)


async def pins_of(
    state: State, query: OrdersQuery, after: Key, now_ns: int
) -> tuple[list[tuple[PinOrder, list[Tag]]], Key | None]:
    """Return a page of pins with their tags, and where the next one begins."""
    owner: Row | None = None
    if query.repository is not None:
        owner = known_repository(state, query.repository)
    found: list[tuple[PinOrder, list[Tag]]] = []
    pace = Pace()
    for pin in listed_pins(state, owner, after, now_ns):
        if len(found) == query.page_size:
            return found, found[-1][0].key
        found.append((pin, await _tags_of(state, pin)))
        await pace.step()
    return found, None


async def _tags_of(state: State, pin: PinOrder) -> list[Tag]:
    """Return the tags that point to what is pinned, by name."""
    owner, digest = state.find_repository(pin.repository), state.find_digest(pin.digest)
    return list(await in_slices(tags_to(state, owner, digest)))
