"""The page that finds an image or content by a part of its name."""

from dataclasses import dataclass
from typing import Final

from placement.console.asked import Asked, address
from placement.console.page import Page
from placement.console.site import Site
from placement.core.errors import InputError
from placement.core.oci import Repository, parse_repository
from placement.core.searching import (
    DIGESTS_FOUND_MAX,
    LENGTH_MAX,
    TAGS_READ_MAX,
    Hit,
    HitPage,
    parse_sought,
    search,
)
from placement.runtime.slices import in_slices
from placement.wire.page_tokens import make_page_token, parse_page_token

PAGE_SIZE: Final = 50
TOKEN_LENGTH_MAX: Final = 1_024


@dataclass(frozen=True, slots=True)
class Found:
    """One hit: where its page is, and what it is."""

    link: str
    repository: str
    tag: str
    digest: str


@dataclass(frozen=True, slots=True)
class SearchModel:
    """What was looked for, a page of what was found, and where the next one is.

    *absent* says why there may be nothing; *cut* that not everything was looked at.
    """

    text: str
    found: tuple[Found, ...]
    next_link: str
    absent: str
    cut: str
    problem: InputError | None = None


async def searched(site: Site, asked: Asked) -> Page:
    """Return the page of hits for ``?q=``."""
    text, model = "", SearchModel("", (), "", "", "")
    try:
        text = asked.text("q", length_max=LENGTH_MAX)
        if text:
            model = await _searched(site, asked, text)
    except InputError as problem:
        model = SearchModel(text, (), "", "", "", problem)
        return Page("search.html", "Search", {"model": model}, status=400, live=False)
    title = f"Search: {text}" if text else "Search"
    return Page("search.html", title, {"model": model}, live=False)


async def _searched(site: Site, asked: Asked, text: str) -> SearchModel:
    sought, binding = parse_sought(text), (site.basis().epoch, "search", text)
    token = asked.text("page", length_max=TOKEN_LENGTH_MAX)
    after = None
    if token:
        name, tag, digest = parse_page_token(token, binding, "page")
        after = Hit(Repository(name), tag, digest)
    page = await in_slices(search(site.state, sought, after, PAGE_SIZE))
    following = ""
    if page.more:
        following = asked.link(page=make_page_token(binding, page.hits[-1]))
    return search_model(text, page, following)


def search_model(text: str, page: HitPage, next_link: str = "") -> SearchModel:
    """Return what is printed of a page of hits."""
    cut = ""
    if page.cut:
        cut = (
            f"Of more than {TAGS_READ_MAX:,} names or {DIGESTS_FOUND_MAX:,} contents "
            "that fit only the first were looked at: say more of the name."
        )
    found = tuple(_found(hit) for hit in page.hits)
    return SearchModel(text, found, next_link, "" if found else _absent(text), cut)


def _found(hit: Hit) -> Found:
    reference = hit.tag or hit.digest
    link = address(f"/images/{hit.repository}", {"reference": reference})
    return Found(link, hit.repository, hit.tag, hit.digest)


def _absent(text: str) -> str:
    """Return why nothing of a name may be known."""
    said = (
        "No event that was folded names it. It may never have been pushed since the "
        "feed was set up (an inventory of the registry imports what was there before), "
        "or the region's agent has not told yet: see the regions' last events."
    )
    if any(mark in text for mark in ":@"):
        repository = text.partition("@")[0].partition(":")[0]
        try:
            parse_repository(repository)
        except InputError:
            return said
        return f"{said} Look for {repository} alone to see which tags it has."
    return said
