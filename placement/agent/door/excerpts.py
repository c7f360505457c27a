"""What estimates are made from: an excerpt of the replica, kept while nothing moves."""

from typing import Final

from placement.client.feed import LocalBasis
from placement.client.local import LocalPlacements
from placement.core.mirror.excerpt import Excerpt
from placement.core.network import Network
from placement.core.ways import Ways

EXCERPT_USES_MAX: Final = 1_024
"""Questions, of at most 16 images each, for which one excerpt is kept."""


class KeptExcerpt:
    """One excerpt for all that is asked until the replica moves on.

    To begin one takes milliseconds, and a burst of starts asks about the same images.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: tuple[Excerpt, Ways] | None = None
        self._position: tuple[object, ...] = ()
        self._uses = 0

    def now(self, local: LocalPlacements, basis: LocalBasis) -> tuple[Excerpt, Network]:
        """Return an excerpt of what is known now, and the network that goes with it.

        It also holds what was put in since the replica moved.
        """
        mirror, topology = local.mirror, local.topology
        position = (mirror, topology, basis.sequence, mirror.network_version)
        moved = position != self._position or self._uses >= EXCERPT_USES_MAX
        if self._kept is None or moved:
            excerpt = Excerpt(mirror)
            self._kept = (excerpt, Ways(excerpt.state, topology))
            self._position, self._uses = position, 0
        self._uses += 1
        excerpt, ways = self._kept
        now_ns, leaving = basis.answer_time_ns, mirror.leaving
        return excerpt, Network(excerpt.state, topology, now_ns, ways, leaving=leaving)
