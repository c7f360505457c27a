"""Wants: asked for, pinned, foreseen or repaired, each with its cause and priority."""

from placement.core.deciding.priority import Priority
from placement.core.deciding.wants import Want
from placement.core.event import (
    Event,
    Identifier,
    ReplicationRequested,
    ReplicationTrigger,
    StartsRequested,
    TimeNs,
)
from placement.core.oci import Tag
from tests.builders import (
    AMS,
    API,
    DAY_NS,
    FRA,
    IAD,
    LHR,
    SCL,
    SECOND_NS,
    START_NS,
    SYD,
    WEB,
    digest,
    event,
    pulled,
    pushed,
    started,
)
from tests.deciding import (
    IMAGE_BYTES,
    LAYER_BYTES,
    MANIFEST_BYTES,
    NO_CONTROL_GROUP,
    Office,
    pinned,
    release,
    requested,
    ruled,
)

RESIDENCY = '[[residency]]\nrepositories = ["acme/*"]\nallow = ["iad", "ams", "fra"]\n'


def asked(version: str, *regions: str) -> Event:
    """Return a scheduler's word that it is about to start machines."""
    targets = tuple(region for region in (SYD, LHR) if region in regions)
    return event(IAD, StartsRequested(WEB, Tag(version), targets))


def summed_up(wants: list[Want]) -> list[tuple[str, str, Priority, bool]]:
    """Return of each want its target, reason, priority, and whether it is foreseen."""
    return [
        (one.candidate.target, one.candidate.reason, one.priority, one.foreseen)
        for one in wants
    ]


def test_request_is_wanted_before_all_else() -> None:
    """Whoever asks is waiting; no forecast is asked about it."""
    office = Office().tell(*release("v1")).forget()
    office.tell(requested("v1", LHR))

    (want,) = office.wants()

    assert summed_up([want]) == [(LHR, "requested", Priority.SOMEBODY_WAITS, False)]
    assert want.trigger is ReplicationTrigger.REQUEST
    assert want.trigger_sequence == office.state.sequence
    assert want.candidate.transfer_bytes == IMAGE_BYTES


def test_request_is_forgotten_a_day_after_its_deadline() -> None:
    """A deadline in two days keeps it alive for three."""
    deadline = TimeNs(START_NS + 2 * DAY_NS)
    fact = ReplicationRequested(Identifier("r1"), WEB, Tag("v1"), LHR, deadline)
    office = Office().tell(*release("v1"), event(LHR, fact))

    office.wait(2.9 * DAY_NS / SECOND_NS)
    before = office.wants(office.tick())
    office.wait(0.2 * DAY_NS / SECOND_NS)
    after = office.wants(office.tick())

    assert [want.candidate.reason for want in before] == ["requested"]
    assert after == []


def test_request_for_what_is_there_wants_nothing() -> None:
    """Nothing is missing in the region that was asked for."""
    office = Office().tell(*release("v1"), *release("v1", LHR)).forget()

    office.tell(requested("v1", LHR))

    assert office.wants() == []


def test_pin_brings_an_image_to_the_region_that_it_names() -> None:
    """Content that has to be somewhere, and is not, is copied there."""
    office = Office().tell(*release("v1"), pinned("v1", FRA)).forget()

    wants = office.wants(office.tick())

    assert summed_up(wants) == [(FRA, "pinned-here", Priority.TOO_FEW, False)]
    assert wants[0].trigger is ReplicationTrigger.PIN


def test_pin_of_all_regions_brings_nothing_anywhere() -> None:
    """It keeps what is there."""
    office = Office().tell(*release("v1"), pinned("v1")).forget()

    assert office.wants(office.tick()) == []


def test_forecast_is_asked_at_a_push() -> None:
    """The app runs in Sydney, so its next version probably starts there, too."""
    office = Office().tell(*release("v1"), started("v1", SYD)).forget()

    office.tell(*release("v2"))
    wants = office.wants()

    expected = (SYD, "start-forecast", Priority.FORESEEN, True)
    assert summed_up(wants) == [expected]
    assert wants[0].trigger is ReplicationTrigger.PUSH


def test_what_runs_where_it_is_not_stored_is_wanted_there() -> None:
    """That is no forecast: machines there start it again."""
    office = Office().tell(*release("v1")).forget()

    office.tell(started("v1", SYD))
    wants = office.wants()

    assert summed_up(wants) == [(SYD, "runs-here", Priority.FORESEEN, False)]
    assert wants[0].trigger is ReplicationTrigger.START


