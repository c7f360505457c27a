"""What is watched, told in columns: many placements, contents or tags at once.

A digest stands in a column as 32 bytes: those of its sha256, or where it is another
hash, the BLAKE2b-256 of its text, which is then told beside the columns.
"""

from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from placement.core.oci import Digest, Platform, Repository, Tag
from placement.core.topology import Region

KEY_BYTES: Final = 32
NO_KEY: Final = bytes(KEY_BYTES)
"""In place of the digest of a tag that was removed."""
NAME_BYTES: Final = 64
"""About what an object for a short name takes, or for a platform."""
WORD_REGIONS: Final = 64
"""Regions of one word of a mask."""

_SHA256: Final = "sha256:"
_SHA256_LENGTH: Final = len(_SHA256) + 2 * KEY_BYTES

Bytes = NDArray[np.uint8]
Indexes = NDArray[np.uint32]
Numbers = NDArray[np.int64]
Words = NDArray[np.uint64]
Keys = NDArray[np.uint8]
"""A row of KEY_BYTES for each."""


def digest_key(digest: str) -> bytes:
    """Return what stands for a digest in a column."""
    if is_plain(digest):
        return bytes.fromhex(digest[len(_SHA256) :])
    return blake2b(digest.encode(), digest_size=KEY_BYTES).digest()


def is_plain(digest: str) -> bool:
    """Say whether a digest can be told from its column alone."""
    return len(digest) == _SHA256_LENGTH and digest.startswith(_SHA256)


def plain_digest(key: bytes) -> Digest:
    """Return the digest of sha256 that *key* stands for."""
    return Digest(_SHA256 + key.hex())


def word_count(region_count: int) -> int:
    """Return how many words a mask of so many regions has, at least one."""
    return max(1, -(-region_count // WORD_REGIONS))


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class PackedPlacements:
    """Where contents are; *owners* and regions are indexes into the names beside.

    *complete* and *verified* are masks, a row of words each, the first region's bit the
    lowest of the first word. *verified* has no rows where nothing was verified.
    """

    gone: ClassVar = False
    fresh: bool
    """None of them was told before, since the snapshot began."""
    repositories: tuple[Repository, ...]
    regions: tuple[Region, ...]
    digests: Keys
    owners: Indexes
    sizes: Numbers
    kinds: Bytes
    complete: Words
    verified: Words
    coming: Indexes
    """What is on its way, as rows of the columns above; where to, and how far."""
    coming_regions: Indexes
    coming_phases: Bytes
    coming_held: Numbers
    other_digests: tuple[Digest, ...] = ()


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class PackedContents:
    """What contents refer to, the references of one content after those of another."""

    gone: ClassVar = False
    platforms: tuple[Platform, ...]
    digests: Keys
    reference_counts: Indexes
    reference_digests: Keys
    reference_sizes: Numbers
    reference_kinds: Bytes
    reference_platforms: Indexes
    """An index plus one; 0 where no platform was said."""
    converted: Indexes
    """What a copy made of other contents, as rows of *digests*, and of which."""
    originals: Keys
    other_digests: tuple[Digest, ...] = ()


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class PackedTags:
    """Where tags point, NO_KEY where they were removed, and who set them when."""

    gone: ClassVar = False
    repositories: tuple[Repository, ...]
    regions: tuple[Region, ...]
    tags: tuple[Tag, ...]
    owners: Indexes
    digests: Keys
    set_regions: Indexes
    set_times: Numbers
    set_sequences: Numbers
    other_digests: tuple[Digest, ...] = ()


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class PackedNetwork:
    """What regions may be used for, and the newest transfers of routes, oldest first.

    A state of 0: operators said nothing. Of each route's *transfer_counts* the newest
    *told_counts* are among the *transfers*.
    """

    gone: ClassVar = False
    regions: tuple[Region, ...]
    states: Bytes
    expire_times: Numbers
    leaving_counts: Indexes
    route_sources: Indexes
    route_targets: Indexes
    transfer_counts: Numbers
    told_counts: Indexes
    transfers: NDArray[np.int64]
    """A row for each: bytes, duration, time, concurrency, outcome."""


Packed = PackedPlacements | PackedContents | PackedTags | PackedNetwork


def size_of(chunk: Packed) -> int:
    """Return about how many bytes *chunk* takes in memory: its columns and names."""
    values = [getattr(chunk, field.name) for field in fields(chunk)]
    columns = [value for value in values if isinstance(value, np.ndarray)]
    names = [value for value in values if isinstance(value, tuple)]
    return sum(one.nbytes for one in columns) + NAME_BYTES * sum(map(len, names))
