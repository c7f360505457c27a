"""Budgets: what is spent, when some of it is free again, and by how much at most."""

from collections.abc import Sequence

import pytest

from placement.core.deciding.budgets import Budgets, Order
from placement.core.deciding.priority import Priority
from placement.core.event import (
    Identifier,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationPlanned,
    ReplicationStarted,
    ReplicationSubject,
)
from placement.core.oci import Repository
from placement.core.topology import Region
from tests.builders import (
    API,
    DAY_NS,
    FRA,
    HOUR_NS,
    IAD,
    LHR,
    SECOND_NS,
    SYD,
    WEB,
    digest,
    event,
    pushed,
)
from tests.deciding import Office, ruled

GB = 1_000_000_000
OTHER = Repository("others/shop")


def office_of(limits: str) -> Office:
    """Return an office with these limits and no others, and three repositories."""
    office = Office().tell(ruled(f"[limits]\nregion_copies_in_flight = 0\n{limits}\n"))
    return office.tell(*(pushed("own", IAD, owner) for owner in (WEB, API, OTHER)))


def plan(  # noqa: PLR0913, PLR0917 - one for each part of a decision
    office: Office,
    name: str,
    size: int,
    target: Region = SYD,
    source: Region = IAD,
    repository: Repository = WEB,
    priority: Priority = Priority.FORESEEN,
) -> ReplicationSubject:
    """Fold a decision to copy *size* bytes."""
    named = Identifier(f"copy-{name}")
    subject = ReplicationSubject(named, repository, digest(name), target)
    fact = ReplicationPlanned(
        subject,
        source,
        size,
        trigger_sequence=office.state.sequence,
        priority=priority,
    )
    office.tell(event(target, fact))
    return subject


def order(
    size: int = 1,
    target: Region = SYD,
    source: Region = IAD,
    organization: str = "acme",
    priority: Priority = Priority.FORESEEN,
) -> Order:
    """Return a copy that is to be paid for."""
    return Order(source, target, organization, size, priority)


def refused(office: Office, one: Order, taken: Sequence[Order] = ()) -> str:
    """Return which budget refuses a copy, after those *taken* just now."""
    budgets = Budgets(office.desk)
    for each in taken:
        budgets.take(each)
    refusal = budgets.refusal(one)
    return "" if refusal is None else refusal.budget.partition(" ")[0]


LINK = f"link_bytes_per_hour = {GB}"
OWNER = f"organization_bytes_per_day = {GB}"


def test_without_limits_nothing_is_refused() -> None:
    """0 means no limit."""
    office = office_of("")
    for number in range(40):
        plan(office, f"n{number}", 10 * GB)

    assert refused(office, order(10 * GB)) == ""


@pytest.mark.parametrize(
    ("limits", "one", "budget"),
    [
        (LINK, order(), "link_bytes_per_hour"),
        (LINK, order(source=FRA), ""),
        (LINK, order(target=LHR), ""),
        (f'[limits.links]\n"iad:syd" = {GB}', order(), "link_bytes_per_hour"),
        (f'{LINK}\n[limits.links]\n"iad:syd" = 0', order(), ""),
        (OWNER, order(source=FRA, target=LHR), "organization_bytes_per_day"),
        (OWNER, order(organization="others"), ""),
        (f"[limits.organizations]\nacme = {3 * GB}", order(), ""),
        ("region_copies_in_flight = 1", order(), "region_copies_in_flight"),
        ("region_copies_in_flight = 2", order(), ""),
        ("region_copies_in_flight = 1", order(target=LHR), ""),
        (f"region_bytes_in_flight = {GB}", order(), "region_bytes_in_flight"),
        (f"region_bytes_in_flight = {GB}", order(target=LHR), ""),
        (f"region_bytes_in_flight = {2 * GB}", order(), ""),
    ],
)
def test_what_was_planned_is_spent(limits: str, one: Order, budget: str) -> None:
    """A copy of a gigabyte is on its way from Ashburn to Sydney."""
    if "copies_in_flight" in limits:
        office = Office().tell(ruled(f"[limits]\n{limits}\n"))
    else:
        office = office_of(limits)
    plan(office, "a", GB)

    assert refused(office, one) == budget


@pytest.mark.parametrize(
    "limits", [LINK, OWNER, f"region_bytes_in_flight = {GB}"], ids=["link", "owner", ""]
)
def test_what_was_decided_just_now_counts_too(limits: str) -> None:
    """All decisions of a round share one budget."""
    office = office_of(limits)

    assert refused(office, order(), [order(GB - 1)]) == ""
    assert refused(office, order(), [order(GB)]) != ""


