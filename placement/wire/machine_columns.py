"""MachineStarted and MachineStopped events to columns, out of protobuf's own objects.

The same parsers decide as for an event alone. Whatever they refuse, or columns have no
room for, is left to ``decode_items``.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import numpy as np

from placement.core.block import Codes, Numbers, Starts, Stops
from placement.core.event import CacheKind
from placement.ports import Message
from placement.v1 import events_pb2 as pb
from placement.wire.events import FUTURE_NS_MAX
from placement.wire.fields import (
    COUNT_MAX,
    DURATION_NS_MAX,
    IDENTIFIER,
    SECOND_NS,
    TIME_NS_MAX,
)
from placement.wire.pull_columns import (
    DIGEST_CHARACTERS,
    digests_of,
    is_digest,
    is_name,
    is_region,
    is_repository,
    is_tag,
)

Row = tuple[Any, ...]
"""Place in the block and in its message, time and store time; then what it says."""
STARTED: Final = "machine_started"
STOPPED: Final = "machine_stopped"
OF_MACHINES: Final = frozenset((STARTED, STOPPED))
_CACHES: Final = frozenset(map(int, CacheKind))
"""Another is a newer publisher's: not specified, for us."""
_ABSENT: Final = -1
_ODD: Final = -2


class Texts(dict[str, int]):
    """A place for each text, given when it is first asked for."""

    def __missing__(self, text: str) -> int:
        """Give *text* the next place."""
        place = self[text] = len(self)
        return place

    def places(self, texts: Iterable[str]) -> Codes:
        """Return the places of *texts*."""
        return np.fromiter(map(self.__getitem__, texts), np.int32)

    def places_said(self, texts: Iterable[str]) -> Codes:
        """Return the places of *texts*, -1 for empty ones."""
        found = [self[text] if text else _ABSENT for text in texts]
        return np.array(found, np.int32)


class MachineRows:
    """Starts and stops of machines, as they are read."""

    def __init__(self) -> None:
        """Begin with none."""
        self._starts: list[Row] = []
        self._stops: list[Row] = []

    def add(
        self, event: pb.Event, fact: str, message: Message, region: str, *place: int
    ) -> bool:
        """Add an event, unless something is odd about it; say whether it was added.

        *place* is the one in the block, and the one in its message, for *region*.
        """
        time_ns = _time_ns(event, message.store_time_ns)
        right = (
            event.region == region
            and time_ns > 0
            and not event.organization
            and not event.app
            and is_region(region)
            and is_name(event.publisher)
            and IDENTIFIER.fullmatch(event.event_id) is not None
        )
        if not right:
            return False
        row = (*place, time_ns, message.store_time_ns, region)
        if fact == STARTED:
            told = _started(event.machine_started)
            self._starts += [row + told] * bool(told)
        else:
            told = _stopped(event.machine_stopped)
            self._stops += [row + told] * bool(told)
        return bool(told)

    def starts(self) -> Starts:
        """Return the starts that were added."""
        return _starts_of(self._starts) if self._starts else _no_starts()

    def stops(self) -> Stops:
        """Return the stops that were added."""
        return _stops_of(self._stops) if self._stops else _no_stops()


def _starts_of(rows: list[Row]) -> Starts:
    columns = list(zip(*rows, strict=True)) or [()] * _START_LENGTH
    region, machines, digests, repository, source, cache = columns[4:10]
    packed = digests_of("".join(digests).encode())
    assert packed is not None, "they are plain"
    texts = Texts()
    return Starts(
        index=_numbers(columns[0]),
        batch_index=_numbers(columns[1]),
        time_ns=_numbers(columns[2]),
        store_time_ns=_numbers(columns[3]),
        digests=packed,
        repository=texts.places(repository),
        region=texts.places(region),
        source=texts.places_said(source),
        transferred_bytes=_numbers(columns[10]),
        wait_ns=_numbers(columns[11]),
        expected_p50_ns=_numbers(columns[12]),
        expected_p90_ns=_numbers(columns[13]),
        cache=np.array(cache, np.int8),
        machines=list(machines),
        names=list(texts),
    )


