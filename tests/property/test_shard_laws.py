"""Laws of shards: a log divided by organization folds to the rows of the whole log.

What is not so divided is named here, and in docs/scaling.md.
"""

from dataclasses import fields, is_dataclass, replace
from functools import cache
from hashlib import sha256
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from placement.core import event as ev
from placement.core.event import Event, Recorded, RecordedMessage, SetAside
from placement.core.fingerprint import CanonicalRow
from placement.core.oci import Digest, Repository
from placement.core.state import State
from tests.builders import (
    AMS,
    API,
    FRA,
    LATEST,
    MANIFEST,
    START_NS,
    folded,
    folded_log,
    message,
    pushed,
    rows_of,
    started,
)
from tests.learning import LEARNED
from tests.strategies import (
    DECIDING_REGIONS,
    FACT_STRATEGIES,
    deciding_facts,
    examples,
    logs,
)

ORGANIZATIONS: Final = ("ants", "bees", "crows")
FOR_ALL: Final = (
    ev.RegionChanged,
    ev.ReplicationPaused,
    ev.ReplicationResumed,
    ev.PolicyChanged,
    ev.TickPassed,
)
"""Facts that every shard is told."""
OF_NO_SHARD: Final = (ev.MachinesCounted, ev.EventQuarantined)
"""One count speaks for a whole region; a quarantine names a place in one log."""
POOLED: Final = (
    "counter",
    "event_id",
    "set_aside",
    "region",
    "route",
    "transfer",
    "calibration",
)
"""Rows that are of no organization."""
UNIONS: Final = {Union, UnionType}
"""What ``X | None`` is: the former where X is a NewType."""
GAP_NS: Final = 10
"""More than a message of the strategies has events: none moves another's order."""

of_one: Final = st.one_of(
    *(
        strategy
        for fact, strategy in FACT_STRATEGIES.items()
        if fact not in {*FOR_ALL, *OF_NO_SHARD}
    )
)
of_all: Final = st.one_of(*(FACT_STRATEGIES[fact] for fact in FOR_ALL))

decided: Final = deciding_facts.filter(lambda fact: not isinstance(fact, FOR_ALL))
Log = list[RecordedMessage]


def owned(value: Any, hint: Any, owner: str) -> Any:  # noqa: ANN401, PLR0911 - any annotation; a table
    """Return *value* with whatever it names, by its *hint*, renamed to be *owner*'s."""
    if value is None:
        return None
    if hint is Repository:
        return Repository(f"{owner}/{value}")
    if hint is Digest:
        return Digest(f"sha256:{sha256(f'{owner}{value}'.encode()).hexdigest()}")
    if hint is ev.Identifier:
        return ev.Identifier(f"{owner}-{value}")
    if get_origin(hint) is tuple:
        return tuple(owned(each, get_args(hint)[0], owner) for each in value)
    if not is_dataclass(value):
        return value
    kind: type = type(value)
    hints = hints_of(kind)
    named = {
        field.name: owned(getattr(value, field.name), hints[field.name], owner)
        for field in fields(value)
    }
    if "organization" in named:
        named["organization"] = ev.Name(owner)
    return replace(value, **named)  # type: ignore[type-var]  # an instance


def bare(hint: Any) -> Any:  # noqa: ANN401 - any annotation
    """Return *hint* without None."""
    parts = [part for part in get_args(hint) if part is not NoneType]
    return parts[0] if len(parts) == 1 and get_origin(hint) in UNIONS else hint


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """Return what ``get_type_hints`` does, once for each *kind*."""
    return {name: bare(hint) for name, hint in get_type_hints(kind).items()}


@st.composite
def divided(draw: DrawFn, told: st.SearchStrategy[Log]) -> tuple[Log, list[Log]]:
    """Draw a log of three organizations out of what is *told*, and a log for each.

    Each reports a start first, since pulls stand in for starts until somebody does.
    Here and there something is said to all of them.
    """
    shared = draw(logs(of_all, 3, calm=True))
    found = [(one, True) for one in shared]
    found += [(one, False) for one in draw(told)]
    whole: Log = []
    shards: dict[str, Log] = {name: [] for name in ORGANIZATIONS}
    for number, owner in enumerate(ORGANIZATIONS, 1):
        first = message(number, started("b", FRA, API), store_time_ns=START_NS + number)
        whole.append(owned(first, RecordedMessage, owner))
        shards[owner].append(numbered(whole[-1], 1))
    for one, is_shared in sorted(found, key=lambda pair: pair[0].store_time_ns):
        kept, owners = spaced(one, len(whole) + 1), list(ORGANIZATIONS)
        if not is_shared:
            owners = [draw(st.sampled_from(ORGANIZATIONS))]
            kept = owned(kept, RecordedMessage, owners[0])
        whole.append(kept)
        for owner in owners:
            shards[owner].append(numbered(kept, len(shards[owner]) + 1))
    return whole, list(shards.values())


def _later(item: Recorded | SetAside, by_ns: int) -> Recorded | SetAside:
    stored_ns = item.store_time_ns + by_ns
    if isinstance(item, Recorded):
        return replace(item, store_time_ns=stored_ns, time_ns=item.time_ns + by_ns)
    return replace(item, store_time_ns=stored_ns)


def spaced(message: RecordedMessage, number: int) -> RecordedMessage:
    """Return *message* at that sequence, and a little later for each before it."""
    later = number * GAP_NS
    items = tuple(_later(item, later) for item in message.items)
    moved = replace(message, store_time_ns=message.store_time_ns + later, items=items)
    return numbered(moved, number)


def numbered(message: RecordedMessage, sequence: int) -> RecordedMessage:
    """Return *message* at another *sequence*."""
    items = tuple(replace(item, sequence=sequence) for item in message.items)
    return replace(message, sequence=sequence, items=items)


def divisible(state: State) -> set[CanonicalRow]:
    """Return the rows of *state* that belong to an organization alone.

    What is learned does not: bets are on regions where anybody started something.
    """
    return set(rows_of(state, *POOLED, *LEARNED))


def check(whole: Log, shards: list[Log]) -> None:
    """Assert that the *shards* hold what the *whole* does, and nothing twice."""
    apart = [divisible(folded_log(shard)) for shard in shards]

    together = divisible(folded_log(whole))

    assert set().union(*apart) == together


@examples(60)
@given(divided(logs(of_one, 12, calm=True)))
def test_shards_by_organization_hold_the_rows_of_the_whole(
    log: tuple[Log, list[Log]],
) -> None:
    """Whatever is told, nothing of an organization is lost or told differently."""
    check(*log)


@examples(40)
@given(divided(logs(decided, 10, DECIDING_REGIONS, calm=True)))
def test_shards_hold_the_decisions_of_the_whole(log: tuple[Log, list[Log]]) -> None:
    """Decisions open, end and are judged in their shard as they would among all."""
    check(*log)


def test_shard_learns_from_the_starts_of_its_own_organization_alone() -> None:
    """Bets are on regions where anybody started something: in a shard, on fewer.

    So what is learned is not divided by organization; each shard has its own.
    """
    elsewhere = owned(started("b", FRA, API), Event, "ants")
    version = owned(pushed("a", AMS, tag=LATEST, media_type=MANIFEST), Event, "bees")

    whole = folded(elsewhere, version)
    shard = folded(version)

    assert [row[0] for row in rows_of(whole)].count("trial") == 1
    assert [row[0] for row in rows_of(shard)].count("trial") == 0
