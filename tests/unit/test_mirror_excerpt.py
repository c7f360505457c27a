"""What a local replica estimates of images whose equivalents are elsewhere."""

from collections import deque

from placement.core.event import ContentReplicated
from placement.core.images import Selection
from placement.core.network import Network
from placement.core.packing.selection import PackedInterest
from placement.core.state import State
from placement.core.watched import Interest
from placement.runtime.view import View
from placement.runtime.watcher import Watcher, WatchSettings
from tests.builders import (
    AMS,
    API,
    FRA,
    START_NS,
    TOPOLOGY,
    WEB,
    announced,
    descriptor,
    digest,
    event,
    folded,
    pushed,
)
from tests.mirroring import MirrorListener, local_estimates, service_estimates

STEPS = 30
"""So many at the most tell all of a small state."""


def mirrored(state: State) -> MirrorListener:
    """Return who was told all of *state*."""
    view, listener = View(lambda: START_NS), MirrorListener()
    view.replace(state, "e", restored=False)
    interest = PackedInterest(Interest(tags=True))
    watcher = Watcher(view, interest, None, WatchSettings(slice_s=60), lambda: 0.0)
    for _ in range(STEPS):
        deque(listener.hear(watcher.step()), maxlen=0)
    return listener


def test_equivalent_of_another_repository_has_its_size_here_too() -> None:
    """A copy made it of the same image elsewhere: here it could be mounted."""
    converted = ContentReplicated(
        (descriptor("zstd", 7),), WEB, original_digest=digest("gzip")
    )
    state = folded(
        pushed("zstd", AMS, size_bytes=7),
        announced("gzip", AMS, API),
        event(FRA, converted),
    )
    selection = Selection(API, digest("gzip"))
    network = Network(state, TOPOLOGY, START_NS)

    local = local_estimates(mirrored(state).mirror, TOPOLOGY, selection, START_NS)

    assert local == service_estimates(network, selection)
    assert isinstance(local, list)
    assert digest("zstd") in {one.images[0].digest for one in local}
