"""PlacementService: convert, wait for the sequence, ask the core, convert."""

from dataclasses import astuple

from placement import __version__
from placement.api.authority.caller import check_trusted
from placement.api.estimate_servicer import EstimateAnswers
from placement.api.rank_servicer import RankAnswers
from placement.api.reading import Context, Pace, Reader
from placement.api.watch_servicer import WatchAnswers
from placement.core.fold import FOLD_VERSION
from placement.core.lookup import ListedReplica, list_replicas, placement_of, resolve
from placement.core.state import State
from placement.core.tables.table import ABSENT
from placement.core.topology import Region
from placement.runtime.exchange import Exchange
from placement.runtime.fingerprints import Fingerprints
from placement.runtime.slices import in_slices
from placement.runtime.view import SILENCE_NS_MAX, View
from placement.runtime.watch import WatchHub
from placement.v1 import placement_service_pb2 as pb
from placement.wire.answers import (
    encode_placement,
    encode_replicas,
    encode_resolved,
)
from placement.wire.page_tokens import Key, make_page_token, parse_page_token
from placement.wire.rank_answers import RankWriter
from placement.wire.requests import (
    REPLICAS_READ_MAX,
    ReplicaQuery,
    decode_list,
    decode_reference,
)
from placement.wire.service_answers import ServiceFacts, encode_service_info

COUNTERS = ("folded", "duplicate", "set_aside", "late")


class PlacementServicer(RankAnswers, EstimateAnswers, WatchAnswers):
    """Answers where content is, and from where to pull it; its bases, the rest."""

    def __init__(
        self, reader: Reader, hub: WatchHub, exchange: Exchange | None = None
    ) -> None:
        """Answer from what *reader* gives, and let *hub* watch it."""
        self._exchange = exchange or Exchange()
        self._reader = reader
        self._hub = hub
        self._fingerprints = Fingerprints(reader.view)
        self._writer = RankWriter(reader.topology)

    async def ResolveReference(  # noqa: N802 - gRPC's name
        self, request: pb.ResolveReferenceRequest, context: Context
    ) -> pb.ResolveReferenceResponse:
        """Return what a tag points to, who set it and when."""
        query = decode_reference(request)
        reader, basis = await self._reader.asked(query.consistency, context)
        resolved = resolve(reader.state, query.repository, query.reference)
        return encode_resolved(resolved, basis)

    async def GetPlacement(  # noqa: N802 - gRPC's name
        self, request: pb.GetPlacementRequest, context: Context
    ) -> pb.GetPlacementResponse:
        """Return where an image or blob is, and who uses it."""
        query = decode_reference(request)
        reader, basis = await self._reader.asked(query.consistency, context)
        network = reader.network(basis)
        record = await in_slices(
            placement_of(network, query.repository, query.reference)
        )
        return encode_placement(record, basis)

    async def ListReplicas(  # noqa: N802 - gRPC's name
        self, request: pb.ListReplicasRequest, context: Context
    ) -> pb.ListReplicasResponse:
        """Return one page of replicas, in the order of their keys."""
        query = decode_list(request)
        reader, basis = await self._reader.asked(query.consistency, context)
        check_region(reader, query.region)
        binding = (basis.epoch, query.region or "", query.repository or "")
        after = parse_page_token(query.page_token, binding)
        replicas, last = await page_of(reader.state, query, after)
        token = "" if last is None else make_page_token(binding, last)
        return encode_replicas(replicas, token, basis)

    async def GetServiceInfo(  # noqa: N802 - gRPC's name
        self, request: pb.GetServiceInfoRequest, context: Context
    ) -> pb.GetServiceInfoResponse:
        """Return what this service is, what it can do and how far it is."""
        del context  # the fingerprint takes as long as it takes
        if not request.include_fingerprint:
            return self._info("")
        check_trusted("/placement.v1.PlacementService/GetServiceInfo for a fingerprint")
        async with self._fingerprints.taken() as fingerprint:
            return self._info(fingerprint)

    def _info(self, fingerprint: str) -> pb.GetServiceInfoResponse:
        view, topology = self._reader.view, self._reader.topology
        basis, witness = view.basis(), view.witness
        facts = ServiceFacts(
            version=__version__,
            fold_version=FOLD_VERSION,
            pending_message_count=pending_message_count(view),
            counts={name: view.state.count(name) for name in COUNTERS},
            region_states={
                code: view.state.region_state(code, basis.answer_time_ns)
                for code in topology.regions
            },
            fingerprint=fingerprint,
            bootstrap=self._bootstrap(),
            service_name=witness.service if witness else "",
            divergence=witness.divergence if witness else None,
        )
        return encode_service_info(facts, topology, basis)

    def _bootstrap(self) -> tuple[str, int, int] | None:
        received = self._exchange.received
        return None if received is None else astuple(received)


def check_region(reader: Reader, region: Region | None) -> None:
    """Raise REGION_UNKNOWN for a region that neither catalogue nor log names."""
    if region is None:
        return
    if reader.state.regions.find(region.encode()) == ABSENT:
        reader.topology.known(region)


async def page_of(
    state: State, query: ReplicaQuery, after: Key
) -> tuple[list[ListedReplica], Key | None]:
    """Return a page and where the next one begins; None: there is no next one."""
    found: list[ListedReplica] = []
    pace = Pace()
    listing = list_replicas(state, query.repository, None, after)
    for count, replica in enumerate(listing, start=1):
        if query.region in {None, replica.record.region}:
            if len(found) == query.page_size:
                return found, found[-1].key
            found.append(replica)
        if count == REPLICAS_READ_MAX:
            return found, replica.key
        await pace.step()
    return found, None


def pending_message_count(view: View) -> int | None:
    """Return how many messages are not folded yet; None while the log is silent."""
    if view.last_sequence is None or view.staleness_ns() > SILENCE_NS_MAX:
        return None
    return max(0, view.last_sequence - view.state.sequence)
