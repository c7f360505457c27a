"""Trials: opened by pushes and first starts, ended by starts, newer versions, time."""

import pytest

from placement.core import event as ev
from placement.core.betting import open_trials
from placement.core.event import Event
from placement.core.fold import fold
from placement.core.oci import Tag
from placement.core.state import State
from placement.core.tables.cells import StartClass
from placement.core.tables.keys import TRIAL_REGIONS, VERSIONS_OPEN_MAX
from placement.core.tables.table import Row
from placement.core.topology import Region
from tests.builders import (
    AMS,
    API,
    DAY_NS,
    FRA,
    HOUR_NS,
    IAD,
    SECOND_NS,
    START_NS,
    WEB,
    digest,
    event,
    fold_in,
    folded,
    message,
    pulled,
    released,
    replicated,
    rows_of,
    started,
    tagged,
    withdrawn,
)
from tests.learning import index_pushed

APP = b"acme\0acme/web"
LIVE = [started("live", AMS, API), started("live", FRA, API), started("live", IAD, API)]
"""Another app's starts, by which three regions are live."""


def open_in(state: State, name: str) -> dict[str, tuple[str, StartClass]]:
    """Return by region what opened the open trial of a version, and the class."""
    version = state.find_placement(WEB, digest(name))
    return {
        state.region_at(trial.region): (
            "push" if trial.trigger == 0 else state.region_at(Row(trial.trigger - 2)),
            trial.known,
        )
        for trial in open_trials(state, version)
    }


def outcomes(state: State) -> dict[tuple[object, ...], tuple[int, int]]:
    """Return (outcomes, bits) of the app by region, trigger and class."""
    return {
        (where, trigger, StartClass(int(known)).name): (int(total), int(bits))
        for _, table, owner, where, trigger, _, known, total, bits, *_ in (
            row for row in rows_of(state) if row[0] == "outcomes"
        )
        if table == "app_outcomes" and owner == APP
    }


def later(state: State, after_ns: int, *events: Event) -> State:
    """Fold *events*, stored *after_ns* later than what was stored last."""
    stored_ns = state.store_time_ns + after_ns
    for number, item in enumerate(events, 1):
        own_ns = stored_ns + number * SECOND_NS
        fold(state, message(state.sequence + 1, item, store_time_ns=own_ns))
    return state


def test_push_opens_a_trial_in_each_live_region() -> None:
    """A first version may start anywhere that machines start."""
    state = folded(*LIVE, released("a", AMS))

    assert open_in(state, "a") == dict.fromkeys(
        (AMS, FRA, IAD), ("push", StartClass.FIRST)
    )


def test_first_start_ends_a_trial_and_opens_others() -> None:
    """The start was a hit of the push; where else it will start is asked anew."""
    state = folded(*LIVE, released("a", AMS), started("a", FRA))

    assert outcomes(state) == {(FRA, "PUSH", "FIRST"): (1, 1)}
    assert open_in(state, "a") == dict.fromkeys((AMS, IAD), (FRA, StartClass.YOUNG))


@pytest.mark.parametrize(("after_ns", "learned"), [(SECOND_NS - 1, 0), (SECOND_NS, 1)])
def test_start_at_the_instant_of_its_trigger_is_no_outcome(
    after_ns: int, learned: int
) -> None:
    """Nothing could have been brought there in less than a second."""
    state = folded(*LIVE, released("a", AMS))
    stored_ns = state.store_time_ns + after_ns

    fold(state, message(5, started("a", FRA), store_time_ns=stored_ns))

    assert len(outcomes(state)) == learned


def test_second_start_of_a_version_teaches_nothing() -> None:
    """Only the first start in a region was a question."""
    state = later(folded(*LIVE, released("a", AMS)), HOUR_NS, started("a", FRA))
    before = outcomes(state)

    later(state, HOUR_NS, started("a", FRA), started("a", FRA))

    assert before == outcomes(state) == {(FRA, "PUSH", "FIRST"): (1, 1)}


def test_newer_versions_start_ends_the_older_ones() -> None:
    """Whoever starts the next version in a region has skipped the one before."""
    state = later(folded(*LIVE, released("a", AMS), released("b", AMS)), HOUR_NS)

    later(state, HOUR_NS, started("b", FRA))

    assert outcomes(state)[FRA, "PUSH", "FIRST"] == (2, 0b10)
    assert FRA not in open_in(state, "a")


def test_older_versions_start_leaves_the_newer_ones_open() -> None:
    """A rollback says nothing of what is to come."""
    state = folded(*LIVE, released("a", AMS), released("b", AMS))

    later(state, HOUR_NS, started("a", FRA))

    assert outcomes(state) == {(FRA, "PUSH", "FIRST"): (1, 1)}
    assert open_in(state, "b")[FRA] == ("push", StartClass.FIRST)