def _stops_of(rows: list[Row]) -> Stops:
    columns = list(zip(*rows, strict=True)) or [()] * _STOP_LENGTH
    texts = Texts()
    return Stops(
        index=_numbers(columns[0]),
        batch_index=_numbers(columns[1]),
        time_ns=_numbers(columns[2]),
        store_time_ns=_numbers(columns[3]),
        region=texts.places(columns[4]),
        machines=list(columns[5]),
        names=list(texts),
    )


@cache
def _no_starts() -> Starts:
    return _starts_of([])


@cache
def _no_stops() -> Stops:
    return _stops_of([])


def _numbers(values: Iterable[int]) -> Numbers:
    return np.array(values, np.int64)


def _time_ns(event: pb.Event, store_time_ns: int) -> int:
    """Return when *event* happened; _ODD if it says what is not accepted."""
    if not event.HasField("occur_time"):
        return store_time_ns
    time_ns = _nanoseconds(event.occur_time, TIME_NS_MAX)
    if time_ns > store_time_ns + FUTURE_NS_MAX:
        return _ODD
    return min(time_ns, store_time_ns)


def _nanoseconds(told: Any, most_ns: int) -> int:  # noqa: ANN401 - Timestamp or Duration
    """Return what is *told* in nanoseconds; _ODD for what is not accepted."""
    seconds, nanos = told.seconds, told.nanos
    time_ns: int = seconds * SECOND_NS + nanos
    right = 0 <= time_ns <= most_ns and 0 <= nanos < SECOND_NS
    return time_ns if right else _ODD


def _started(fact: pb.MachineStarted) -> Row:
    """Return what columns hold of a start; nothing if there is anything odd."""
    machine, digest, repository = fact.machine_id, fact.digest, fact.repository
    source, tag, cache = fact.source_region, fact.tag, int(fact.cache)
    waits = [
        _nanoseconds(getattr(fact, name), DURATION_NS_MAX)
        if fact.HasField(name)
        else _ABSENT
        for name in _WAITS
    ]
    right = (
        IDENTIFIER.fullmatch(machine) is not None
        and len(digest) == DIGEST_CHARACTERS
        and is_digest(digest)
        and is_repository(repository)
        and (not source or is_region(source))
        and (not tag or is_tag(tag))
        and 0 <= fact.transferred_bytes <= COUNT_MAX
        and _ODD not in waits
        and _is_fit(fact)
    )
    if not right:
        return ()
    cache = cache if cache in _CACHES else 0
    told = (machine, digest, repository, source, cache)
    return (*told, fact.transferred_bytes, *waits)


def _is_fit(fact: pb.MachineStarted) -> bool:
    """Say whether what columns leave out is accepted."""
    if fact.HasField("request_time"):
        time_ns = _nanoseconds(fact.request_time, TIME_NS_MAX)
        if time_ns <= 0:
            return False
    if not fact.HasField("platform"):
        return True
    platform = fact.platform
    parts = (platform.os, platform.architecture, platform.variant)
    return all(map(is_name, parts))


def _stopped(fact: pb.MachineStopped) -> Row:
    """Return what columns hold of a stop; nothing if there is anything odd."""
    machine, digest, repository = fact.machine_id, fact.digest, fact.repository
    right = (
        IDENTIFIER.fullmatch(machine) is not None
        and (not digest or is_digest(digest))
        and (not repository or is_repository(repository))
    )
    return (machine,) if right else ()


_WAITS: Final = ("image_wait", "expected_wait_p50", "expected_wait_p90")
_STOP_LENGTH: Final = 6
_START_LENGTH: Final = _STOP_LENGTH + 5 + len(_WAITS)
