"""The tags of a repository, read in steps between which others may run.

There may be a hundred thousand of them: to read and sort them all at once takes
seconds.
"""

from collections.abc import Generator, Iterable, Iterator
from heapq import merge
from typing import TYPE_CHECKING, Final, TypeVar

from placement.core.oci import Tag
from placement.core.state import State
from placement.core.tables.records import TagPointer
from placement.core.tables.table import Row

if TYPE_CHECKING:
    from _typeshed import SupportsRichComparison

STEP: Final = 64
"""So many tags are read at a step: less than a millisecond."""
RUN: Final = 512
"""So many are sorted at once: a hundred thousand are 200 lists to be merged."""

Item = TypeVar("Item", bound="SupportsRichComparison")


def each_tag(state: State, owner: Row) -> Iterator[tuple[Tag, TagPointer] | None]:
    """Yield a repository's tags, in no order; None: a step is done."""
    for count, row in enumerate(tuple(state.indexes.tags_of(owner)), 1):
        found = state.tag_at(row)
        if found is not None:
            yield found
        if not count % STEP:
            yield None


def tags_to(
    state: State, owner: Row, digest: Row
) -> Generator[None, None, tuple[Tag, ...]]:
    """Return a repository's tags that point to *digest*, by name.

    Let others run at each step.
    """
    runs = yield from sorted_runs(pointing(state, owner, digest))
    found = []
    for tag in merge(*runs):
        found.append(tag)
        if not len(found) % STEP:
            yield
    return tuple(found)


def pointing(state: State, owner: Row, digest: Row) -> Iterator[Tag | None]:
    """Yield the tags that point to *digest*, in no order; None: a step is done."""
    for count, row in enumerate(tuple(state.indexes.tags_of(owner)), 1):
        if state.tag_target(row) == digest:
            found = state.tag_at(row)
            if found is not None:
                yield found[0]
        if not count % STEP:
            yield None


def sorted_runs(
    items: Iterable[Item | None],
) -> Generator[None, None, list[list[Item]]]:
    """Return *items* in lists that are sorted each, for ``heapq.merge``.

    Let others run at each step: where an item is None, and after each list.
    """
    runs: list[list[Item]] = []
    run: list[Item] = []
    for item in items:
        if item is None:
            yield
            continue
        run.append(item)
        if len(run) == RUN:
            runs.append(sorted(run))
            run = []
            yield
    runs.append(sorted(run))
    return runs
