"""What a local replica estimates of images whose equivalents are elsewhere."""

from collections import deque

import pytest

from placement.core.event import ContentReplicated, Event
from placement.core.images import Selection
from placement.core.network import Network
from placement.core.packing.selection import PackedInterest
from placement.core.watched import Interest
from placement.runtime.view import View
from placement.runtime.watcher import Watcher, WatchSettings
from tests.builders import (
    AMS,
    API,
    FRA,
    MANIFEST,
    START_NS,
    TOPOLOGY,
    WEB,
    announced,
    descriptor,
    digest,
    event,
    fold_in,
    folded,
    pushed,
)
from tests.mirroring import MirrorListener, local_estimates, service_estimates

STEPS = 30
"""So many at the most tell all of a small state."""


class Told:
    """A local replica of a state that goes on."""

    def __init__(self, *events: Event) -> None:
        """Fold *events*, and tell what comes of them."""
        self.state, self._listener = folded(*events), MirrorListener()
        view = View(lambda: START_NS)
        view.replace(self.state, "e", restored=False)
        interest = PackedInterest(Interest(tags=True))
        settings = WatchSettings(slice_s=60)
        self._watcher = Watcher(view, interest, None, settings, lambda: 0.0)
        self._tell()

    def _tell(self) -> None:
        for _ in range(STEPS):
            deque(self._listener.hear(self._watcher.step()), maxlen=0)

    def happen(self, *events: Event) -> None:
        """Fold *events*, and tell what changed by them."""
        fold_in(self.state, *events)
        self._tell()

    def assert_estimates_as_the_service(self, selection: Selection) -> None:
        """Every region's wait is what the service says, and it says one."""
        network = Network(self.state, TOPOLOGY, START_NS)
        local = local_estimates(self._listener.mirror, TOPOLOGY, selection, START_NS)
        assert local == service_estimates(network, selection)
        assert isinstance(local, list)


def test_equivalent_of_another_repository_has_its_size_here_too() -> None:
    """A copy made it of the same image elsewhere: here it could be mounted."""
    converted = ContentReplicated(
        (descriptor("zstd", 7),), WEB, original_digest=digest("gzip")
    )
    told = Told(
        pushed("zstd", AMS, size_bytes=7),
        announced("gzip", AMS, API),
        event(FRA, converted),
    )

    told.assert_estimates_as_the_service(Selection(API, digest("gzip")))


BLOB = "application/octet-stream"
LAYERS = (descriptor("layer", 5_000_000_000), descriptor("other", 7_000_000))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            ContentReplicated((descriptor("image", 9, MANIFEST),), WEB),
            ContentReplicated(
                (descriptor("image", 9, MANIFEST),), WEB, references=LAYERS
            ),
        ),
        (
            ContentReplicated((descriptor("image", 9, BLOB),), WEB, references=LAYERS),
            ContentReplicated((descriptor("image", 9, MANIFEST),), WEB),
        ),
        (
            ContentReplicated(
                (descriptor("image", 9, MANIFEST),), WEB, references=LAYERS
            ),
            ContentReplicated(
                (descriptor("image", 9, MANIFEST),), WEB, original_digest=digest("gzip")
            ),
        ),
    ],
    ids=["references", "a type", "an original"],
)
def test_what_is_learned_of_content_that_is_there_is_told_to_who_watches(
    before: ContentReplicated, after: ContentReplicated
) -> None:
    """Nothing of where it is has changed; what a start has to fetch has."""
    told = Told(event(FRA, before), announced("gzip", AMS, API))
    end = told.state.indexes.changes.end

    told.happen(event(FRA, after))

    assert told.state.indexes.changes.end > end
    told.assert_estimates_as_the_service(Selection(WEB, digest("image")))
    told.assert_estimates_as_the_service(Selection(API, digest("gzip")))

    now = told.state.indexes.changes.end
    told.happen(event(FRA, after))
    assert told.state.indexes.changes.end == now, "nothing new was learned"


def test_nothing_is_told_of_a_type_that_says_no_more_than_the_last_one() -> None:
    """Registries call every blob an octet stream, at each of a million pulls."""
    blob = ContentReplicated((descriptor("layer", 9, BLOB),), WEB)
    layer = ContentReplicated((descriptor("layer", 9),), WEB)
    told = Told(event(FRA, blob))
    end = told.state.indexes.changes.end

    told.happen(event(FRA, blob), event(FRA, layer), event(FRA, blob))

    assert told.state.indexes.changes.end == end
