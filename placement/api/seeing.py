"""Answers for tenants: from what they see, and not from what others were answered."""

from dataclasses import replace
from typing import Any

from placement.api.answering import Kept
from placement.api.authority.caller import organization
from placement.api.reading import Reader
from placement.core.errors import InputError
from placement.core.sight import SeenState
from placement.core.state import State
from placement.core.watched import Interest


class SeeingReader(Reader):
    """A reader whose state is what the caller sees of it."""

    @property
    def state(self) -> State:
        """Return what is folded now, as far as the caller sees it."""
        seer = organization()
        state = self.view.state
        return state if seer is None else SeenState(state, seer)


class KeptForOthers:
    """Kept answers for callers who see everything; a tenant's are neither kept."""

    def __init__(self, kept: Kept) -> None:
        """Keep answers in *kept*."""
        self._kept = kept

    def find(self, body: bytes) -> bytes | None:
        """Return the answer to a request, unless a tenant asks."""
        return None if organization() is not None else self._kept.find(body)

    def keep(self, body: bytes, request: Any, response: Any) -> None:  # noqa: ANN401 - of its method
        """Keep what was answered, unless a tenant asked."""
        if organization() is None:
            self._kept.keep(body, request, response)


def seen(interest: Interest) -> Interest:
    """Return what of *interest* the caller may watch."""
    return replace(interest, organization=organization() or "")


def check_request_id(request_id: str) -> None:
    """Raise InputError unless the id is one of the caller's own.

    Ids are remembered for all callers together: without this, a tenant could find out
    which ones others used.
    """
    seer = organization()
    if seer is not None and not request_id.startswith(f"{seer}/"):
        remedy = f"begin it with {seer}/"
        raise InputError("request_id", request_id, remedy)
