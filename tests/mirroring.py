"""A mirror that hears what a packed watch tells, over the wire and back."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from placement.core.errors import PlacementError
from placement.core.images import Selection, select_image
from placement.core.mirror.excerpt import Excerpt
from placement.core.mirror.mirror import Mirror
from placement.core.mirror.sources import LocalRanking, Sources
from placement.core.network import Network
from placement.core.oci import Digest, Repository
from placement.core.packed import digest_key
from placement.core.ranking import Question, Source, fallback_source, rank_sources
from placement.core.starts import StartEstimate, estimate_starts
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.table import Row
from placement.core.topology import Region, Topology
from placement.core.watched import Interest
from placement.v1 import placement_service_pb2 as pb
from placement.wire.packed_answers import PackedItem, encode_packed
from placement.wire.packed_reading import decode_packed
from tests.watching import Known

MOST = 32
SEED = 5


@dataclass
class MirrorListener:
    """What one watcher in columns knows, and what it knew at its last bookmark."""

    mirror: Mirror = field(default_factory=lambda: Mirror(SEED))
    token: str = ""
    sequence: int = 0
    bookmark_count: int = 0
    reasons: list[int] = field(default_factory=list)
    in_snapshot: bool = False

    def hear(self, items: Iterable[PackedItem]) -> Iterator[None]:
        """Take *items* in, in order, as they come over the wire; yield at bookmarks."""
        for response in encode_packed(items):
            sent = pb.WatchPlacementsResponse.FromString(response)
            for item in sent.items:
                packed = decode_packed(item)
                if packed is not None:
                    self.mirror.apply(packed)
                elif item.HasField("snapshot_began"):
                    self.mirror = Mirror(SEED, item.snapshot_began.max_placement_count)
                    self.reasons.append(item.snapshot_began.reason)
                    self.in_snapshot = True
                elif item.HasField("snapshot_ended"):
                    self.in_snapshot = False
                elif item.HasField("bookmark"):
                    self.token = item.bookmark.resume_token
                    self.sequence = item.bookmark.sequence
                    self.bookmark_count += 1
                    yield

    def hear_all(self, items: Iterable[PackedItem]) -> None:
        """Take *items* in."""
        for _ in self.hear(items):
            pass


def known_placements(mirror: Mirror) -> Known:
    """Return what a mirror knows of placements, as ``watching.expected`` tells it."""
    found: Known = {}
    placements = mirror.placements
    for row in range(placements.count):
        repository = mirror.repositories[placements.owners.cells[row]]
        size = placements.sizes.cells[row]
        replicas = {}
        for region, bit in mirror.region_rows.items():
            phase = mirror.phase(row, region)
            if phase is ReplicaPhase.ABSENT:
                continue
            held = placements.coming.get(row, {}).get(bit, (0, size))[1]
            replicas[region] = (phase, held)
        if replicas:
            digest = mirror.digest(placements.key(row))
            found[repository, digest] = (size, replicas)
    return found


def known_references(mirror: Mirror, state: State) -> dict[Digest, object]:
    """Return what a mirror knows of what the contents of *state* refer to."""
    digests = [state.digest_at(Row(row)) for row in range(len(state.digests))]
    keys = {digest: digest_key(digest) for digest in digests}
    return {
        digest: (
            list(mirror.references.of(key)),
            sorted(mirror.references.converted_from(key)),
        )
        for digest, key in keys.items()
    }


def known_tags(mirror: Mirror) -> Known:
    """Return what a mirror knows of tags, as ``watching.expected`` tells it."""
    return {
        (mirror.repositories[owner], tag): pointer.digest
        for (owner, tag), pointer in mirror.tags.items()
    }


def local_ranking(
    mirror: Mirror, topology: Topology, question: Question, digest: Digest, now_ns: int
) -> LocalRanking:
    """Return what a mirror answers."""
    sources = Sources(mirror, topology)
    asker = sources.asker(question.region, now_ns)
    most = question.source_count_max
    return sources.rank(asker, question.repository, digest, digest_key(digest), most)


def assert_same_ranking(
    mirror: Mirror, network: Network, question: Question, digest: Digest
) -> None:
    """Assert that a mirror ranks the sources of a content as the service does."""
    local = local_ranking(mirror, network.topology, question, digest, network.now_ns)
    service = rank_sources(network, question, digest)
    told = [(s.region, s.p50_ns, s.p90_ns, s.phase) for s in local.sources]
    assert told == [plain(source) for source in service.sources]
    for mine, its in zip(local.sources, service.sources, strict=True):
        factors = its.factors
        assert (mine.complete, mine.draining) == (
            factors["complete"] == 1,
            factors["draining"] == 1,
        )
    fallback = fallback_source(network, question, digest)
    home = local.fallback
    assert (home.region, home.phase) == (fallback.region, fallback.phase)
    if anywhere(network.state, digest):
        assert local.size_bytes == service.size_bytes
        assert (home.p50_ns, home.p90_ns) == plain(fallback)[1:3]


def plain(source: Source) -> tuple[Region, int, int, ReplicaPhase]:
    """Return what a local source has of a source, too."""
    duration = source.duration
    return (source.region, duration.p50_ns, duration.p90_ns, source.phase)


def anywhere(state: State, digest: Digest) -> bool:
    """Say whether any region has the content, or is about to, in any repository."""
    row = state.find_digest(digest)
    return any(state.replicas_of(p) for p in state.indexes.placements_of(row))


def service_estimates(
    network: Network, selection: Selection
) -> list[StartEstimate] | str:
    """Return what the service estimates for every region, or why it does not."""
    try:
        image = select_image(network.state, selection)
    except PlacementError as error:
        return error.reason
    return estimate_starts(network, [image], sorted(network.topology.regions), "x")


def local_estimates(
    mirror: Mirror, topology: Topology, selection: Selection, now_ns: int
) -> list[StartEstimate] | str:
    """Return what a mirror estimates."""
    excerpt = Excerpt(mirror)
    excerpt.add_image(selection.repository, digest_key(selection.reference))
    network = Sources(mirror, topology).network(now_ns, excerpt.state)
    return service_estimates(network, selection)


def repositories_of(state: State, interest: Interest) -> list[Repository]:
    """Return the repositories that are watched."""
    names = [Repository(key.decode()) for key, _ in state.repositories.rows()]
    return [name for name in names if interest.means(name)]