def test_budget_is_exceeded_by_less_than_one_copy() -> None:
    """A copy may begin while any byte is left: else none larger could ever be made."""
    office = office_of(LINK)
    plan(office, "a", GB - 1)

    assert refused(office, order(50 * GB)) == ""

    plan(office, "b", 50 * GB)
    assert refused(office, order(1)) == "link_bytes_per_hour"


@pytest.mark.parametrize(("limits", "window_ns"), [(LINK, HOUR_NS), (OWNER, DAY_NS)])
def test_refusal_says_when_something_is_free(limits: str, window_ns: int) -> None:
    """When so much of what was planned is older than the window; then it fits."""
    office = office_of(limits)
    plan(office, "a", GB // 2)
    first_ns = office.now_ns
    office.wait(600)
    plan(office, "b", GB // 2)

    refusal = Budgets(office.desk).refusal(order())

    assert refusal is not None
    assert refusal.free_time_ns == first_ns + window_ns
    office.now_ns = refusal.free_time_ns - 1
    assert refused(office, order()) != ""
    office.now_ns = refusal.free_time_ns
    assert refused(office, order()) == ""


def test_copies_in_flight_are_free_once_done() -> None:
    """What arrived is no longer on its way; what it moved was moved all the same."""
    office = Office().tell(ruled(f"[limits]\nregion_copies_in_flight = 1\n{LINK}\n"))
    subject = plan(office, "a", GB // 2)
    assert refused(office, order()) == "region_copies_in_flight"

    office.tell(event(SYD, ReplicationCompleted(subject)))

    assert refused(office, order()) == ""
    assert refused(office, order(), [order(GB // 2)]) != ""


@pytest.mark.parametrize("end", ["expired", "cancelled"])
@pytest.mark.parametrize("limits", [LINK, OWNER])
def test_what_was_called_off_gives_back(limits: str, end: str) -> None:
    """Nobody moved these bytes."""
    office = office_of(limits)
    subject = plan(office, "a", GB)
    assert refused(office, order()) != ""

    if end == "expired":
        office.tell(event(SYD, ReplicationExpired(subject)))
    else:
        office.cancel(office.decisions()[0])

    assert refused(office, order()) == ""


def test_what_failed_is_spent() -> None:
    """Some of it was moved, and nobody knows how much."""
    office = office_of(LINK)
    plan(office, "a", GB)

    office.fail(office.decisions()[0])

    assert refused(office, order()) == "link_bytes_per_hour"


def test_link_is_the_one_that_was_used() -> None:
    """A replicator that pulls from elsewhere spends that link's budget."""
    office = office_of(LINK)
    subject = plan(office, "a", GB)

    office.tell(event(SYD, ReplicationStarted(subject, LHR, 1)))

    assert refused(office, order()) == ""
    assert refused(office, order(source=LHR)) == "link_bytes_per_hour"


def test_owner_of_all_repositories_counts() -> None:
    """An organization's repositories share its budget; those of others do not."""
    office = office_of(OWNER)
    plan(office, "a", GB // 2, repository=WEB)
    plan(office, "b", GB // 2, repository=API, target=LHR)
    plan(office, "c", 9 * GB, repository=OTHER)

    assert refused(office, order(organization="acme")) == "organization_bytes_per_day"
    assert refused(office, order(organization="unheard-of")) == ""


def test_whoever_waits_does_not_stand_in_line() -> None:
    """Copies in flight hold up forecasts, not requests; bytes hold up both."""
    limits = "region_copies_in_flight = 1\nlink_bytes_per_hour = 9000000000\n"
    office = Office().tell(ruled(f"[limits]\n{limits}"))
    plan(office, "a", GB)
    waits = order(priority=Priority.SOMEBODY_WAITS)

    assert refused(office, order()) == "region_copies_in_flight"
    assert refused(office, waits) == ""

    plan(office, "b", 9 * GB)
    assert refused(office, waits) == "link_bytes_per_hour"


def test_backfill_has_a_limit_of_its_own() -> None:
    """Filling a region that was added leaves room for what is needed now."""
    office = office_of("backfill_copies_in_flight = 2")
    filling = order(priority=Priority.BACKFILL)
    plan(office, "a", 1, priority=Priority.BACKFILL)
    plan(office, "b", 1)

    assert refused(office, filling) == ""
    assert refused(office, filling, [order()]) == ""
    assert refused(office, filling, [filling]) == "backfill_copies_in_flight"
    assert refused(office, order(), [filling, filling]) == ""


def test_free_time_of_what_is_too_large_is_a_window_away() -> None:
    """More than the budget was decided in this very round."""
    office = office_of(LINK)
    budgets = Budgets(office.desk)
    budgets.take(order(2 * GB))

    refusal = budgets.refusal(order())

    assert refusal is not None
    assert refusal.free_time_ns == office.now_ns + 3_600 * SECOND_NS
