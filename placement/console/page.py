"""A page before it is printed: a template, and the values that go into it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from placement.console.asked import Asked
from placement.console.site import Site


@dataclass(frozen=True, slots=True)
class Page:
    """What a template prints; its values are page models, and nothing is computed."""

    template: str
    title: str
    values: Mapping[str, object] = field(default_factory=dict)
    section: str = ""
    """The entry of the navigation that it belongs to, by its path."""
    status: int = 200
    live: bool = True
    """Whether its fragments are sent anew when the state moves."""


Handler = Callable[[Site, Asked], Awaitable[Page]]
"""Makes one page; raises PlacementError, which becomes a page of its own."""


@dataclass(frozen=True, slots=True)
class PageRoute:
    """Where a page is: a path as starlette writes it, and who makes it."""

    path: str
    handler: Handler
