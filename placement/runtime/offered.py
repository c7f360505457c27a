"""Whether what a peer offers is of any use to us, before anything of it is taken."""

import asyncio

from placement.core.fold import FOLD_VERSION
from placement.offers import CHUNKS_MAX, Offer
from placement.ports import EventLog, LogUnavailableError
from placement.runtime.epochs import Position, inspect


def useless(offered: Offer, after_sequence: int, bytes_max: int) -> str:
    """Return why nobody would want it; empty: it may be of use."""
    header = offered.header
    if header.fold_version != FOLD_VERSION:
        return f"it was folded by version {header.fold_version}, ours {FOLD_VERSION}"
    if header.sequence <= after_sequence:
        return f"it ends at {header.sequence}, and ours at {after_sequence}"
    if not 0 < offered.body_bytes <= bytes_max:
        return f"it has {offered.body_bytes} bytes, and {bytes_max} are allowed"
    if not 0 < offered.chunk_count <= CHUNKS_MAX:
        return f"it has {offered.chunk_count} chunks, and {CHUNKS_MAX} are allowed"
    return ""


async def foreign(offered: Offer, log: EventLog, retry_seconds: float) -> str:
    """Return why it is not of our *log*, which is waited for; empty: it is.

    Where the log was trimmed up to the message that was folded last, that is not there
    to be compared: the log's own name must do.
    """
    header = offered.header
    position = Position(header.epoch, header.sequence, header.message_hash)
    while True:
        try:
            return (await inspect(log, position)).why
        except LogUnavailableError:
            await asyncio.sleep(retry_seconds)
