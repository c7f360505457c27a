"""Blocks made from recorded messages, as the decoder makes them from their bytes."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placement.core.block import Block, Frame, Pulls, Starts, Stops
from placement.core.event import (
    ContentPulled,
    MachineStarted,
    MachineStopped,
    Recorded,
    RecordedMessage,
    SetAside,
)
from placement.core.oci import Digest


def block_of(messages: Sequence[RecordedMessage]) -> Block:
    """Return *messages*, which follow each other, as one block."""
    frames: list[Frame] = []
    every: list[Recorded | SetAside] = []
    for message in messages:
        place, count = len(every), len(message.items)
        stored_ns, hashed = message.store_time_ns, partial(_hash_of, message)
        frames.append(Frame(message.sequence, stored_ns, hashed, place, count))
        every += message.items
    plain = [
        (place, item)
        for place, item in enumerate(every)
        if isinstance(item, Recorded) and _is_plain(item)
    ]
    columned = {place for place, _ in plain}
    return Block(
        tuple(frames),
        [i.event.event_id if isinstance(i, Recorded) else "" for i in every],
        [None if place in columned else item for place, item in enumerate(every)],
        _pulls(_of(plain, ContentPulled)),
        _starts(_of(plain, MachineStarted)),
        _stops(_of(plain, MachineStopped)),
        lambda place: _recorded(every[place]),
    )


def _hash_of(message: RecordedMessage) -> bytes:
    return message.message_hash


def _recorded(item: Recorded | SetAside) -> Recorded:
    assert isinstance(item, Recorded)
    return item


Placed = list[tuple[int, Recorded, Any]]
"""Events of a kind: the place in the block, the event, and its fact."""


def _of(plain: list[tuple[int, Recorded]], kind: type) -> Placed:
    return [
        (place, one, one.event.fact)
        for place, one in plain
        if isinstance(one.event.fact, kind)
    ]


def _is_plain(item: Recorded) -> bool:
    event, fact = item.event, item.event.fact
    if event.app or event.organization:
        return False
    if isinstance(fact, ContentPulled):
        return fact.tag is None and fact.digest.startswith("sha256:")
    if isinstance(fact, MachineStarted):
        return fact.digest.startswith("sha256:")
    return isinstance(fact, MachineStopped)


class _Names(list[str]):
    """Texts, each once."""

    def codes(self, texts: Sequence[str | None]) -> NDArray[np.int32]:
        """Return the places of *texts*, -1 for None; what is new is added."""
        for text in texts:
            if text is not None and text not in self:
                self.append(text)
        found = [-1 if text is None else self.index(text) for text in texts]
        return np.array(found, np.int32)


def _where(placed: Placed) -> dict[str, NDArray[np.int64]]:
    return {
        "index": np.array([place for place, _, _ in placed], np.int64),
        "batch_index": np.array([one.batch_index for _, one, _ in placed], np.int64),
        "time_ns": np.array([one.time_ns for _, one, _ in placed], np.int64),
        "store_time_ns": np.array([r.store_time_ns for _, r, _ in placed], np.int64),
    }


def _pulls(placed: Placed) -> Pulls:
    names, facts = _Names(), [fact for _, _, fact in placed]
    return Pulls(
        **_where(placed),
        digests=_packed([fact.digest for fact in facts]),
        repository=names.codes([fact.repository for fact in facts]),
        region=names.codes([one.event.region for _, one, _ in placed]),
        client=names.codes([fact.client_region for fact in facts]),
        source=names.codes([fact.source_region for fact in facts]),
        media=names.codes([fact.media_type for fact in facts]),
        transferred_bytes=np.array([f.transferred_bytes for f in facts], np.int64),
        duration_ns=np.array([f.pull_duration_ns or 0 for f in facts], np.int64),
        client_kind=np.array([fact.client_kind for fact in facts], np.int8),
        names=names,
    )


def _starts(placed: Placed) -> Starts:
    names, facts = _Names(), [fact for _, _, fact in placed]
    return Starts(
        **_where(placed),
        digests=_packed([fact.digest for fact in facts]),
        repository=names.codes([fact.repository for fact in facts]),
        region=names.codes([one.event.region for _, one, _ in placed]),
        source=names.codes([fact.source_region for fact in facts]),
        transferred_bytes=np.array([f.transferred_bytes for f in facts], np.int64),
        wait_ns=_told([fact.image_wait_ns for fact in facts]),
        expected_p50_ns=_told([fact.expected_wait_p50_ns for fact in facts]),
        expected_p90_ns=_told([fact.expected_wait_p90_ns for fact in facts]),
        cache=np.array([fact.cache for fact in facts], np.int8),
        machines=[fact.machine_id for fact in facts],
        names=names,
    )


def _stops(placed: Placed) -> Stops:
    names = _Names()
    return Stops(
        **_where(placed),
        region=names.codes([one.event.region for _, one, _ in placed]),
        machines=[fact.machine_id for _, _, fact in placed],
        names=names,
    )


def _told(values: Sequence[int | None]) -> NDArray[np.int64]:
    return np.array([-1 if value is None else value for value in values], np.int64)


def _packed(digests: list[Digest]) -> NDArray[np.uint8]:
    raw = b"".join(bytes.fromhex(text.removeprefix("sha256:")) for text in digests)
    return np.frombuffer(raw, np.uint8).reshape(-1, 32)
