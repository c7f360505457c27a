"""What must be true of registries, of those who act beside them, and in the end.

The registries themselves are the truth; what the log says is held against them.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import cast

from placement.core.event import (
    ContentPulled,
    Recorded,
    ReplicationCompleted,
)
from placement.core.fingerprint import fingerprint
from placement.core.oci import Descriptor
from placement.core.state import State
from placement.core.topology import Region
from placement.core.watched import Interest
from placement.runtime.view import ServingState
from placement.wire.events import decode_message
from tests.simulator.believed import present
from tests.simulator.history import History, Mirrored, Place
from tests.simulator.stock import BY_DIGEST, parts_of
from tests.watching import Known, expected

TAKEN = 200
ROUTED = "router-"
"""How the ids begin of what a router tells."""


def lines_of(placements: Known, tags: Known) -> tuple[str, ...]:
    """Return what is known as lines, in whatever order it came to be known."""
    found = [f"{name} {digest}" for name, digest in tags.items()]
    for name, value in placements.items():
        size, replicas = cast("tuple[int, dict[Region, object]]", value)
        found.append(f"{name} {size} {sorted(replicas.items())}")
    return tuple(sorted(found))


def unlike_mirror(mirrored: Mirrored, state: State) -> Iterator[str]:
    """Yield what a local replica knew that is not what *state* says."""
    right = set(lines_of(*expected(state, Interest(tags=True))))
    known = set(mirrored.known)
    if known != right:
        lacks, holds = sorted(right - known), sorted(known - right)
        yield (
            f"{mirrored.follower}, at {mirrored.sequence}: lacks {lacks}, and holds"
            f" {holds}"
        )


def broken_keeping(history: History, final: State) -> Iterator[str]:
    """Yield what was lost, believed wrongly, copied or removed and should not be.

    *final* is the state at the end of the log that remains.
    """
    if not history.stored:
        return
    yield from _log_lacks(history)
    yield from _unlike_registries(history, final)
    yield from _wrong_bytes(history)
    yield from _last_copies(history)


def _log_lacks(history: History) -> Iterator[str]:
    """Yield what an agent took and the log lacks."""
    held: dict[str, object] = {}
    for message in history.lives[-1].messages:
        for item in decode_message(message).items:
            if isinstance(item, Recorded):
                held[item.event.event_id] = item.event.fact
    uses = set(history.posted_uses)
    for received in history.received:
        taken = received.status == TAKEN and received.is_told
        if taken and received.notification_id not in held:
            yield (
                f"the agent of {received.region} took {received.notification_id}, and"
                " the log that remains does not hold it"
            )
    yield from _counted_twice(held, uses, history)


def _counted_twice(
    held: Mapping[str, object],
    uses: Collection[str],
    history: History,
) -> Iterator[str]:
    """Yield uses that were none, and decisions that moved bytes more than once.

    A decision that comes again, as others of its message are not done, brings again
    what has left meanwhile, as an image that never came leaves its layer for garbage.
    """
    moved: Counter[str] = Counter()
    routed: Counter[tuple[str, Place]] = Counter()
    for own_id, fact in held.items():
        if isinstance(fact, ContentPulled) and own_id not in uses:
            pull = str(fact.client_region), (fact.repository, fact.digest)
            routed[pull] += 1
            if not own_id.startswith(ROUTED) or routed[pull] > history.asked[pull]:
                yield f"{own_id} counts as a use, and nobody pulled"
        if isinstance(fact, ReplicationCompleted) and fact.transferred_bytes:
            name = fact.subject.replication_id
            moved[name] += 1
            target = fact.subject.target_region
            gone = max(history.left[target, one] for one in _all_of(fact))
            if moved[name] > 1 + gone:
                yield f"{name} moved bytes twice"


def _all_of(fact: ReplicationCompleted) -> list[Place]:
    """Return all that a copy brings."""
    repository, digest = fact.subject.repository, fact.subject.digest
    image = BY_DIGEST.get(digest)
    parts: list[Descriptor] = []
    if image is not None:
        manifests, parts = parts_of(image)
        parts = [*parts, *(one.descriptor for one in manifests)]
    return [(repository, digest), *((repository, one.digest) for one in parts)]


def _unlike_registries(history: History, final: State) -> Iterator[str]:
    """Yield what is believed to be where it is not, or not where tags lead to it."""
    for stored in history.stored:
        believed = set(present(final, Region(stored.region)))
        for place in sorted(believed - set(stored.places)):
            yield f"{place} is believed to be in {stored.region}, and is not there"
        for place in sorted(set(stored.tagged) - believed):
            yield f"{place} is in {stored.region}, and nobody knows"


def _wrong_bytes(history: History) -> Iterator[str]:
    for stored in history.stored:
        for place in stored.wrong:
            yield f"{stored.region} keeps other bytes than those of {place}"


def _last_copies(history: History) -> Iterator[str]:
    for evicted in history.evicted:
        if evicted.was_whole and not evicted.elsewhere:
            yield f"the last copy of {evicted.place} was removed from {evicted.region}"


def not_converged(history: History, final: State) -> Iterator[str]:
    """Yield replicas that are not LIVE, or not where the log ends, in the end."""
    right = fingerprint(final)
    for ended in history.ended:
        if ended.serving is not ServingState.LIVE:
            yield (
                f"{ended.replica} ended {ended.serving.name} at"
                f" {ended.position.sequence} of {ended.epoch}: {ended.trouble}"
            )
        elif ended.position.sequence != final.sequence:
            yield (
                f"{ended.replica} ended at {ended.position.sequence}, the log at"
                f" {final.sequence}"
            )
        elif ended.fingerprint != right:
            yield f"{ended.replica} ended with another state than a fresh replay"
