"""What people look for by a part of its name: repositories, tags and digests.

A question walks over every name once, in steps between which others may run; it keeps
no more than the page that was asked for.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final, NamedTuple

import numpy as np

from placement.core.errors import InputError
from placement.core.oci import Repository, Tag
from placement.core.state import State
from placement.core.tables.table import ABSENT, Row

HEX_DIGITS_MIN: Final = 7
"""A digest is looked for by so many digits or more: fewer mean too many."""
LENGTH_MAX: Final = 400
"""A repository's longest name, and a digest."""
TAGS_READ_MAX: Final = 10_000
"""Of so many tags, and of as many contents of the repositories that fit, is looked."""
DIGESTS_FOUND_MAX: Final = 1_000
"""Contents whose digests begin so; further ones are not looked at."""
_CHUNK: Final = 2**20
"""Digests that are compared at a step: a few milliseconds."""
_WORD_DIGITS: Final = 8
_SHA256: Final = "sha256"
_HEX: Final = re.compile(r"[0-9a-f]*")
_NAME: Final = re.compile(r"[a-z0-9._/-]*")
_TAG: Final = re.compile(r"[A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for: a part of a repository's name, and what of that repository.

    *tag* and *hex_digits* are how it begins; None: the repository itself is meant. With
    hex digits alone *name* is empty, and contents of any repository are meant.
    """

    name: str
    tag: str | None = None
    hex_digits: str | None = None
    algorithm: str = ""
    """Of the digest; empty: any."""


class Hit(NamedTuple):
    """One thing that was found; hits are in the order of these names."""

    repository: Repository
    tag: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class HitPage:
    """Hits in the order of their names, and whether there are more after them.

    *cut*: so much fits that not all of it was looked at.
    """

    hits: tuple[Hit, ...]
    more: bool
    cut: bool = False


def parse_sought(text: str, field: str = "q") -> tuple[Sought, ...]:
    """Return what *text* may mean, each reading once; raises InputError.

    ``acme/web``, ``acme/web:v1``, ``acme/web@sha256:c0ffee1``, ``sha256:c0ffee1`` or
    ``c0ffee1``; names and digests may be parts.
    """
    if len(text) > LENGTH_MAX:
        raise InputError(field, text, f"give at most {LENGTH_MAX} characters")
    name, at, digest = text.partition("@")
    if at:
        return (_of_digest(field, text, name, digest),)
    head, colon, tail = text.rpartition(":")
    if colon and head in {_SHA256, "sha512"}:
        return (_of_digest(field, text, "", text),)
    if colon:
        if not _NAME.fullmatch(head) or not _TAG.fullmatch(tail):
            raise _unreadable(field, text)
        return (Sought(head, tag=tail),)
    lowered = text.lower()
    if not _NAME.fullmatch(lowered):
        raise _unreadable(field, text)
    named = Sought(lowered)
    if len(lowered) >= HEX_DIGITS_MIN and _HEX.fullmatch(lowered):
        return named, Sought("", hex_digits=lowered)
    return (named,)


def _of_digest(field: str, text: str, name: str, digest: str) -> Sought:
    algorithm, _, digits = digest.rpartition(":")
    digits = digits.lower()
    fits = _NAME.fullmatch(name) and _HEX.fullmatch(digits)
    if not fits or algorithm not in {"", _SHA256, "sha512"}:
        raise _unreadable(field, text)
    if len(digits) < HEX_DIGITS_MIN:
        remedy = f"give at least {HEX_DIGITS_MIN} hex digits of the digest"
        raise InputError(field, text, remedy)
    return Sought(name, hex_digits=digits, algorithm=algorithm)


def _unreadable(field: str, text: str) -> InputError:
    remedy = (
        "give a repository or a part of its name, REPOSITORY:TAG, REPOSITORY@DIGEST, "
        "or a digest or how it begins"
    )
    return InputError(field, text, remedy)


def search(
    state: State, sought: tuple[Sought, ...], after: Hit | None, count: int
) -> Generator[None, None, HitPage]:
    """Return the first *count* hits that come after *after*, by name.

    Let others run at each step.
    """
    best: list[Hit] = []
    cut = False
    for one in sought:
        finding = _by_digest(state, one) if _digest_alone(one) else _by_name(state, one)
        gathered: list[Hit] = []
        for hit in finding:
            if isinstance(hit, Hit):
                if after is None or hit > after:
                    gathered.append(hit)
            elif hit is _CUT:
                cut = True
            if len(gathered) > 2 * count:
                gathered = nsmallest(count + 1, gathered)
            yield
        best = nsmallest(count + 1, {*best, *gathered})
    return HitPage(tuple(best[:count]), len(best) > count, cut)


_CUT: Final = object()
"""Stands among hits for: there was more than is looked at."""


def _digest_alone(sought: Sought) -> bool:
    return sought.hex_digits is not None and not sought.name


def _by_name(state: State, sought: Sought) -> Iterator[object]:
    """Yield hits in the repositories whose name fits, and None for every other one."""
    read = 0
    for key, row in list(state.repositories.rows()):
        name = Repository(key.decode())
        if sought.name not in name or not state.sees_repository(row):
            yield None
        elif sought.tag is None and sought.hex_digits is None:
            yield Hit(name)
        else:
            for hit in _within(state, sought, name, row):
                if read == TAGS_READ_MAX:
                    yield _CUT
                    return
                read += 1
                yield hit


def _within(
    state: State, sought: Sought, name: Repository, row: Row
) -> Iterator[Hit | None]:
    """Yield what fits, and None for what does not; the very tag that is sought first.

    So that is found however many others there are.
    """
    if sought.tag is not None:
        exact = state.tag(name, Tag(sought.tag))
        if exact is not None:
            yield Hit(name, sought.tag, exact.digest)
        for at in tuple(state.indexes.tags_of(row)):
            found = state.tag_at(at)
            tag, pointer = found or ("", None)
            fits = pointer and tag.startswith(sought.tag) and tag != sought.tag
            yield Hit(name, tag, pointer.digest) if pointer and fits else None
        return
    for placement in state.indexes.placements_in(row):
        digest = state.digest_at(state.content_of(placement))
        yield Hit(name, "", digest) if _begins(sought, digest) else None


def _by_digest(state: State, sought: Sought) -> Iterator[object]:
    """Yield the placements of the digests that begin as is sought."""
    found = 0
    for row in _digest_rows(state, sought):
        if row == ABSENT or not _begins(sought, state.digest_at(row)):
            yield None
            continue
        if found == DIGESTS_FOUND_MAX:
            yield _CUT
            return
        found += 1
        for placement in state.indexes.placements_of(row):
            if state.sees_placement(placement):
                repository, digest = state.placement_at(placement)
                yield Hit(repository, "", digest)


def _digest_rows(state: State, sought: Sought) -> Iterator[Row]:
    """Yield the rows whose digests may begin so, and ABSENT between the steps."""
    digits = (sought.hex_digits or "")[:_WORD_DIGITS]
    width = 4 * (_WORD_DIGITS - len(digits))
    least = int(digits, 16) << width
    first, count = 0, len(state.digests.parts(0))
    while first < count:
        last = min(first + _CHUNK, count)
        yield from _fitting(state, range(first, last), least, 1 << width)
        yield ABSENT
        first = last


def _fitting(state: State, rows: range, least: int, width: int) -> list[Row]:
    """Return those of *rows* whose digest's first word is within *width* of *least*.

    And those of another algorithm, whose first word says nothing. No view of a table
    outlives this: it could not grow.
    """
    table = state.digests
    words = table.parts(0)[rows.start : rows.stop].byteswap()
    fits = (words >= least) & (words <= least + width - 1)
    fits &= table.in_use(rows.start, rows.stop)
    fits[table.odd_among(np.arange(rows.start, rows.stop))] = True
    return [Row(rows.start + at) for at in np.flatnonzero(fits).tolist()]


def _begins(sought: Sought, digest: str) -> bool:
    algorithm, _, digits = digest.partition(":")
    named = sought.algorithm in {"", algorithm}
    return named and digits.startswith(sought.hex_digits or "")
