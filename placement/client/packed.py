"""Sources of thousands of contents as they come, in columns, and how to read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from placement.core.errors import DigestInvalidError
from placement.core.oci import parse_digest
from placement.core.packed import is_plain
from placement.core.tables.keys import SHA256_BYTES, digest_key
from placement.v1 import placement_service_pb2 as pb

_HEX: Final = b"0123456789abcdef"


class PackedSource(NamedTuple):
    """A region to pull from, and what that is expected to take; nanoseconds."""

    region: str
    endpoint: str
    p50_ns: int
    p90_ns: int


@dataclass(frozen=True)
class PackedRankings:
    """The sources of each content that was asked about, by its position in the request.

    ``response`` has the columns as they came, the fallback and the basis.
    """

    response: pb.BatchRankSourcesPackedResponse

    def __len__(self) -> int:
        """Return how many contents were asked about."""
        return len(self.response.source_counts)

    @cached_property
    def counts(self) -> NDArray[np.uint8]:
        """How many sources each content has."""
        return np.frombuffer(self.response.source_counts, np.uint8)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return self.counts.cumsum(dtype=np.int64)

    def sources(self, position: int) -> list[PackedSource]:
        """Return the sources of one content, best first; empty: ask the fallback."""
        end = int(self._ends[position])
        places = range(end - int(self.counts[position]), end)
        return [self._source(place) for place in places]

    def best(self) -> list[str]:
        """Return for each content the region to pull from; the fallback's without any.

        This reads columns alone, and is what a puller of many contents wants.
        """
        codes = [region.region for region in self.response.regions]
        codes.append(self.response.fallback.region)
        first = np.full(len(self), len(codes) - 1, np.int64)
        held = self.counts > 0
        regions: NDArray[Any] = np.frombuffer(self.response.source_regions, np.uint8)
        first[held] = regions[(self._ends - self.counts)[held]]
        return [codes[each] for each in first.tolist()]

    def _source(self, place: int) -> PackedSource:
        response = self.response
        region = response.regions[response.source_regions[place]]
        p50_ns, p90_ns = response.p50_ns[place], response.p90_ns[place]
        return PackedSource(region.region, region.endpoint, p50_ns, p90_ns)


def pack_digests(digests: Sequence[str]) -> bytes:
    """Return ``sha256:`` digests as a packed request wants them; raises InputError.

    All are looked at together; only if one is wrong, one by one, to say which.
    """
    told = [each[-2 * SHA256_BYTES :] for each in digests if is_plain(each)]
    hexes = "".join(told).encode("ascii", "replace")
    if len(told) == len(digests) and not hexes.translate(None, _HEX):
        return bytes.fromhex(hexes.decode())
    return b"".join([_packed(each, position) for position, each in enumerate(digests)])


def _packed(digest: str, position: int) -> bytes:
    packed = digest_key(parse_digest(digest, f"digests[{position}]").encode())
    if len(packed) != SHA256_BYTES:
        remedy = "give a sha256 digest, or ask rank_sources about this one"
        raise DigestInvalidError(f"digests[{position}]", digest, remedy)
    return packed
