"""The page of a repository: its tags, and in how many regions each of them is."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Final

from placement.console.asked import Asked, address
from placement.console.decisions import decisions_link
from placement.console.moment import AS_OF, Moment, When
from placement.console.page import Page
from placement.core.graph import standing
from placement.core.lookup import known_repository
from placement.core.oci import Repository, Tag
from placement.core.state import State
from placement.core.tables.records import TagPointer
from placement.core.tables.table import Row
from placement.core.tag_steps import each_tag, sorted_runs
from placement.core.topology import Region
from placement.runtime.slices import in_slices

TAGS_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag: what it points to, who set it and when, and where all of it is."""

    tag: str
    digest: str
    link: str
    set_in: Region
    set_ns: int
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class RepositoryModel:
    """A repository's tags, the one that was set last first; a page of them."""

    repository: Repository
    organization: str
    app: str
    tag_count: int
    content_count: int
    rows: tuple[TagRow, ...]
    first: int
    """The number of the first of them; 0: there are none."""
    previous_link: str
    next_link: str
    decisions_link: str
    when: When


async def repository_page(now: Moment, asked: Asked, repository: Repository) -> Page:
    """Return a page of tags; raises NameUnknownError and InputError."""
    most = 1 + len(now.state.tags) // TAGS_SHOWN
    number = asked.number("page", 1, max(1, most), 1)
    model = await in_slices(repository_model(now, repository, number, asked))
    return Page("repository.html", repository, {"model": model}, live=not now.as_of)


def repository_model(
    now: Moment, repository: Repository, number: int, asked: Asked
) -> Generator[None, None, RepositoryModel]:
    """Return page *number* of the tags, from 1; let others run at each step.

    Raises NameUnknownError.
    """
    state = now.state
    owner = known_repository(state, repository)
    runs = yield from sorted_runs(_by_age(state, owner))
    count, begin = sum(map(len, runs)), (number - 1) * TAGS_SHOWN
    ordered = merge(*runs)
    for _ in islice(ordered, begin):
        yield
    app = state.app_of(owner)
    organization, app_name = state.app_name(app) if app >= 0 else ("", "")
    rows = []
    for _, tag, pointer in islice(ordered, TAGS_SHOWN):
        rows.append(_row(state, owner, tag, pointer, now.as_of))
        yield
    return RepositoryModel(
        repository,
        organization,
        app_name,
        count,
        len(state.indexes.placements_in(owner)),
        tuple(rows),
        begin + 1 if rows else 0,
        asked.link(page=str(number - 1)) if number > 1 else "",
        asked.link(page=str(number + 1)) if begin + TAGS_SHOWN < count else "",
        decisions_link(repository),
        now.when,
    )


def _by_age(state: State, owner: Row) -> Iterator[tuple[int, Tag, TagPointer] | None]:
    """Yield each tag behind what it is sorted by; None: a step is done."""
    for found in each_tag(state, owner):
        if found is None:
            yield None
        else:
            tag, pointer = found
            yield -pointer.time_ns, tag, pointer


def _row(state: State, owner: Row, tag: str, pointer: TagPointer, as_of: str) -> TagRow:
    digest = state.find_digest(pointer.digest)
    own = state.find_placement(state.repository_at(owner), pointer.digest)
    whole = [
        state.region_at(region)
        for region in (state.holders_of(own) if own >= 0 else ())
        if standing(state, owner, digest, region).complete
    ]
    link = address(
        f"/images/{state.repository_at(owner)}", {"reference": tag, AS_OF: as_of}
    )
    return TagRow(
        tag, pointer.digest, link, pointer.region, pointer.time_ns, tuple(sorted(whole))
    )
