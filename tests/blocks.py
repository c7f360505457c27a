"""Blocks made from recorded messages, as the decoder makes them from their bytes."""

from collections.abc import Sequence

import numpy as np

from placement.core.block import Block, Frame, Pulls
from placement.core.event import ContentPulled, Recorded, RecordedMessage, SetAside
from placement.core.oci import Digest


def block_of(messages: Sequence[RecordedMessage]) -> Block:
    """Return *messages*, which follow each other, as one block."""
    frames: list[Frame] = []
    every: list[Recorded | SetAside] = []
    for message in messages:
        place, count = len(every), len(message.items)
        stored_ns, marked = message.store_time_ns, message.message_hash
        frames.append(Frame(message.sequence, stored_ns, marked, place, count))
        every += message.items
    columned = [place for place, item in enumerate(every) if _is_plain(item)]
    pulled = [item for item in every if _is_plain(item)]
    return Block(
        tuple(frames),
        [i.event.event_id if isinstance(i, Recorded) else "" for i in every],
        [None if _is_plain(item) else item for item in every],
        _pulls(columned, [item for item in pulled if isinstance(item, Recorded)]),
        lambda place: _recorded(every[place]),
    )


def _recorded(item: Recorded | SetAside) -> Recorded:
    assert isinstance(item, Recorded)
    return item


def _is_plain(item: Recorded | SetAside) -> bool:
    if isinstance(item, SetAside) or not isinstance(item.event.fact, ContentPulled):
        return False
    event, fact = item.event, item.event.fact
    named = event.app or event.organization
    return not named and fact.tag is None and fact.digest.startswith("sha256:")


def _pulls(places: list[int], pulled: list[Recorded]) -> Pulls:
    names: list[str] = []

    def place_of(text: str | None) -> int:
        if text is None:
            return -1
        if text not in names:
            names.append(text)
        return names.index(text)

    facts = [fact for r in pulled if isinstance(fact := r.event.fact, ContentPulled)]
    codes = [
        [place_of(fact.repository) for fact in facts],
        [place_of(one.event.region) for one in pulled],
        [place_of(fact.client_region) for fact in facts],
        [place_of(fact.source_region) for fact in facts],
        [place_of(fact.media_type) for fact in facts],
    ]
    repository, region, client, source, media = (np.array(c, np.int32) for c in codes)
    return Pulls(
        index=np.array(places, np.int64),
        batch_index=np.array([one.batch_index for one in pulled], np.int64),
        time_ns=np.array([one.time_ns for one in pulled], np.int64),
        store_time_ns=np.array([one.store_time_ns for one in pulled], np.int64),
        digests=_packed([fact.digest for fact in facts]),
        repository=repository,
        region=region,
        client=client,
        source=source,
        media=media,
        transferred_bytes=np.array([f.transferred_bytes for f in facts], np.int64),
        duration_ns=np.array([f.pull_duration_ns or 0 for f in facts], np.int64),
        client_kind=np.array([fact.client_kind for fact in facts], np.int8),
        names=names,
    )


def _packed(digests: list[Digest]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    raw = b"".join(bytes.fromhex(text.removeprefix("sha256:")) for text in digests)
    return np.frombuffer(raw, np.uint8).reshape(-1, 32)
