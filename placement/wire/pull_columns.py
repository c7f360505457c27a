"""ContentPulled events as columns: what both ways of reading them give, and its checks.

The same parsers decide as for an event alone, once for each distinct text. Whatever
they refuse is left to ``decode_items``, which knows the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from placement.core.block import Bytes, Codes, Numbers, Pulls
from placement.core.errors import InputError
from placement.core.event import ClientKind
from placement.core.oci import parse_digest, parse_repository, parse_tag
from placement.core.topology import parse_region
from placement.wire.events import FUTURE_NS_MAX
from placement.wire.fields import (
    COUNT_MAX,
    DURATION_NS_MAX,
    SECOND_NS,
    TIME_NS_MAX,
    parse_name,
)

NAMES_REMEMBERED: Final = 1 << 14
DIGEST_CHARACTERS: Final = 71
"""``sha256:`` and 64 of hexadecimal."""
_KINDS: Final = np.array(tuple(ClientKind))
"""Another is a newer publisher's: not specified, for us."""
PREFIX: Final = np.frombuffer(b"sha256:", np.uint8)
NO_DIGIT: Final = 255
NIBBLES: Final = np.full(256, NO_DIGIT, np.uint8)
NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)

Flags = NDArray[np.bool_]


@dataclass(slots=True)
class Found:
    """Events that may stand in columns, as they were read, all columns of one length.

    Their ids are identifiers and their digests are in order; nothing else is checked.
    Names are places in ``texts``, of which none is -1: what is not said is empty.
    """

    index: Numbers
    digests: Bytes
    dated: Flags
    """Whether a time is told."""
    seconds: Numbers
    nanos: Numbers
    duration_seconds: Numbers
    duration_nanos: Numbers
    transferred_bytes: Numbers
    size_bytes: Numbers
    client_kind: Numbers
    region: Codes
    publisher: Codes
    repository: Codes
    client: Codes
    source: Codes
    media: Codes
    texts: list[str]


@dataclass(slots=True)
class Stored:
    """By event of a block: what its message says of it."""

    time_ns: Numbers
    batch_index: Numbers
    region: Codes
    """A place in the texts of what was found."""


def pulls_of(found: Found, stored: Stored) -> Pulls:
    """Return those of *found* about which nothing is odd."""
    stored_ns = stored.time_ns[found.index]
    occurred_ns = np.where(
        found.dated, _time_ns(found.seconds, found.nanos, TIME_NS_MAX), stored_ns
    )
    duration_ns = _time_ns(
        found.duration_seconds, found.duration_nanos, DURATION_NS_MAX
    )
    empty = np.zeros(len(found.texts), np.bool_)
    if "" in found.texts:
        empty[found.texts.index("")] = True  # each is there once
    right = (
        (found.region == stored.region[found.index])
        & _fit(found.region, found.texts, is_region)
        & _fit(found.repository, found.texts, is_repository)
        & (_fit(found.client, found.texts, is_region) | empty[found.client])
        & (_fit(found.source, found.texts, is_region) | empty[found.source])
        & _fit(found.media, found.texts, is_name)
        & _fit(found.publisher, found.texts, is_name)
        & (occurred_ns > 0 | ~found.dated)
        & (occurred_ns - FUTURE_NS_MAX <= stored_ns)
        & (duration_ns >= 0)
        & _counted(found.transferred_bytes)
        & _counted(found.size_bytes)
    )
    kept = np.flatnonzero(right)
    said = np.where(empty, -1, np.arange(len(empty))).astype(np.int32)
    kinds = found.client_kind[kept]
    return Pulls(
        index=found.index[kept],
        batch_index=stored.batch_index[found.index[kept]],
        time_ns=np.minimum(occurred_ns, stored_ns)[kept],
        store_time_ns=stored_ns[kept],
        digests=found.digests[kept],
        repository=found.repository[kept],
        region=found.region[kept],
        client=said[found.client[kept]],
        source=said[found.source[kept]],
        media=found.media[kept],
        transferred_bytes=found.transferred_bytes[kept],
        duration_ns=duration_ns[kept],
        client_kind=np.where(_known(kinds), kinds, 0).astype(np.int8),
        names=found.texts,
    )


def digests_of(texts: bytes) -> Bytes | None:
    """Return what texts of DIGEST_CHARACTERS stand for, each 32 bytes; None: odd ones.

    They are given one right after the other.
    """
    rows = np.frombuffer(texts, np.uint8).reshape(-1, DIGEST_CHARACTERS)
    nibbles = NIBBLES[rows[:, len(PREFIX) :]]
    if (rows[:, : len(PREFIX)] != PREFIX).any() or (nibbles == NO_DIGIT).any():
        return None
    return nibbles[:, ::2] << np.uint8(4) | nibbles[:, 1::2]


def _time_ns(seconds: Numbers, nanos: Numbers, most_ns: int) -> Numbers:
    """Return both in nanoseconds; -1 for what is no time, or beyond *most_ns*."""
    right = (seconds >= 0) & (seconds <= most_ns // SECOND_NS)
    right &= (nanos >= 0) & (nanos < SECOND_NS)
    time_ns = np.where(right, seconds, 0) * SECOND_NS + nanos
    return np.where(right & (time_ns <= most_ns), time_ns, -1)


def _counted(values: Numbers) -> Flags:
    return (values >= 0) & (values <= COUNT_MAX)


def _fit(column: Codes, texts: list[str], fits: Callable[[str], bool]) -> Flags:
    """Return by row whether the text that *column* names will do."""
    flags = np.zeros(len(texts), np.bool_)
    [named] = np.bincount(column, minlength=len(texts)).nonzero()
    flags[named] = [fits(texts[place]) for place in named.tolist()]
    right: Flags = flags[column]
    return right


def _known(kinds: Numbers) -> Flags:
    known: Flags = (kinds[:, None] == _KINDS).any(axis=1)
    return known


@lru_cache(NAMES_REMEMBERED)
def is_region(text: str) -> bool:
    """Say whether *text* is a region's code."""
    return _accepted(parse_region, text)


@lru_cache(NAMES_REMEMBERED)
def is_repository(text: str) -> bool:
    """Say whether *text* is a repository's name."""
    return _accepted(parse_repository, text)


@lru_cache(NAMES_REMEMBERED)
def is_name(text: str) -> bool:
    """Say whether *text* will do as a name of anything else."""
    return _accepted(parse_name, text)


@lru_cache(NAMES_REMEMBERED)
def is_tag(text: str) -> bool:
    """Say whether *text* is a tag."""
    return _accepted(parse_tag, text)


@lru_cache(NAMES_REMEMBERED)
def is_digest(text: str) -> bool:
    """Say whether *text* is a digest, of whatever kind."""
    return _accepted(parse_digest, text)


def _accepted(parse: Callable[[str, str], object], text: str) -> bool:
    try:
        parse(text, "")
    except InputError:
        return False
    return True
