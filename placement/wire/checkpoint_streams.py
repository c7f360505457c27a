"""A checkpoint on its way to another service: an offer, and chunks in parts."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from placement.core.errors import InputError, LimitInvalidError
from placement.offers import (
    CHUNK_BYTES_MAX,
    CHUNKS_MAX,
    CheckpointRefusedError,
    HashedChunk,
    Offer,
)
from placement.ports import CheckpointHeader, Chunk
from placement.v1 import operations_service_pb2 as pb
from placement.wire.fields import encode_time, nanoseconds

PART_BYTES: Final = 256 * 1024
"""Larger chunks come in parts: each is a fraction of a millisecond to others."""
ID_CHARACTERS_MAX: Final = 64


class StreamQuery(NamedTuple):
    """Which checkpoint is wanted, and what of it is there."""

    fold_version: int
    checkpoint_id: str
    held_count: int


def decode_stream(request: pb.StreamCheckpointRequest) -> StreamQuery:
    """Return what is asked for; raises InputError."""
    checkpoint_id, held = request.checkpoint_id, request.held_chunk_count
    if len(checkpoint_id) > ID_CHARACTERS_MAX:
        raise InputError("checkpoint_id", checkpoint_id, "give an offer's id, or none")
    if not 0 <= held <= CHUNKS_MAX:
        remedy = f"give 0 to {CHUNKS_MAX}"
        raise LimitInvalidError("held_chunk_count", held, remedy)
    return StreamQuery(request.fold_version, checkpoint_id, held)


def encode_stream(query: StreamQuery) -> pb.StreamCheckpointRequest:
    """Return the request for what *query* wants."""
    return pb.StreamCheckpointRequest(
        fold_version=query.fold_version,
        checkpoint_id=query.checkpoint_id,
        held_chunk_count=query.held_count,
    )


def encode_item(item: Offer | HashedChunk) -> Iterator[pb.StreamCheckpointResponse]:
    """Yield the responses that *item* takes, none of them large."""
    if isinstance(item, Offer):
        yield pb.StreamCheckpointResponse(offer=_offer(item))
        return
    chunk, own_hash = item.chunk, item.own_hash
    table, number, body = chunk.table, chunk.number, chunk.body
    for at in range(0, len(body), PART_BYTES):
        last = at + PART_BYTES >= len(body)
        part = pb.CheckpointPart(
            table=table,
            number=number,
            body=body[at : at + PART_BYTES],
            chunk_hash=own_hash if last else b"",
        )
        yield pb.StreamCheckpointResponse(part=part)


def _offer(offered: Offer) -> pb.CheckpointOffer:
    header = offered.header
    proto = pb.CheckpointOffer(
        checkpoint_id=offered.checkpoint_id,
        epoch=header.epoch,
        sequence=header.sequence,
        fold_version=header.fold_version,
        message_hash=header.message_hash,
        seal=offered.seal,
        chunk_count=offered.chunk_count,
        body_bytes=offered.body_bytes,
    )
    encode_time(header.store_time_ns, proto.store_time)
    return proto


class Parts:
    """Makes items of responses again."""

    def __init__(self) -> None:
        """Hold no part yet."""
        self._bodies: list[bytes] = []
        self._size = 0
        self._of: tuple[str, int] | None = None

    def take(self, response: pb.StreamCheckpointResponse) -> Offer | HashedChunk | None:
        """Return what is whole with *response*; None: more of it is to come.

        Raises CheckpointRefusedError for what nobody of ours sends.
        """
        match response.WhichOneof("item"):
            case "offer":
                return decode_offer(response.offer)
            case "part":
                return self._take(response.part)
            case _:
                message = "it sends what is neither an offer nor a part"
                raise CheckpointRefusedError(message)

    def _take(self, part: pb.CheckpointPart) -> HashedChunk | None:
        place = (part.table, part.number)
        self._size += len(part.body)
        if self._of not in {None, place} or self._size > CHUNK_BYTES_MAX:
            message = f"a part of chunk {part.number} is out of place, or too large"
            raise CheckpointRefusedError(message)
        self._of = place
        self._bodies.append(part.body)
        if not part.chunk_hash:
            return None
        body = b"".join(self._bodies)
        self._bodies, self._size, self._of = [], 0, None
        return HashedChunk(Chunk(*place, body), part.chunk_hash)


def decode_offer(proto: pb.CheckpointOffer) -> Offer:
    """Return what is offered; nothing of it is believed yet."""
    header = CheckpointHeader(
        proto.epoch,
        proto.sequence,
        nanoseconds(proto.store_time),
        proto.fold_version,
        proto.message_hash,
    )
    size = (proto.chunk_count, proto.body_bytes)
    return Offer(proto.checkpoint_id, header, proto.seal, *size)
