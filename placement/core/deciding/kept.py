"""How long a region keeps each version of an app, from what was used there and when.

The one rule of retention: planners ask it of the state, back-tests of recorded time. A
version is safe while it is current, one of those before it, or was replaced lately; a
few older ones stay longer where there is room. Roll-backs are rare and nearly always
to what ran just before: within days where versions change hourly, within weeks where
they change monthly. Days alone or a number alone cost too much on one or the other.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from placement.core.deciding.keep import Keep

FOREVER_NS: Final = 2**62


class Use(NamedTuple):
    """A version in a region: its push, its arrival there, and its last start there.

    *order_ns* orders versions by their pushes. *last_ns* is 0 where it never started.
    """

    version: int
    order_ns: int
    arrive_ns: int
    last_ns: int
    held: bool = True
    """Whether the region has it still; what it lacks tells when others were replaced"""


@dataclass(frozen=True, slots=True)
class Kept:
    """Why a version stays, for how long, and for how long whatever else needs room.

    *replaced_ns* is when another version took its place there; 0: none has.
    """

    reason: str
    until_ns: int
    safe_until_ns: int
    replaced_ns: int = 0

    @property
    def waits(self) -> bool:
        """Whether it has never started there."""
        return self.reason in {"unused", "passed-over"}


def kept(
    uses: Sequence[Use],
    keep: Keep,
    withdrawn_ns: int = 0,
    newest: Collection[int] = (),
) -> dict[int, Kept]:
    """Return what becomes of each version of *uses* that the region holds.

    *withdrawn_ns* is when the app left the region, 0 if it has not: then no version is
    current. Those of *newest* that have started there are kept as if they still ran.
    The order of *uses* means nothing. Times in nanoseconds.
    """
    started = sorted(
        (use for use in uses if use.last_ns),
        key=lambda use: (-use.last_ns, -use.order_ns, use.version),
    )
    gone = bool(started) and withdrawn_ns > started[0].last_ns
    found: dict[int, Kept] = {}
    replaced_ns, place = withdrawn_ns if gone else 0, int(gone)
    for use in started:
        if use.held:
            found[use.version] = _ran(use, keep, place, replaced_ns, gone=gone)
            if place and use.version in newest and not gone:
                found[use.version] = Kept("newest", FOREVER_NS, FOREVER_NS, replaced_ns)
            place += 1
        # A version was replaced when the next one began. Its last start is known, which
        # is later: so it may stay longer than it must, and never shorter.
        replaced_ns, place = use.last_ns, max(place, 1)
    for use in uses:
        if use.held and not use.last_ns:
            found[use.version] = _waiting(use, started, keep)
    return found


def _ran(use: Use, keep: Keep, place: int, replaced_ns: int, *, gone: bool) -> Kept:
    """Return what becomes of the version that ran at *place* before the current one."""
    if place == 0:
        return Kept("current", FOREVER_NS, FOREVER_NS)
    if place <= keep.previous_versions and not gone:
        return Kept("previous", FOREVER_NS, FOREVER_NS, replaced_ns)
    safe_ns = max(replaced_ns + keep.grace_ns, use.last_ns + keep.pull_ns)
    recent_ns = replaced_ns + keep.recent_ns
    if place <= keep.recent_versions and recent_ns > safe_ns:
        return Kept("recent", recent_ns, safe_ns, replaced_ns)
    return Kept("grace", safe_ns, safe_ns, replaced_ns)


def _waiting(use: Use, started: Sequence[Use], keep: Keep) -> Kept:
    """Return what becomes of a version that waits for its first start there.

    It waits in vain once a newer version has started there, unless it came even later.
    """
    newer = [
        other.last_ns
        for other in started
        if other.order_ns > use.order_ns and other.last_ns > use.arrive_ns
    ]
    if newer:
        return Kept("passed-over", min(newer), 0, min(newer))
    return Kept("unused", use.arrive_ns + keep.unused_ns, 0)
