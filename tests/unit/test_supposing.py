"""A region that is supposed to be down: answers without it, and no state changed."""

from placement.core.event import RegionState
from placement.core.fingerprint import fingerprint
from placement.core.images import Selection, select_image
from placement.core.network import Network
from placement.core.oci import Tag
from placement.core.ranking import Question, rank_sources
from placement.core.starts import estimate_start
from placement.core.supposing import suppose_down
from tests.builders import (
    FRA,
    IAD,
    LHR,
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    changed,
    digest,
    fold_in,
    folded,
)
from tests.deciding import arrived, release


def network(*told: object) -> Network:
    """An image that is in Ashburn and in Frankfurt."""
    state = folded(*release("v1"), arrived("v1", FRA))
    return Network(fold_in(state, *told), TOPOLOGY, START_NS)  # type: ignore[arg-type]


def test_sources_and_waits_are_as_if_an_operator_had_said_so() -> None:
    """The same answers that a region's real outage gives."""
    now = network()
    supposed = suppose_down(now, frozenset({IAD}))
    real = network(changed(IAD, RegionState.DOWN))
    question = Question(WEB, SYD, 8)
    ranked = [rank_sources(each, question, digest("v1")) for each in (supposed, real)]
    assert ranked[0] == ranked[1]
    assert [source.region for source in ranked[0].sources] == [FRA]
    for region in TOPOLOGY.regions:
        found = [
            estimate_start(
                each,
                [select_image(each.state, Selection(WEB, Tag("v1")))],
                region,
            )
            for each in (supposed, real)
        ]
        assert found[0] == found[1]


def test_nothing_is_changed() -> None:
    """The state is the same, and so are answers from it."""
    now = network()
    before = fingerprint(now.state)
    supposed = suppose_down(now, frozenset({IAD, LHR}))
    assert supposed.storage(LHR) != LHR
    assert now.storage(LHR) == LHR
    assert fingerprint(now.state) == before


def test_what_operators_said_holds_beside_it() -> None:
    """A region that drains still does."""
    now = network(changed(FRA, RegionState.DRAINING))
    supposed = suppose_down(now, frozenset({IAD}))
    assert supposed.region_state(FRA) is RegionState.DRAINING
    assert supposed.region_state(IAD) is RegionState.DOWN
    assert supposed.region_state(SYD) is RegionState.ACTIVE
