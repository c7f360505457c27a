"""Orders in force: one for all regions and one for a single one, expiry, policies."""

import pytest

from placement.core.deciding.ruling import SHIPPED, ruling_in_force
from placement.core.deciding.standing import Standing, policy_statuses
from placement.core.event import (
    ContentPinned,
    ContentUnpinned,
    Document,
    Fact,
    Identifier,
    Name,
    Operation,
    PolicyChanged,
    RegionChanged,
    RegionState,
    ReplicationPaused,
    ReplicationResumed,
    TimeNs,
)
from placement.core.folds.orders import is_paused
from placement.core.oci import Digest, Repository
from placement.core.orders import (
    PinOrder,
    is_known,
    is_pinned,
    is_pinned_in,
    listed_pins,
    pause_orders,
    policy_orders,
    region_orders,
)
from placement.core.state import State
from placement.core.tables.table import ABSENT
from placement.core.topology import Region
from tests.builders import (
    AMS,
    API,
    FRA,
    HOUR_NS,
    IAD,
    SECOND_NS,
    START_NS,
    SYD,
    WEB,
    A,
    B,
    event,
    folded,
    pushed,
)

NOW_NS = START_NS + 60 * SECOND_NS
LATER_NS = NOW_NS + HOUR_NS
FIRST = ("", "", "")
SOON = Operation(expire_time_ns=TimeNs(NOW_NS + 1))
"""In force at NOW_NS, and over at LATER_NS."""


def told(*facts: Fact) -> State:
    """Return the state after *facts*, in which three regions are known."""
    known = [pushed("x", region) for region in (AMS, FRA, SYD)]
    return folded(*known, *(event(IAD, fact) for fact in facts))


def paused(state: State, now_ns: int = NOW_NS) -> list[Region]:
    """Return the known regions that no copy may be made into."""
    return [
        region
        for region in (AMS, FRA, SYD)
        if is_paused(state, state.region_row(region), now_ns)
    ]


def pinned(state: State, now_ns: int = NOW_NS) -> list[Region]:
    """Return the known regions where A has to stay in WEB."""
    owner, digest = state.repository_row(WEB), state.digest_row(A)
    return [
        region
        for region in (AMS, FRA, SYD)
        if is_pinned(state, owner, digest, state.region_row(region), now_ns)
    ]


def pins(state: State, now_ns: int = NOW_NS) -> list[PinOrder]:
    """Return the pins in force."""
    return list(listed_pins(state, None, FIRST, now_ns))


def test_pause_of_one_region_is_about_that_one() -> None:
    """Others go on; the listing says where, since when and until when."""
    state = told(ReplicationPaused((SYD,), SOON))

    (order,) = pause_orders(state, NOW_NS)
    assert paused(state) == [SYD]
    assert (order.region, order.excepted) == (SYD, ())
    assert START_NS < order.term.order_time_ns < NOW_NS
    assert order.term.expire_time_ns == NOW_NS + 1


def test_pause_ends_at_its_expiry() -> None:
    """At that very moment, and it is no longer listed."""
    state = told(ReplicationPaused((), SOON))

    assert paused(state, NOW_NS) == [AMS, FRA, SYD]
    assert paused(state, NOW_NS + 1) == []
    assert len(pause_orders(state, NOW_NS)) == 1
    assert pause_orders(state, NOW_NS + 1) == []


def test_one_region_is_resumed_while_all_are_paused() -> None:
    """The pause of all goes on, and says where it does not hold."""
    state = told(ReplicationPaused(), ReplicationResumed((SYD,)))

    (order,) = pause_orders(state, NOW_NS)
    assert paused(state) == [AMS, FRA]
    assert (order.region, order.excepted) == (None, (SYD,))


def test_resuming_all_ends_every_earlier_pause() -> None:
    """Also those of single regions."""
    state = told(ReplicationPaused((SYD,)), ReplicationPaused(), ReplicationResumed())

    assert paused(state) == []
    assert pause_orders(state, NOW_NS) == []


def test_pausing_all_counts_where_one_was_resumed_before() -> None:
    """The later order is about every region."""
    state = told(ReplicationPaused((SYD,)), ReplicationResumed((SYD,)))
    assert paused(state) == []

    state = told(ReplicationResumed((SYD,)), ReplicationPaused())
    assert paused(state) == [AMS, FRA, SYD]
    assert pause_orders(state, NOW_NS)[0].excepted == ()


def test_pause_of_all_goes_on_where_a_later_one_of_a_region_expires() -> None:
    """Pausing a region for an hour must not resume it when the hour is over."""
    state = told(ReplicationPaused(), ReplicationPaused((SYD,), SOON))

    assert [order.region for order in pause_orders(state, NOW_NS)] == [None, SYD]
    assert paused(state, LATER_NS) == [AMS, FRA, SYD]
    assert [order.region for order in pause_orders(state, LATER_NS)] == [None]


def test_pin_everywhere_is_unpinned_in_one_region() -> None:
    """It stays elsewhere; only a pin that names a region wants it to be there."""
    state = told(ContentPinned(WEB, A), ContentUnpinned(WEB, A, (SYD,)))

    (pin,) = pins(state)
    assert pinned(state) == [AMS, FRA]
    assert (pin.key, pin.excepted) == ((WEB, A, ""), (SYD,))