def test_trials_where_the_app_never_was_end_at_its_next_push() -> None:
    """What never happens counts at once; where the app runs, the question stays."""
    state = folded(*LIVE, *(released(name, AMS) for name in "abc"))
    later(state, HOUR_NS, started("c", AMS), released("d", AMS))
    before = outcomes(state).get(("*", "PUSH", "OTHER"))

    later(state, HOUR_NS, released("e", AMS))

    assert open_in(state, "d") == {AMS: ("push", StartClass.MEMBER)}
    assert before is None
    assert outcomes(state)["*", "PUSH", "OTHER"] == (2, 0)
    assert set(open_in(state, "e")) == {AMS, FRA, IAD}


def test_next_push_ends_only_the_trials_of_an_older_app() -> None:
    """What was asked when the app was young stays open beside what was asked since."""
    state = folded(*LIVE, started("old", AMS), released("a", AMS))
    later(state, HOUR_NS, released("b", AMS), released("c", AMS), started("a", AMS))
    before = outcomes(state).get(("*", AMS, "OTHER"))

    later(state, HOUR_NS, released("d", AMS))

    assert before is None
    assert outcomes(state)["*", AMS, "OTHER"] == (2, 0)
    assert open_in(state, "a")[FRA] == ("push", StartClass.YOUNG)


def test_trial_is_a_miss_after_thirty_days() -> None:
    """A day later than that nobody waits any more: each region by itself."""
    state = folded(*LIVE, released("a", AMS))
    opened_ns = state.latest_order_ns
    on_time, too_late = (opened_ns + 30 * DAY_NS + extra for extra in (0, 1))

    fold(state, message(5, released("b", AMS, API), store_time_ns=on_time))
    kept = open_in(state, "a")
    fold(state, message(6, released("c", AMS, API), store_time_ns=too_late))

    assert set(kept) == {AMS, FRA, IAD}
    assert open_in(state, "a") == {}
    assert outcomes(state) == {
        (region, "PUSH", "FIRST"): (1, 0) for region in (AMS, FRA, IAD)
    }
    pooled = [row for row in rows_of(state) if row[:3] == ("outcomes", *POOL)]
    assert [row[7] for row in pooled] == [3]


POOL = ("pooled_outcomes", b"*")


def test_one_outcome_counts_once_for_keys_that_triggers_share() -> None:
    """Two first starts asked the same question; any first start is one trigger."""
    state = folded(*LIVE, released("a", AMS))
    later(state, HOUR_NS, started("a", AMS))
    later(state, HOUR_NS, started("a", FRA))

    later(state, HOUR_NS, started("a", IAD))

    told = outcomes(state)
    assert told["*", "ANY_START", "YOUNG"] == (2, 0b11)
    assert (told["*", AMS, "YOUNG"], told["*", FRA, "YOUNG"]) == ((2, 3), (1, 1))


def test_keys_of_app_and_pool_are_not_taken_for_each_other() -> None:
    """The first app of all learns what the pool does, though their keys look alike."""
    state = folded(*LIVE[:2])
    later(state, HOUR_NS, released("a", AMS, API))
    later(state, HOUR_NS, started("a", AMS, API))
    later(state, HOUR_NS, started("a", FRA, API))

    rows = [row for row in rows_of(state) if row[0] == "outcomes"]

    assert state.apps.find(b"acme\0acme/api") == 0
    assert {row[1] for row in rows if row[4] == "PUSH"} == {
        "app_outcomes",
        "pooled_outcomes",
    }
    assert sum(row[4] in {"ANY_START", AMS} for row in rows) == 4


@pytest.mark.parametrize("first", ["manifest-1", "other-1"])
def test_platforms_of_an_index_start_as_one(first: str) -> None:
    """The second platform's first start in a region is no first start there."""
    state = folded(*LIVE, event(AMS, index_pushed(1, Tag("v1"))))
    later(state, HOUR_NS, started(first, FRA))
    before = outcomes(state), open_in(state, "index-1")

    later(state, HOUR_NS, started("manifest-1", FRA), started("other-1", FRA))

    assert before == (outcomes(state), open_in(state, "index-1"))
    assert before[0] == {(FRA, "PUSH", "FIRST"): (1, 1)}


def test_pulls_stand_in_while_nobody_reports_machines() -> None:
    """A registry alone learns from pulls of manifests; never from copies or scans."""
    scan = ev.ContentPulled(
        digest("a"), WEB, Tag("a"), client_kind=ev.ClientKind.SCANNER
    )
    state = folded(pulled("old", FRA, API), released("a", AMS))
    later(state, HOUR_NS, replicated("a", FRA), event(FRA, scan))
    before = outcomes(state)

    later(state, HOUR_NS, pulled("a", FRA))

    assert before == {}
    assert outcomes(state) == {(FRA, "PUSH", "FIRST"): (1, 1)}


