"""The local replica's own columns: growth, many regions, shared contents, damage."""

from hashlib import sha256

import numpy as np
import pytest

from placement.core.event import ContentReplicated, RegionState
from placement.core.mirror.images import References
from placement.core.mirror.mirror import Mirror
from placement.core.mirror.sharers import STEP_ROWS
from placement.core.mirror.slots import FULL, RowSlots
from placement.core.mirror.sources import Sources
from placement.core.oci import Digest, Platform, Repository
from placement.core.packed import PackedContents, PackedPlacements, digest_key
from placement.core.packing.packer import Packer
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region
from placement.core.watched import Interest
from placement.v1 import placement_service_pb2 as pb
from placement.wire.packed_answers import encode_packed
from placement.wire.packed_reading import decode_packed
from tests.builders import (
    API,
    FRA,
    IAD,
    LHR,
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    A,
    announced,
    descriptor,
    event,
    evicted,
    folded,
    pushed,
    replicated,
)
from tests.mirroring import SEED, MirrorListener

NONE = np.empty(0, np.uint32)


def told(
    names: list[str], repository: Repository = WEB, *, fresh: bool = True, mask: int = 1
) -> PackedPlacements:
    """Return that *names* are whole in the regions of *mask*: iad, fra."""
    keys = b"".join(digest_key(named(name)) for name in names)
    return PackedPlacements(
        fresh,
        (repository,),
        (IAD, FRA),
        np.frombuffer(keys, np.uint8).reshape(-1, 32),
        np.zeros(len(names), np.uint32),
        np.full(len(names), 10, np.int64),
        np.ones(len(names), np.uint8),
        np.full((len(names), 1), mask, np.uint64),
        np.empty((0, 1), np.uint64),
        NONE,
        NONE,
        np.empty(0, np.uint8),
        np.empty(0, np.int64),
    )


def named(name: str) -> Digest:
    """Return a digest for *name*."""
    return Digest("sha256:" + sha256(name.encode()).hexdigest())


def numbers(first: int, end: int) -> list[str]:
    """Return names that all differ."""
    return [str(number) for number in range(first, end)]


@pytest.mark.parametrize("step", [1, 700, 5_000])
def test_rows_are_found_while_the_index_grows(step: int) -> None:
    """In small steps, and in one that is larger than the index was."""
    mirror = Mirror(SEED)

    for first in range(0, 6_000 if step > 1 else 900, step):
        mirror.apply(told(numbers(first, first + step), fresh=first % 2 == 0))

    total = mirror.placements.count
    rows = [mirror.find(WEB, digest_key(named(str(n)))) for n in range(total)]
    assert sorted(rows) == list(range(total))
    assert mirror.find(WEB, digest_key(named("never"))) == -1
    assert mirror.find(API, digest_key(named("1"))) == -1


def test_keys_that_collide_are_told_apart() -> None:
    """All hashes alike: each is looked for further on, and slots stay half empty."""
    keys = np.arange(2_000)
    slots = RowSlots(lambda rows: np.zeros(len(rows), np.uint64))

    slots.add(np.zeros(1_000, np.uint64), keys[:1_000])
    slots.add(np.zeros(1_000, np.uint64), keys[1_000:])
    found = slots.find(
        np.zeros(2_000, np.uint64), lambda rows, wanted: rows == keys[wanted]
    )

    assert found.tolist() == keys.tolist()
    assert slots.count == 2_000
    assert (slots.mask + 1) * FULL >= 1_000


def test_what_is_told_again_replaces_what_was_known() -> None:
    """Of the same content in the same repository; others stay as they are."""
    mirror = Mirror(SEED)
    mirror.apply(told(["a", "b"]))

    mirror.apply(told(["b", "c"], fresh=False, mask=2))

    rows = [mirror.find(WEB, digest_key(named(name))) for name in "abc"]
    assert [mirror.placements.mask(row) for row in rows] == [1, 2, 2]
    assert mirror.placements.count == 3


def test_regions_keep_their_bits_whatever_order_they_are_told_in() -> None:
    """Each chunk has its own list of regions."""
    mirror = Mirror(SEED)
    mirror.apply(told(["a"]))
    other = told(["b"], mask=2)
    object.__setattr__(other, "regions", (SYD, IAD))

    mirror.apply(other)

    row = mirror.find(WEB, digest_key(named("b")))
    assert mirror.phase(row, IAD) is ReplicaPhase.COMPLETE
    assert mirror.phase(row, SYD) is ReplicaPhase.ABSENT


def test_two_hundred_regions_are_as_good_as_one() -> None:
    """More than one word of bits, at the service and here, and what comes as well."""
    regions = [Region(f"r{number:03}") for number in range(150)]
    state = folded(
        *(replicated("x", region) for region in regions[:-1]),
        *(replicated("y", region, API) for region in (regions[5], regions[130])),
        event(regions[149], ContentReplicated((descriptor("y"),), API, verified=True)),
        announced("x", regions[149], held_bytes=4),
        evicted("x", regions[70]),
    )
    listener = MirrorListener()
    packed, _ = Packer(state, Interest()).placements(rows_of(2), fresh=True) or (
        None,
        0,
    )
    assert packed is not None

    listener.hear_all([packed])

    mirror = listener.mirror
    x, y = (
        mirror.find(owner, key_of(name)) for owner, name in ((WEB, "x"), (API, "y"))
    )
    phases = {region: mirror.phase(x, region) for region in regions}
    whole = [r for r in regions if phases[r] is ReplicaPhase.COMPLETE]
    assert whole == [r for r in regions[:149] if r != regions[70]]
    assert phases[regions[70]] is ReplicaPhase.ABSENT
    assert phases[regions[149]] is ReplicaPhase.PARTIAL
    assert mirror.phase(y, regions[149]) is ReplicaPhase.VERIFIED
    assert mirror.phase(y, regions[130]) is ReplicaPhase.COMPLETE
    assert mirror.phase(y, regions[2]) is ReplicaPhase.ABSENT


