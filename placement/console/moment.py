"""At which point of the log a page looks: now, or where ``?as_of=`` says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from placement.api.reading import Reader
from placement.console.asked import Asked
from placement.console.site import READ_DEADLINE_S, Site
from placement.core.deciding.desk import Desk
from placement.core.deciding.ruling import ruling_in_force
from placement.core.errors import InputError
from placement.core.forecast import Forecaster
from placement.core.network import Network
from placement.core.state import State
from placement.core.topology import Topology
from placement.runtime.view import Basis

AS_OF: Final = "as_of"
AS_OF_LENGTH_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class When:
    """What a page says of its moment: the message it is after, and when that came."""

    as_of: str
    """The past that was asked for, in the reader's words; empty: it is now."""
    sequence: int
    time_ns: int
    can_look_back: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """One point of one log: what is known of the network there, and the basis."""

    network: Network
    basis: Basis
    as_of: str = ""
    """The past that was asked for, in the reader's words; empty: it is now."""
    can_look_back: bool = False
    """Whether the service answers about the past at all."""

    @property
    def state(self) -> State:
        """Return what is folded."""
        return self.network.state

    @property
    def topology(self) -> Topology:
        """Return the region catalogue, which is that of now."""
        return self.network.topology

    @property
    def now_ns(self) -> int:
        """Return the time of the moment."""
        return self.network.now_ns

    @property
    def when(self) -> When:
        """Return what a page says of it."""
        basis = self.basis
        return When(self.as_of, basis.sequence, basis.store_time_ns, self.can_look_back)

    def desk(self) -> Desk:
        """Return what all decisions of the moment rest on."""
        ruling = ruling_in_force(self.state, self.now_ns)
        forecaster = Forecaster(self.state, ruling.policy)
        return Desk(self.network, ruling, forecaster, self.basis.epoch)


def present(site: Site) -> Moment:
    """Return how it is now."""
    basis, can_look_back = site.basis(), site.past is not None
    return Moment(site.reader.network(basis), basis, can_look_back=can_look_back)


@asynccontextmanager
async def moment(site: Site, asked: Asked) -> AsyncIterator[Moment]:
    """Give the moment that is asked about, for as long as the block lasts.

    Raises InputError for what names no point, and what the past is refused with.
    """
    text, past = asked.text(AS_OF, length_max=AS_OF_LENGTH_MAX), site.past
    if not text:
        yield present(site)
        return
    if past is None:
        remedy = "leave it out: this service answers about now alone"
        raise InputError(AS_OF, text, remedy)
    async with past(text) as view:
        basis = view.basis()
        reader = Reader(view, site.topology, READ_DEADLINE_S)
        yield Moment(reader.network(basis), basis, text, can_look_back=True)