def test_regular_look_fills_regions_last() -> None:
    """The same image, found by the sweep, is a backfill: everything else goes first."""
    office = Office().tell(*release("v1"), started("v1", SYD)).forget()

    wants = office.wants(office.tick())

    assert summed_up(wants) == [(SYD, "runs-here", Priority.BACKFILL, False)]
    assert wants[0].trigger is ReplicationTrigger.SWEEP


def test_requested_starts_are_somebody_who_waits() -> None:
    """A scheduler that is about to start machines comes before any forecast."""
    office = Office().tell(*release("v1")).forget()

    office.tell(asked("v1", SYD))

    expected = (SYD, "starts-requested", Priority.SOMEBODY_WAITS, False)
    assert summed_up(office.wants()) == [expected]


def test_first_layer_is_wanted_before_its_manifest_comes() -> None:
    """Starts were asked for, so the layer goes ahead of the rest of the image."""
    office = Office().tell(asked("v1", SYD)).forget()

    office.tell(release("v1")[0])
    (want,) = office.wants()

    assert want.trigger is ReplicationTrigger.FIRST_LAYER
    assert want.candidate.transfer_bytes == LAYER_BYTES


def test_layer_whose_manifest_does_not_come_is_left() -> None:
    """An upload that was given up an hour ago foretells nothing."""
    office = Office().tell(asked("v1", SYD), release("v1")[0])
    due = office.state.indexes.agenda.take()

    office.wait(3_601)

    assert office.wants(due) == []


def test_target_is_wanted_once() -> None:
    """Asked for, pinned and foreseen for Sydney: one want, of the best reason."""
    office = Office().tell(*release("v1"), started("v1", SYD), *release("v2"))
    office.forget().tell(pinned("v2", SYD), requested("v2", SYD))

    wants = office.wants(office.tick())
    about = digest("v2")

    found = [one for one in wants if one.candidate.image.digest == about]
    assert [one.candidate.reason for one in found] == ["requested"]


def test_nothing_is_wanted_where_residency_forbids_it() -> None:
    """Neither a request nor a pin nor a repair gets around the rules."""
    office = Office().tell(ruled(RESIDENCY), *release("v1"), *release("v1", SYD))
    office.forget().tell(requested("v1", LHR), pinned("v1", LHR))

    assert office.wants(office.tick()) == []


def test_forecast_goes_to_the_nearest_permitted_region() -> None:
    """Starts in London are served from the best region that is allowed."""
    office = Office().tell(ruled(RESIDENCY), *release("v1"), started("v1", LHR))

    targets = {want.candidate.target for want in office.wants()}

    assert targets == {AMS}


def test_what_is_on_its_way_is_not_wanted_again() -> None:
    """The layer is being copied: only the manifest is left to move."""
    office = Office().tell(ruled(NO_CONTROL_GROUP), asked("v1", SYD), release("v1")[0])
    office.act()

    office.tell(release("v1")[1])
    (want,) = office.wants()

    assert want.candidate.transfer_bytes == MANIFEST_BYTES


def test_region_without_storage_is_served_by_another() -> None:
    """Santiago stores nothing: a copy for its starts goes to the region that serves."""
    home = Office().topology.home
    office = Office().tell(*release("v1", SYD), started("v1", SCL))

    targets = {want.candidate.target for want in office.wants()}

    assert targets == {home}


def test_wants_have_a_total_order() -> None:
    """Priority, then value, then the name; of equal ones the one that was due first."""
    office = Office().tell(*release("v1"), started("v1", SYD))
    early, late = office.wants()[-2:]

    assert early.candidate == late.candidate
    assert early.key < late.key
    assert early.trigger_sequence < late.trigger_sequence


def test_set_rule_wants_no_layer_ahead() -> None:
    """The static rule knows images, and copies to where the app ran."""
    office = Office().tell(ruled('rule = "set_60d"\n', "set"))
    office.tell(*release("v1"), started("v1", SYD), pulled("v1", SYD)).forget()

    office.tell(release("v2")[0])
    before = office.wants()
    office.tell(release("v2")[1])
    after = office.wants()

    assert before == []
    assert [want.candidate.target for want in after] == [SYD]


def test_nobody_s_app_wants_nothing() -> None:
    """An image that no start was ever told of is left where it was pushed."""
    office = Office().tell(pushed("a", IAD, API))

    assert office.wants() == []