def rows_of(number: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the first rows of a table."""
    return np.arange(number)


def key_of(name: str) -> bytes:
    """Return the key of a digest of the builders."""
    return digest_key(descriptor(name).digest)


def test_repositories_that_share_a_content_are_found_by_it() -> None:
    """Told in one chunk, in several, and after the index had caught up."""
    mirror = Mirror(SEED)
    names = numbers(0, 3_000)
    owners = [Repository(f"acme/{number}") for number in range(8)]
    for owner in owners[:6]:
        mirror.apply(told(names, owner))
    assert mirror.sharers.far_behind == (STEP_ROWS < 6 * 3_000)
    found = {len(set(mirror.sharers.of(digest_key(named(n))))) for n in names[::50]}
    for owner in owners[6:]:
        mirror.apply(told(names[:100], owner))

    shared = [list(mirror.sharers.of(digest_key(named(n)))) for n in names]

    assert found == {6}
    assert [len(rows) for rows in shared] == [8] * 100 + [6] * 2_900
    assert all(len(set(rows)) == len(rows) for rows in shared)
    assert list(mirror.sharers.of(digest_key(named("never")))) == []


def test_references_are_told_once_and_kept_for_good() -> None:
    """In their order, with size, kind and platform; an empty list changes nothing."""
    references, amd64 = References(), Platform("linux", "amd64")
    keys = np.frombuffer(bytes(range(32)) + bytes(32), np.uint8).reshape(2, 32)
    contents = PackedContents(
        (amd64,),
        keys,
        np.array([2, 0], np.uint32),
        keys,
        np.array([7, 8], np.int64),
        np.array([2, 1], np.uint8),
        np.array([1, 0], np.uint32),
        np.array([1], np.uint32),
        keys[:1],
    )

    references.apply(contents)
    references.apply(contents)

    parent, other = bytes(range(32)), bytes(32)
    assert list(references.of(parent)) == [(parent, 7, 2, amd64), (other, 8, 1, None)]
    assert other not in references
    assert references.converted_from(parent) == [other]


def test_region_state_that_expires_is_forgotten_in_time() -> None:
    """A region that is down until a moment is asked again from then on."""
    mirror = Mirror(SEED)
    mirror.apply(told(["a"], mask=3))
    state, row = mirror.state, mirror.state.region_row(FRA)
    state.regions.set(row, 0, RegionState.DOWN)
    state.regions.set(row, 2, START_NS + 5)
    sources = Sources(mirror, TOPOLOGY)
    key = digest_key(named("a"))

    regions = []
    for now_ns in (START_NS, START_NS + 4, START_NS + 5):
        asker = sources.asker(LHR, now_ns)
        ranking = sources.rank(asker, WEB, named("a"), key, 3)
        regions.append({source.region for source in ranking.sources})

    assert regions == [{IAD}, {IAD}, {IAD, FRA}]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sizes", bytes(9)),
        ("sizes", bytes(24)),
        ("kinds", b""),
        ("repository_indexes", b"\1\0\0\0" * 2),
        ("complete_regions", bytes(8)),
        ("verified_regions", bytes(8)),
        ("digests", bytes(63)),
        ("coming_indexes", b"\2\0\0\0"),
    ],
)
def test_columns_that_do_not_fit_are_refused(field: str, value: bytes) -> None:
    """By the client, which must not read beyond them."""
    [written] = encode_packed([told(["a", "b"])])
    [item] = pb.WatchPlacementsResponse.FromString(written).items
    setattr(item.packed_placements, field, value)

    with pytest.raises(ValueError, match=r"column|index|size|reshape|buffer"):
        decode_packed(item)


def test_details_of_a_placement_are_noted_until_they_are_over() -> None:
    """Only where something comes, or was read back, do replicas have to be read."""
    steps = [
        pushed("a", IAD),
        announced("a", FRA),
        replicated("a", FRA),
        event(SYD, ContentReplicated((descriptor("a"),), WEB, verified=True)),
        evicted("a", SYD),
    ]
    noted = []
    for number in range(1, len(steps) + 1):
        state = folded(*steps[:number])
        column = state.placements.column(5)
        noted.append(int(column[state.find_placement(WEB, A)]))

    assert noted == [0, 1, 0, 1, 0]


def test_message_of_a_chunk_is_what_protobuf_would_write() -> None:
    """Read and written again by protobuf, it is the same length, field by field."""
    state = folded(*(pushed(f"n{n}", IAD) for n in range(300)), announced("a", FRA))
    packed, _ = Packer(state, Interest()).placements(rows_of(301), fresh=True) or (
        None,
        0,
    )
    assert packed is not None

    [written] = encode_packed([packed])

    response = pb.WatchPlacementsResponse.FromString(written)
    assert response.SerializeToString(deterministic=True) == written
    assert len(response.items[0].packed_placements.digests) == 301 * 32
