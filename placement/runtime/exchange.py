"""What a service exchanges with others like it: checkpoints, in both directions."""

from dataclasses import dataclass

from placement.runtime.bootstrap import Bootstrap, Received
from placement.runtime.sharing import Sharing


@dataclass(frozen=True, slots=True)
class Exchange:
    """Both directions; None: there is no such thing here."""

    sharing: Sharing | None = None
    bootstrap: Bootstrap | None = None

    @property
    def received(self) -> Received | None:
        """How far a checkpoint is taken over from a peer; None: none is."""
        return None if self.bootstrap is None else self.bootstrap.received
