"""BatchRankSourcesPacked: digests in as bytes, sources out as columns.

A message for each of a thousand digests costs more than finding them. Packed numbers of
eight bytes are on the wire what they are in memory, so columns are written as they are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from placement.core.errors import DigestInvalidError, LimitInvalidError
from placement.core.oci import Digest, Repository, parse_repository
from placement.core.ranking import Source
from placement.core.ranking_many import Sources
from placement.core.tables.keys import SHA256_BYTES, digest_text
from placement.core.tables.table import KeyBytes
from placement.core.topology import Region, Topology, parse_region
from placement.v1 import placement_service_pb2 as pb
from placement.wire.answers import Basis, encode_basis, encode_source
from placement.wire.requests import (
    PACKED_DIGEST_COUNT_MAX,
    PACKED_SOURCE_COUNT_MAX,
    SOURCE_COUNT_DEFAULT,
    Consistency,
    bounded,
    decode_freshness,
)

_P50_NS: Final = pb.BatchRankSourcesPackedResponse.P50_NS_FIELD_NUMBER
_P90_NS: Final = pb.BatchRankSourcesPackedResponse.P90_NS_FIELD_NUMBER
_LENGTH_FOLLOWS: Final = 2
"""The wire type of packed numbers."""


@dataclass(frozen=True, slots=True)
class PackedQuery:
    """Which contents of one repository to rank sources for, and for whom."""

    repository: Repository
    keys: KeyBytes
    """Their SHA-256, a row of bytes each."""
    region: Region
    source_count_max: int
    consistency: Consistency

    def digest(self, position: int) -> Digest:
        """Return the text of one of the digests."""
        return Digest(digest_text(self.keys[position].tobytes()))


def decode_packed(request: pb.BatchRankSourcesPackedRequest) -> PackedQuery:
    """Return what is to be ranked; raises InputError."""
    field, body = "sha256_digests", request.sha256_digests
    if len(body) % SHA256_BYTES:
        remedy = f"give {SHA256_BYTES} bytes for each digest"
        raise DigestInvalidError(field, f"{len(body)} bytes", remedy)
    count = len(body) // SHA256_BYTES
    if not 1 <= count <= PACKED_DIGEST_COUNT_MAX:
        remedy = f"give 1 to {PACKED_DIGEST_COUNT_MAX}"
        raise LimitInvalidError(field, count, remedy)
    most = request.max_source_count
    return PackedQuery(
        parse_repository(request.repository),
        np.frombuffer(body, np.uint8).reshape(count, SHA256_BYTES),
        parse_region(request.region),
        bounded(most, "max_source_count", PACKED_SOURCE_COUNT_MAX)
        or SOURCE_COUNT_DEFAULT,
        decode_freshness(request),
    )


def encode_packed(
    topology: Topology,
    regions: Iterable[Region],
    parts: Sequence[Sources],
    fallback: Source,
    basis: Basis,
) -> pb.BatchRankSourcesPackedResponse:
    """Return the sources of all *parts*, one after another."""
    response = pb.BatchRankSourcesPackedResponse(
        regions=[
            pb.PackedRegion(region=region, endpoint=topology.endpoint(region))
            for region in regions
        ],
        source_counts=b"".join(part.counts.tobytes() for part in parts),
        source_regions=b"".join(part.positions.tobytes() for part in parts),
        fallback=encode_source(topology, fallback),
        basis=encode_basis(basis),
    )
    columns = _packed(_P50_NS, [part.p50_ns for part in parts])
    columns += _packed(_P90_NS, [part.p90_ns for part in parts])
    response.MergeFromString(columns)
    return response


def _packed(field: int, values: Sequence[NDArray[Any]]) -> bytes:
    """Return a field of packed numbers of eight bytes, as it travels."""
    body = b"".join(each.astype("<i8", copy=False).tobytes() for each in values)
    return bytes([field << 3 | _LENGTH_FOLLOWS]) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    """Return *value* in base 128, the lowest digit first, all but the last marked."""
    digits = bytearray()
    while value >= 0x80:  # noqa: PLR2004 - the mark of a digit that is not the last
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
