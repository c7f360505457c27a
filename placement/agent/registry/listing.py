"""What a registry has: its repositories and their tags, a page at a time."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from placement.agent.registry.asking import LISTING_BYTES_MAX, Asking, pulls, whole
from placement.agent.registry.errors import NotThereError, RegistryError
from placement.agent.registry.exchange import Call
from placement.core.errors import InputError
from placement.core.oci import Repository, Tag, parse_repository, parse_tag

PAGE_COUNT: Final = 100
"""Names asked for at once; a registry may give fewer."""
CATALOGUE: Final = "registry:catalog:*"


NameType = TypeVar("NameType", bound=str)


@dataclass(frozen=True, slots=True)
class Page(Generic[NameType]):
    """Some names, and after which one the next page begins; None: this was the last."""

    names: tuple[NameType, ...]
    next_after: str | None


class Listing(Asking):
    """What a registry has, by name."""

    async def repositories(
        self, after: str = "", count: int = PAGE_COUNT
    ) -> Page[Repository]:
        """Return a page of the catalogue; names that are none are left out."""
        path = f"{self.settings.base}/v2/_catalog"
        page = await self._page(path, CATALOGUE, after, count, "repositories")
        return Page(_parsed(page.names, parse_repository), page.next_after)

    async def tags(
        self, repository: Repository, after: str = "", count: int = PAGE_COUNT
    ) -> Page[Tag]:
        """Return a page of a repository's tags; one that is gone has none."""
        path = f"{self.settings.base}/v2/{repository}/tags/list"
        try:
            page = await self._page(path, pulls(repository), after, count, "tags")
        except NotThereError:
            return Page((), None)
        return Page(_parsed(page.names, parse_tag), page.next_after)

    async def _page(
        self, path: str, scope: str, after: str, count: int, key: str
    ) -> Page[str]:
        last = quote(after, errors="replace")
        query = f"?n={count}" + (f"&last={last}" if after else "")
        async with self._exchange.answered(Call("GET", path + query, scope)) as got:
            body = await whole(got, LISTING_BYTES_MAX)
            link = got.headers.get("Link", "")
        try:
            listed = httpx.Response(200, content=body).json().get(key) or []
            names = tuple(name for name in listed if isinstance(name, str))
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            message = f"{path} is no list of {key}"
            raise RegistryError(message, url=path) from error
        return Page(names, _next_after(link, names))


def _next_after(link: str, names: Sequence[str]) -> str | None:
    """Return where the next page begins, by the header Link (RFC 5988)."""
    if 'rel="next"' not in link and "rel=next" not in link:
        return None
    target = link.partition("<")[2].partition(">")[0]
    try:
        last = parse_qs(urlsplit(target).query).get("last", [""])[0]
    except ValueError:  # no address, or more parts than any of a registry has
        last = ""
    return last or (names[-1] if names else None)


def _parsed(
    names: Sequence[str], parse: Callable[[str], NameType]
) -> tuple[NameType, ...]:
    kept: list[NameType] = []
    for name in names:
        with suppress(InputError):
            kept.append(parse(name))
    return tuple(kept)