def test_only_a_pin_that_names_a_region_asks_for_content_there() -> None:
    """A pin wherever content is keeps what is there, and wants nothing elsewhere."""
    state = told(ContentPinned(WEB, A), ContentPinned(WEB, B, (FRA,), SOON))
    owner, row = state.find_repository(WEB), state.region_row(FRA)

    def wanted(digest: Digest, now_ns: int = NOW_NS) -> bool:
        return is_pinned_in(state, owner, state.find_digest(digest), row, now_ns)

    assert (wanted(A), wanted(B), wanted(B, LATER_NS)) == (False, True, False)
    assert not is_pinned_in(state, owner, state.find_digest(B), ABSENT, NOW_NS)


def test_unpinning_everywhere_ends_every_pin_of_the_content() -> None:
    """Also one that named a region; other content stays pinned."""
    state = told(
        ContentPinned(WEB, A, (SYD,)), ContentPinned(WEB, B), ContentUnpinned(WEB, A)
    )
    owner, digest = state.find_repository(WEB), state.find_digest(A)

    assert pinned(state) == []
    assert not is_pinned_in(state, owner, digest, state.region_row(SYD), NOW_NS)
    assert [pin.digest for pin in pins(state)] == [B]


def test_pins_are_listed_by_repository_digest_and_region() -> None:
    """From any key on, of one repository or of all."""
    state = told(
        ContentPinned(WEB, B),
        ContentPinned(WEB, A, (SYD, AMS)),
        ContentPinned(API, A, (FRA,), SOON),
    )

    keys = [pin.key for pin in pins(state)]
    owner = state.find_repository(WEB)
    of_web = listed_pins(state, owner, (WEB, A, AMS), NOW_NS)
    assert keys == sorted(keys)
    assert keys == [(API, A, FRA), (WEB, A, AMS), (WEB, A, SYD), (WEB, B, "")]
    assert [pin.key for pin in of_web] == [(WEB, A, SYD), (WEB, B, "")]
    assert [pin.repository for pin in pins(state, LATER_NS)] == [WEB, WEB, WEB]


def test_regions_that_are_not_active_are_listed_until_they_are() -> None:
    """By code, with their terms."""
    state = told(
        RegionChanged(SYD, RegionState.DOWN),
        RegionChanged(FRA, RegionState.DRAINING, SOON),
        RegionChanged(AMS, RegionState.ACTIVE),
    )

    now, later = (region_orders(state, at_ns) for at_ns in (NOW_NS, LATER_NS))
    assert [(one.region, one.state) for one in now] == [
        (FRA, RegionState.DRAINING),
        (SYD, RegionState.DOWN),
    ]
    assert [one.region for one in later] == [SYD]


def policy(name: str, content: str = "", given: Operation | None = None) -> Fact:
    """Return the order of a policy."""
    return PolicyChanged(Name(name), Document(content), given or Operation())


def standings(state: State, now_ns: int = NOW_NS) -> list[tuple[str, Standing]]:
    """Return each policy and how it stands."""
    return [(one.name, one.standing) for one in policy_statuses(state, now_ns)]


def test_shipped_policy_is_in_force_when_none_was_ordered() -> None:
    """It has no term."""
    (status,) = policy_statuses(told(), NOW_NS)

    assert (status.name, status.standing) == ("default", Standing.IN_FORCE)
    assert (status.digest, status.term) == (SHIPPED.digest, None)


@pytest.mark.parametrize("now_ns", [NOW_NS, LATER_NS])
def test_listing_and_planners_agree_on_the_policy_in_force(now_ns: int) -> None:
    """Latest first; what expires gives way to the one before, what is odd never is."""
    state = told(
        policy("set_60d"),
        policy("mine", 'name = "mine"\nmode = "observe"'),
        policy("brief", 'name = "brief"', SOON),
        policy("odd", "limits = 3"),
    )

    ruling = ruling_in_force(state, now_ns)
    (chosen,) = [
        status
        for status in policy_statuses(state, now_ns)
        if status.standing is Standing.IN_FORCE
    ]
    assert (chosen.name, chosen.digest) == (ruling.policy.name, ruling.digest)
    assert ruling.refused == ("odd",)


def test_policies_say_how_they_stand() -> None:
    """Before and after one of them expires."""
    state = told(policy("set_60d"), policy("odd", "limits = 3"), policy("b", "", SOON))

    odd = policy_statuses(state, NOW_NS)[1]
    assert standings(state) == [
        ("b", Standing.IN_FORCE),
        ("odd", Standing.REFUSED),
        ("set_60d", Standing.REPLACED),
    ]
    assert standings(state, LATER_NS) == [
        ("b", Standing.EXPIRED),
        ("odd", Standing.REFUSED),
        ("set_60d", Standing.IN_FORCE),
    ]
    assert (odd.digest, "policy.limits" in odd.problem) == ("", True)


def test_policy_ordered_again_is_the_latest() -> None:
    """It is one policy with a new term, not two."""
    state = told(policy("a"), policy("b"), policy("a"))

    assert [order.name for order in policy_orders(state)] == ["a", "b"]


def test_request_is_known_by_its_kind_and_id() -> None:
    """The same id may name a pause and a resumption."""
    given = Operation(request_id=Identifier("r1"))
    state = told(ReplicationPaused((SYD,), given))

    assert is_known(state, ReplicationPaused, "r1")
    assert not is_known(state, ReplicationPaused, "r2")
    assert not is_known(state, ReplicationResumed, "r1")


def test_pin_of_what_nobody_announced_is_listed() -> None:
    """A pin may come before the push."""
    early = Repository("acme/early")
    state = told(ContentPinned(early, B))

    assert [pin.key for pin in pins(state)] == [(early, B, "")]
