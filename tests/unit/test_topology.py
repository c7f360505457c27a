"""The region catalogue: codes, what is refused, who serves whom, and distances."""

from dataclasses import replace

import pytest

from placement.core.errors import InputError, RegionInvalidError, RegionUnknownError
from placement.core.estimate import Duration
from placement.core.network import Network
from placement.core.state import State
from placement.core.topology import (
    CatalogueRegion,
    Region,
    Topology,
    distance_km,
    parse_region,
)
from tests.builders import AMS, FRA, IAD, LHR, NOWHERE, SCL, SYD, TOPOLOGY


@pytest.mark.parametrize("text", ["a", "7", "iad", "us-east-1", "a" * 32])
def test_region_code_is_accepted(text: str) -> None:
    """1 to 32 lower-case letters, digits and inner dashes."""
    assert parse_region(text) == text


@pytest.mark.parametrize("text", ["", "a" * 33, "-a", "a-", "A", "a.b", "a b", "a\n"])
def test_anything_else_is_no_region_code(text: str) -> None:
    """A dot would be another token of the subject; 33 characters are one too many."""
    with pytest.raises(RegionInvalidError) as refused:
        parse_region(text, "target_region")

    assert refused.value.reason == "REGION_INVALID"
    assert refused.value.field == "target_region"


def numbered(count: int) -> dict[Region, CatalogueRegion]:
    """Return a catalogue of *count* regions."""
    codes = [Region(f"r{number}") for number in range(count)]
    return {code: CatalogueRegion(code, code, 0.0, 0.0) for code in codes}


@pytest.mark.parametrize("count", [1, 200])
def test_catalogue_of_1_to_200_regions_is_accepted(count: int) -> None:
    """200 is the documented limit."""
    topology = Topology(numbered(count), Region("r0"))

    assert len(topology.serving_order(Region("r0"))) == count


@pytest.mark.parametrize("count", [0, 201])
def test_catalogue_of_more_or_none_is_refused(count: int) -> None:
    """One too many, and none at all."""
    with pytest.raises(InputError) as refused:
        Topology(numbered(count), Region("r0"))

    assert refused.value.field == "regions"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"latitude": 90.1}, "regions.ams.latitude"),
        ({"latitude": -90.1}, "regions.ams.latitude"),
        ({"longitude": 180.1}, "regions.ams.longitude"),
        ({"longitude": -180.1}, "regions.ams.longitude"),
        ({"latitude": float("nan")}, "regions.ams.latitude"),
        ({"serving_order": (SCL,)}, "regions.ams.serving_order"),
        ({"serving_order": (NOWHERE,)}, "regions.ams.serving_order"),
    ],
    ids=str,
)
def test_region_at_fault_is_named(changed: dict[str, object], field: str) -> None:
    """The key of the catalogue is named, so that an operator can correct it."""
    wrong = replace(TOPOLOGY.regions[AMS], **changed)  # type: ignore[arg-type] # wrong on purpose

    with pytest.raises(InputError) as refused:
        Topology({**TOPOLOGY.regions, AMS: wrong}, IAD)

    assert refused.value.field == field


@pytest.mark.parametrize("home", [SCL, NOWHERE])
def test_home_must_store(home: Region) -> None:
    """A fallback that holds nothing would break every pull that needs it."""
    with pytest.raises(InputError) as refused:
        Topology(TOPOLOGY.regions, home)

    assert refused.value.field == "home"


def test_nearest_storage_serves_first() -> None:
    """Who stores serves itself; who does not is served by the nearest that does."""
    assert TOPOLOGY.serving_order(AMS) == (AMS, FRA, LHR, IAD, SYD)
    assert TOPOLOGY.serving_order(SCL) == (IAD, SYD, LHR, AMS, FRA)


def test_stated_serving_order_goes_before_the_nearest() -> None:
    """Whoever knows the network better than geography says so; the rest follows."""
    stated = replace(TOPOLOGY.regions[SCL], serving_order=(SYD, FRA))
    topology = Topology({**TOPOLOGY.regions, SCL: stated}, IAD)

    assert topology.serving_order(SCL) == (SYD, FRA, IAD, LHR, AMS)


def test_region_outside_the_catalogue_is_unknown() -> None:
    """It may be in the log; answers are about the catalogue."""
    assert TOPOLOGY.known(SCL) == SCL
    with pytest.raises(RegionUnknownError) as refused:
        TOPOLOGY.known(NOWHERE)

    assert refused.value.metadata == {"region": "nowhere"}


def test_endpoints_come_from_the_catalogue() -> None:
    """Never from an event."""
    assert TOPOLOGY.endpoint(AMS) == "https://registry.ams.test"


def test_distances_are_those_of_the_globe() -> None:
    """Within one per cent of what maps say, and the same in both directions."""
    ams, syd = TOPOLOGY.regions[AMS], TOPOLOGY.regions[SYD]

    assert distance_km(ams, syd) == pytest.approx(16_650, rel=0.01)
    assert distance_km(syd, ams) == distance_km(ams, syd)
    assert distance_km(ams, ams) == 0


def test_antipodes_have_a_distance() -> None:
    """Rounding must not push the haversine out of its range."""
    pole = CatalogueRegion(Region("n"), "n", 90.0, 0.0)
    other = CatalogueRegion(Region("s"), "s", -90.0, 0.0)

    assert distance_km(pole, other) == pytest.approx(20_015, rel=0.001)


def test_round_trip_is_4_ms_and_75_km_a_millisecond() -> None:
    """The documented model; within a region it is one millisecond."""
    assert TOPOLOGY.round_trip_ns(AMS, AMS) == 1_000_000
    assert TOPOLOGY.round_trip_ns(AMS, LHR) == pytest.approx(8.9e6, rel=0.02)


def test_transfer_takes_what_the_fitted_model_says() -> None:
    """0.37 s, 11.3 round trips, and the bytes at what the route carries."""
    near = Network(State(), TOPOLOGY, 1).route(AMS, AMS).duration(80_000_000)
    far = Network(State(), TOPOLOGY, 1).route(SYD, AMS).duration(80_000_000)

    assert near == Duration(1_381_300_000, 2_071_950_000)
    assert far.p50_ns == pytest.approx(8.57e9, rel=0.01)


def test_nothing_still_takes_a_connection() -> None:
    """An empty transfer is not free."""
    assert (
        Network(State(), TOPOLOGY, 1).route(AMS, AMS).duration(0).p50_ns == 381_300_000
    )
