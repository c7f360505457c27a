"""What stands around every page: how far the service is, and how far to believe it."""

from dataclasses import dataclass
from typing import Final

from placement.console.asked import Asked
from placement.console.page import Page
from placement.console.site import Site
from placement.console.words import word
from placement.runtime.view import ServingState, View

MEANINGS: Final = {
    ServingState.REBUILDING: "the log is folded for the first time: this is the past",
    ServingState.LIVE: "",
    ServingState.STALE: "the log is out of reach: what is shown is from memory",
    ServingState.EPOCH_BROKEN: "the log was replaced or rewound: the old state answers",
    ServingState.DEGRADED: "the checkpoint cannot be written: answers are up to date",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the service is; times in nanoseconds."""

    state: str
    """As a word, such as ``live``."""
    healthy: bool
    meaning: str
    """What the state means for a reader; empty: all is well."""
    trouble: str
    """What is wrong, if that is known."""
    rebuilding: str
    epoch: str
    sequence: int
    last_sequence: int | None
    staleness_ns: int
    store_time_ns: int
    now_ns: int


def standing_of(view: View) -> Standing:
    """Return how far the service that folds *view* is."""
    basis = view.basis()
    return Standing(
        state=word(basis.state.name),
        healthy=basis.state is ServingState.LIVE,
        meaning=MEANINGS[basis.state],
        trouble=view.trouble,
        rebuilding=view.rebuilding,
        epoch=basis.epoch,
        sequence=basis.sequence,
        last_sequence=view.last_sequence,
        staleness_ns=basis.staleness_ns,
        store_time_ns=basis.store_time_ns,
        now_ns=basis.answer_time_ns,
    )


def frame_of(site: Site, asked: Asked, page: Page) -> dict[str, object]:
    """Return what the template around every page prints."""
    standing = standing_of(site.view)
    return {
        "asked": asked,
        "live": page.live,
        "now_ns": standing.now_ns,
        "section": page.section,
        "standing": standing,
        "title": page.title,
    }
