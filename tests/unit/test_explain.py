"""Every step from a reference to an expected wait, in words and numbers."""

from placement.core.event import RegionState
from placement.core.explain import Step, explain
from placement.core.images import Selection, select_image
from placement.core.oci import Digest, Tag
from placement.core.state import State
from placement.core.topology import Region
from tests.builders import (
    AMD64,
    AMS,
    FRA,
    HOUR_NS,
    IAD,
    LATEST,
    SCL,
    WEB,
    changed,
    digest,
    fold_in,
    folded,
    measured,
    tagged,
)
from tests.images import AMD_BYTES, MEGABYTE, fetched, network, parts_pushed


def steps(
    state: State, region: Region, reference: Digest | Tag = LATEST
) -> dict[str, Step]:
    """Return the steps by name, the first of each."""
    image = select_image(state, Selection(WEB, reference, AMD64))
    found: dict[str, Step] = {}
    for step in explain(network(state), image, region):
        found.setdefault(step.name, step)
    return found


def test_steps_lead_from_the_tag_to_the_wait() -> None:
    """Each names who, where and how much."""
    state = folded(*parts_pushed(AMS), tagged("latest", "app", AMS))

    found = steps(state, FRA)

    assert list(found) == [
        "reference",
        "storage",
        "missing",
        "sources",
        "fallback",
        "route",
        "wait",
    ]
    assert found["reference"].text == (
        f"tag latest points to {digest('app')}, set in ams by message 9"
    )
    assert found["reference"].factors[0].value == (HOUR_NS - 9e9) / 1e9
    assert found["storage"].text == (
        "fra is served by fra (active); its order begins fra, ams, lhr"
    )
    assert found["missing"].text == "fra lacks 4 of 4 contents"
    assert [factor.value for factor in found["missing"].factors] == [
        AMD_BYTES,
        AMD_BYTES,
        0,
    ]
    assert found["sources"].text.startswith("source 1: ams, ")
    assert found["fallback"].text == (
        "iad is the home of every fallback; it is not known to hold it"
    )
    assert found["route"].text == "ams -> fra is known by distance alone"


def test_wait_is_that_of_the_estimate() -> None:
    """The last step repeats the number that the answers give."""
    state = folded(*parts_pushed(AMS))

    wait = steps(state, FRA, digest("app"))["wait"]

    duration = fetched(state, FRA).duration
    assert duration is not None
    assert [factor.value for factor in wait.factors] == [
        duration.p50_ns / 1e9,
        duration.p90_ns / 1e9,
    ]


def test_digest_names_itself_and_a_drained_region_is_told() -> None:
    """Santiago goes through Ashburn, which drains, so through the next."""
    state = folded(*parts_pushed(IAD), changed(IAD, RegionState.DRAINING))

    found = steps(state, SCL, digest("app"))

    assert found["reference"].text == f"{digest('app')} is a digest: it names itself"
    assert "(active)" in found["storage"].text
    assert "served by iad" not in found["storage"].text
    assert found["fallback"].text.endswith("complete")


def test_learned_route_says_from_how_many_transfers() -> None:
    """So that somebody can tell a guess from a measurement."""
    state = folded(*parts_pushed(AMS))
    fold_in(state, *(measured(AMS, FRA, 40 * MEGABYTE, 2.0) for _ in range(3)))

    route = steps(state, FRA, digest("app"))["route"]

    assert route.text == "ams -> fra is learned from 3 transfers"


def test_region_that_has_all_of_it_needs_no_source() -> None:
    """Only the way from its storage to the machine is left."""
    state = folded(*parts_pushed(AMS))

    found = steps(state, AMS, digest("app"))

    assert found["missing"].text == "ams has, or can mount, all 4 contents"
    assert found["route"].text.startswith("ams -> ams ")


def test_image_that_nobody_holds_has_no_wait() -> None:
    """The explanation ends with what is wrong."""
    state = folded(*parts_pushed(AMS, ["app", "for-amd"]))

    assert steps(state, FRA, digest("app"))["wait"].text == (
        "nobody is known to hold all of it: no wait can be expected"
    )
