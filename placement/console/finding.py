"""Which page an address is of."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from starlette.routing import compile_path

from placement.console.asked import PATH_LENGTH_MAX, Asked, parse_query
from placement.console.page import Handler, PageRoute
from placement.core.errors import InputError, PlacementError

SHOWN_LENGTH_MAX: Final = 80


class PageUnknownError(PlacementError):
    """Nothing is at an address."""

    def __init__(self, path: str) -> None:
        """Say which address."""
        super().__init__(f"there is no page at {path[:SHOWN_LENGTH_MAX]}")


class Finder:
    """The pages by their paths."""

    def __init__(self, pages: Sequence[PageRoute]) -> None:
        """Look among *pages*, the first that fits."""
        self._pages = [(compile_path(page.path)[0], page.handler) for page in pages]

    def at(self, address: str) -> tuple[Asked, Handler]:
        """Return what is asked at an address, and who answers.

        Raises PageUnknownError, and InputError naming what of the query is wrong.
        """
        try:
            parts = urlsplit(address)
        except ValueError:
            remedy = "give the path and query of a page, such as /regions"
            raise InputError("page", address, remedy) from None
        return self.of(unquote(parts.path), parts.query.encode("utf-8", "replace"))

    def of(self, path: str, query: bytes) -> tuple[Asked, Handler]:
        """Return the same for a path, which is not quoted, and a query as it came."""
        if len(path) > PATH_LENGTH_MAX:
            raise InputError("path", path, f"give at most {PATH_LENGTH_MAX} characters")
        for pattern, handler in self._pages:
            found = pattern.match(path)
            if found is not None:
                return Asked(path, found.groupdict(), parse_query(query)), handler
        raise PageUnknownError(path)
