"""Logs of versions: pushed, started, withdrawn; and what was learned of them."""

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from placement.core import event as ev
from placement.core.chunks import load, take_dirty
from placement.core.event import Event, Fact, RecordedMessage
from placement.core.fingerprint import CanonicalRow
from placement.core.oci import Descriptor, Repository, Tag
from placement.core.state import State
from placement.core.topology import Region
from tests.builders import (
    AMS,
    API,
    DAY_NS,
    FRA,
    HOUR_NS,
    IAD,
    INDEX,
    MANIFEST,
    SECOND_NS,
    START_NS,
    UNNAMED,
    WEB,
    descriptor,
    digest,
    message,
    rows_of,
)

LEARNED: Final = frozenset({"version", "trial", "outcomes"})
STEPS_NS: Final = (
    SECOND_NS,
    SECOND_NS,
    90 * SECOND_NS,
    5 * HOUR_NS,
    DAY_NS,
    9 * DAY_NS,
    31 * DAY_NS,
)
VERSIONS: Final = 5


def learned_rows(state: State) -> list[CanonicalRow]:
    """Return the canonical rows of what was learned, of apps if anything was."""
    rows = rows_of(state)
    apps = [row for row in rows if row[0] == "app" and any(row[2:])]
    return [row for row in rows if row[0] in LEARNED] + apps


def reloaded(state: State) -> State:
    """Return a state that was made from all chunks of *state*."""
    for table in state.tables().values():
        table.mark_all_dirty()
    restored = State()
    load(restored, take_dirty(state))
    restored.sequence = state.sequence
    restored.store_time_ns = state.store_time_ns
    restored.message_hash = state.message_hash
    return restored


def image(version: int) -> Descriptor:
    """Return a manifest that is an image by itself, or the index's platform."""
    return descriptor(f"manifest-{version}", media_type=MANIFEST)


def index(version: int) -> Descriptor:
    """Return an index of two platforms, of which one is that version's ``image``."""
    return descriptor(f"index-{version}", media_type=INDEX)


def index_pushed(
    version: int, tag: Tag | None, repository: Repository = WEB
) -> ev.ContentPushed:
    """Return the push of an index with its two platforms."""
    platforms = (image(version), descriptor(f"other-{version}", media_type=MANIFEST))
    return ev.ContentPushed(index(version), repository, tag, platforms)


def platforms_pushed(version: int, repository: Repository = WEB) -> list[Event]:
    """Return the pushes of an index's platforms, which have no tag of their own."""
    contents = index_pushed(version, None).references
    facts = [ev.ContentPushed(content, repository) for content in contents]
    return [Event(UNNAMED, AMS, fact) for fact in facts]


@st.composite
def lessons(
    draw: DrawFn, most: int = 40, *, late: bool = True, pulls: bool = True
) -> list[tuple[int, Event]]:
    """Draw (stored, event) of a few versions of two apps in three regions.

    Some come a day and an hour *late*; *pulls* are among them, which stand in for
    starts as long as there are none.
    """
    stored_ns, found = START_NS, []
    for number in range(draw(st.integers(1, most))):
        stored_ns += draw(st.sampled_from(STEPS_NS))
        fact = _fact(draw, number, pulls=pulls)
        is_late = late and draw(st.integers(0, 9)) == 0
        happened = ev.TimeNs(stored_ns - 25 * HOUR_NS) if is_late else None
        region = draw(st.sampled_from([AMS, FRA, IAD]))
        found.append((stored_ns, Event(UNNAMED, region, fact, happened)))
    return found


def _fact(draw: DrawFn, number: int, *, pulls: bool) -> Fact:
    version = draw(st.integers(0, VERSIONS - 1))
    repository = draw(st.sampled_from([WEB, WEB, WEB, API]))
    tag = Tag(draw(st.sampled_from(["v1", "v2", "rc-3", "main-0a1b2c3d"])))
    kind = draw(st.sampled_from(["manifest", "manifest", "index", "other"]))
    used = digest(f"{kind}-{version}")
    match draw(st.integers(0, 9)):
        case 0 | 1:
            return ev.ContentPushed(image(version), repository, tag)
        case 2:
            return index_pushed(version, tag, repository)
        case 3:
            return ev.TagMoved(repository, tag, used)
        case 4:
            return ev.AppWithdrawn(repository)
        case 5 if pulls:
            return ev.ContentPulled(used, repository, tag)
        case _:
            machine = ev.Identifier(f"machine-{number}")
            return ev.MachineStarted(used, repository, machine, tag)


def log_of(told: Sequence[tuple[int, Event]]) -> list[RecordedMessage]:
    """Return a log of one message an event."""
    return [
        message(number, event, store_time_ns=stored_ns)
        for number, (stored_ns, event) in enumerate(told, 1)
    ]


REGIONS: Final[Sequence[Region]] = (AMS, FRA, IAD)
