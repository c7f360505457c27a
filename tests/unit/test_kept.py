"""How long a region keeps each version of an app."""

from itertools import permutations

import pytest

from placement.core.deciding.keep import Keep
from placement.core.deciding.kept import FOREVER_NS, Kept, Use, kept
from tests.builders import DAY_NS

KEEP = Keep(
    previous_versions=1,
    grace_days=6,
    recent_versions=3,
    recent_days=45,
    unused_days=30,
    pull_days=5,
)


def ran(version: int, day: float, *, held: bool = True) -> Use:
    """Return a version that last started on *day*; versions are pushed by number."""
    return Use(version, version, 1, round(day * DAY_NS), held)


def reasons(found: dict[int, Kept]) -> dict[int, tuple[str, float]]:
    """Return why each version stays and until which day; infinity is for good."""
    return {
        version: (
            said.reason,
            float("inf") if said.until_ns == FOREVER_NS else said.until_ns / DAY_NS,
        )
        for version, said in found.items()
    }


def test_versions_stay_by_number_and_by_age() -> None:
    """The current one and the one before for good; then by number, then by age."""
    uses = [ran(version, day=10.0 * version) for version in range(1, 7)]

    found = reasons(kept(uses, KEEP))

    assert found == {
        6: ("current", float("inf")),
        5: ("previous", float("inf")),
        4: ("recent", 50 + 45),
        3: ("recent", 40 + 45),
        2: ("grace", 30 + 6),
        1: ("grace", 20 + 6),
    }


def test_only_grace_is_safe_from_a_budget() -> None:
    """What stays beyond its grace stays while there is room."""
    found = kept([ran(1, 10), ran(2, 20), ran(3, 30)], KEEP)

    assert found[1].until_ns == (20 + 45) * DAY_NS
    assert found[1].safe_until_ns == (20 + 6) * DAY_NS
    assert found[2].safe_until_ns == FOREVER_NS


def test_a_version_rolled_back_to_is_current() -> None:
    """Whatever was pushed later: what started last runs."""
    found = reasons(kept([ran(1, 30), ran(2, 20)], KEEP))

    assert found[1] == ("current", float("inf"))
    assert found[2] == ("previous", float("inf"))


def test_what_left_already_tells_when_others_were_replaced() -> None:
    """A version that was removed by hand takes no place, but its time counts."""
    uses = [ran(1, 10), ran(2, 20), ran(3, 25, held=False), ran(4, 30)]

    found = kept(uses, KEEP)

    assert 3 not in found
    assert (found[2].reason, found[2].replaced_ns) == ("previous", 25 * DAY_NS)


def test_an_app_that_left_keeps_nothing_for_good() -> None:
    """From when it left on, its last versions have their time, and no more."""
    found = reasons(kept([ran(1, 10), ran(2, 20)], KEEP, 40 * DAY_NS, newest={2}))

    assert found == {2: ("recent", 40 + 45), 1: ("recent", 20 + 45)}


def test_newest_versions_stay_where_they_have_started() -> None:
    """A tag such as latest points to it, though older ones have started since."""
    uses = [ran(1, 40), ran(2, 50), ran(9, 1), Use(8, 8, 1, 0)]

    found = reasons(kept(uses, KEEP, newest={8, 9}))

    assert found[9] == ("newest", float("inf"))
    assert found[8] == ("passed-over", 1)


def test_a_copy_waits_for_its_first_start() -> None:
    """For unused_days; in vain once a newer version has started there since."""
    waiting = Use(5, 5, 10 * DAY_NS, 0)

    assert reasons(kept([waiting, ran(4, 20)], KEEP))[5] == ("unused", 10 + 30)
    assert reasons(kept([waiting, ran(6, 20)], KEEP))[5] == ("passed-over", 20)
    assert reasons(kept([waiting, ran(6, 9)], KEEP))[5] == ("unused", 10 + 30)


def test_what_was_used_lately_stays() -> None:
    """A pull or start keeps for pull_days, whatever the grace is."""
    strict = Keep(0, 0.0, recent_versions=0, pull_days=5)

    found = reasons(kept([ran(1, 19.5), ran(2, 20)], strict))

    assert found[1] == ("grace", 19.5 + 5)


@pytest.mark.parametrize("withdrawn_day", [0, 35])
def test_the_order_of_uses_means_nothing(withdrawn_day: int) -> None:
    """Ties of time go by push, then by the version itself."""
    uses = [ran(1, 10), ran(2, 20), ran(3, 20), Use(4, 4, 5, 0), ran(5, 30)]

    found = [kept(order, KEEP, withdrawn_day * DAY_NS) for order in permutations(uses)]

    assert all(one == found[0] for one in found)
