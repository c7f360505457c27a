"""The pages about one thing: an image, a decision, an estimate, a what if."""

from typing import Final

from placement.console.page import PageRoute

ROUTES: Final[tuple[PageRoute, ...]] = ()