def test_pulls_teach_nothing_once_machines_are_reported() -> None:
    """Builders and people pull, too; a scheduler knows what starts."""
    state = folded(*LIVE, released("a", AMS))

    later(state, HOUR_NS, pulled("a", FRA))

    assert outcomes(state) == {}
    assert open_in(state, "a")[FRA] == ("push", StartClass.FIRST)


def test_trials_of_a_pull_go_on_once_machines_are_reported() -> None:
    """The same first start, pulled and then reported, asks its questions once."""
    state = folded(pulled("old", FRA, API), pulled("old", AMS, API))
    later(state, HOUR_NS, released("a", AMS), pulled("a", FRA))
    before = [row for row in rows_of(state) if row[0] == "trial"]

    later(state, HOUR_NS, started("a", FRA))

    after = [row for row in rows_of(state) if row[0] == "trial"]
    assert before == after != []
    assert len(state.trials) == len({row[1:4] for row in after})


def test_tag_that_comes_later_makes_a_version() -> None:
    """Content is a version from its first tag on; a second tag changes nothing."""
    manifest = ev.ContentPushed(index_pushed(1, None).references[0], WEB)
    state = folded(*LIVE, event(AMS, manifest))
    untagged = len(state.versions)

    later(state, HOUR_NS, tagged("v1", "manifest-1", AMS))
    opened = open_in(state, "manifest-1")
    later(state, HOUR_NS, tagged("v2", "manifest-1", AMS))

    assert (untagged, len(state.versions)) == (1, 2)
    assert opened == open_in(state, "manifest-1") != {}


def test_start_of_what_nobody_tagged_is_a_version() -> None:
    """Machines start what they like; its shape is that of the tag they name."""
    state = folded(*LIVE, started("a", FRA, tag=Tag("v1.2")))

    rows = [row for row in rows_of(state) if row[0] == "version"]

    assert [row[4] for row in rows if row[1] == WEB] == [b"v9"]
    assert set(open_in(state, "a")) == {AMS, IAD}


def test_withdrawal_ends_no_trial() -> None:
    """Whether a version still starts there is told by starts alone."""
    state = folded(*LIVE, released("a", AMS))

    later(state, HOUR_NS, withdrawn(FRA))

    assert set(open_in(state, "a")) == {AMS, FRA, IAD}


def test_app_has_at_most_256_versions_open() -> None:
    """A builder that pushes every minute does not fill the memory: the oldest miss."""
    state = folded(LIVE[0], *(released(f"n{n}", AMS) for n in range(VERSIONS_OPEN_MAX)))
    before = outcomes(state)

    fold_in(state, released("one-more", AMS))

    app = state.app_of(state.find_repository(WEB))
    versions = state.indexes.trials.versions_of(app)
    assert before == {}
    assert outcomes(state) == {(AMS, "PUSH", "FIRST"): (1, 0)}
    assert len(versions) == VERSIONS_OPEN_MAX
    assert state.find_placement(WEB, digest("n0")) not in versions


def test_rollback_does_not_make_a_version_newer() -> None:
    """The oldest version is given up first, however lately it opened its trials."""
    state = folded(*LIVE[:2], released("a", AMS), released("b", AMS))
    app = state.app_of(state.find_repository(WEB))
    before = state.indexes.trials.versions_of(app)

    later(state, HOUR_NS, started("b", AMS), started("a", AMS))

    assert state.indexes.trials.versions_of(app) == before


def test_two_hundred_regions_have_trials_and_outcomes_of_their_own() -> None:
    """Regions beyond the first sixty are kept in further rows, and none is mixed up."""
    regions = [Region(f"r{number:03}") for number in range(200)]
    state = folded(*(started("live", region, API) for region in regions))
    later(state, HOUR_NS, released("a", regions[0]))
    chosen = [regions[number] for number in (0, 59, 60, 119, 120, 199)]

    later(state, HOUR_NS, *(started("a", region) for region in chosen))

    hits = dict.fromkeys(chosen[:1], (1, 1))
    told = outcomes(state)
    assert {where: told[where, "PUSH", "FIRST"] for where in chosen[:1]} == hits
    assert set(open_in(state, "a")) == set(regions) - set(chosen)
    assert len(state.trials) == -(-200 // TRIAL_REGIONS) * (len(chosen) + 1)
    assert all((where, "PUSH", "FIRST") in told for where in chosen)


def test_old_news_opens_and_ends_nothing() -> None:
    """A push and a start of two days ago change no trial."""
    state = folded(*LIVE, released("a", AMS))
    before = open_in(state, "a")
    old_ns = START_NS - 2 * DAY_NS

    fold_in(state, started("a", FRA, at_ns=old_ns), released("b", FRA, at_ns=old_ns))

    assert open_in(state, "a") == before
    assert outcomes(state) == {}
    assert open_in(state, "b") == {}
