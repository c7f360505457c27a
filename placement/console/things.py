"""The pages about one thing: an image, a decision, an estimate, what if."""

from typing import Final

from placement.console.decision import decision
from placement.console.decisions import decisions
from placement.console.estimate import estimate
from placement.console.image import image
from placement.console.page import PageRoute
from placement.console.search import searched
from placement.console.what_if import what_if

ROUTES: Final[tuple[PageRoute, ...]] = (
    PageRoute("/search", searched),
    PageRoute("/images/{repository:path}", image),
    PageRoute("/decisions", decisions),
    PageRoute("/decisions/{replication_id}", decision),
    PageRoute("/estimate", estimate),
    PageRoute("/what-if", what_if),
)
