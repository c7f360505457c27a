"""The world of a back-test: live regions, who serves whom, what full replication is."""

from itertools import product

import pytest

from placement.config.catalogue import load_topology
from placement.config.keys import Config
from placement.core.errors import InputError
from placement.core.topology import Region
from placement.simulation.assumptions import load_assumptions
from placement.simulation.rules import rules_of
from placement.simulation.score_from import ScoreFrom, parse_score_from
from tests.builders import AMS, FRA, IAD, LHR, NOWHERE, SCL, SECOND_NS, SYD, TOPOLOGY
from tests.small_worlds import BEGIN_S, SIZE_BYTES, small_world, version_of

DAY_S = 86_400


def at_ns(seconds: float) -> int:
    """So many seconds after the beginning."""
    return round((BEGIN_S + seconds) * SECOND_NS)


def test_transfers_take_what_the_assumptions_declare() -> None:
    """The core's own expectation, with no samples, is the declared formula."""
    topology = load_topology(Config())
    rules = rules_of(load_assumptions(), topology)
    regions = sorted(topology.regions)

    for source, target, size_bytes in product(regions, regions, (0, 5e6, 250e6, 5e9)):
        round_trip_s = topology.round_trip_ns(source, target) / 1e9
        expected = (
            0.37 + 11.3 * round_trip_s + size_bytes / min(80e6, 3.2e6 / round_trip_s)
        )
        found = rules.transfer_s(source, target, int(size_bytes))
        assert found == pytest.approx(expected, rel=1e-6)


def test_pushes_come_before_first_starts() -> None:
    """A version is pushed delta before its first start anywhere, once."""
    rows = [(100, LHR, "web", "v1"), (50, FRA, "web", "v1"), (200, FRA, "web", "v2")]

    world = small_world(rows, delta_s=60, upload_s=5)

    pushed = [(v.tag, v.layers_time_ns, v.push_time_ns) for v in world.past.versions]
    assert pushed == [
        ("v1", at_ns(-15), at_ns(-10)),
        ("v2", at_ns(135), at_ns(140)),
    ]


def test_first_starts_are_one_for_each_version_and_region() -> None:
    """Repeated starts, and several at one instant, are one first start."""
    rows = [(0, LHR, "web", "v1"), (0, LHR, "web", "v1"), (9, LHR, "web", "v1")]
    rows += [(5, FRA, "web", "v1")]

    world = small_world(rows)

    firsts = [(start.time_ns, start.region) for start in world.first_starts]
    assert firsts == [(at_ns(0), LHR), (at_ns(5), FRA)]
    assert len(world.past.starts) == 4


def test_region_is_live_for_120_days_after_a_start() -> None:
    """From the instant of the start to the end of the window, both included."""
    world = small_world([(0, LHR, "web", "v1"), (10, FRA, "web", "v1")])
    end_s = 120 * DAY_S

    assert world.live(at_ns(-1)) == ()
    assert world.live(at_ns(0)) == (LHR,)
    assert world.live(at_ns(end_s)) == (FRA, LHR)
    assert world.live(at_ns(end_s + 1)) == (FRA,)


def test_full_replication_is_size_times_live_regions() -> None:
    """Of each scored version at its push; later starts elsewhere add nothing."""
    rows = [(0, LHR, "a", "v1"), (1, FRA, "a", "v1"), (500, LHR, "b", "v1")]

    world = small_world([*rows, (700, SYD, "b", "v2")])

    # a:v1 is pushed while nothing is live, b:v1 and b:v2 while lhr and fra are.
    assert world.full_bytes() == 4 * SIZE_BYTES


def test_full_replication_moves_a_shared_base_once() -> None:
    """With shared layers it moves what each region lacks, not sizes."""
    rows = [(0, LHR, "a", "v1"), (500, LHR, "b", "v1"), (900, LHR, "b", "v2")]

    world = small_world(rows, layer_share=0.8)

    assert world.full_bytes() == pytest.approx(1.2 * SIZE_BYTES, rel=1e-4)


def test_versions_before_the_scored_moment_do_not_count() -> None:
    """Bytes are of versions that were pushed from then on."""
    rows = [(0, LHR, "a", "v1"), (500, LHR, "b", "v1"), (900, LHR, "b", "v2")]

    world = small_world(rows, score_from=ScoreFrom(date_ns=at_ns(800)))

    assert world.full_bytes() == SIZE_BYTES


def test_start_region_without_storage_is_served_by_the_nearest() -> None:
    """What is copied for Santiago is copied to where its machines pull from."""
    world = small_world([(0, SCL, "web", "v1"), (0, LHR, "web", "v1")])

    assert world.storage == {SCL: IAD, LHR: LHR}
    assert world.regions == (IAD, LHR)


def test_region_that_is_down_is_served_by_the_next() -> None:
    """What if lhr were down: Amsterdam is the next in its serving order."""
    world = small_world([(0, LHR, "web", "v1"), (0, FRA, "web", "v1")], down=[LHR])

    assert world.storage == {LHR: AMS, FRA: FRA}
    assert world.live(at_ns(0)) == (AMS, FRA)


@pytest.mark.parametrize(
    ("down", "said"),
    [
        ([NOWHERE], "down: 'nowhere'.*region of the catalogue"),
        ([IAD], "down: 'iad'.*leave up where pushes land"),
        (sorted(TOPOLOGY.regions), "down: .*at least one storage region"),
    ],
)
def test_what_cannot_be_down_is_refused(down: list[Region], said: str) -> None:
    """Unknown regions, all of them, and the one that pushes land in."""
    rows = [(0, LHR, "web", "v1")]

    with pytest.raises(InputError, match=said):
        small_world(rows, down=down)


def test_warm_up_is_a_share_of_the_time() -> None:
    """From the first push to the last row, 30 % unless something else is said."""
    rows = [(60, LHR, "web", "v1"), (1_000, LHR, "web", "v1")]

    default = small_world(rows, score_from=ScoreFrom())
    half = small_world(rows, score_from=parse_score_from("0.5"))

    assert default.score_from_ns == at_ns(300)
    assert half.score_from_ns == at_ns(500)


def test_scored_moment_may_be_a_date() -> None:
    """Midnight, UTC, whatever the trace spans."""
    found = parse_score_from("2024-01-01")

    assert found.time_ns(0, 1) == 1_704_067_200 * SECOND_NS


@pytest.mark.parametrize("text", ["", "1", "-0.1", "nan", "2024-13-01", "soon"])
def test_other_moments_are_refused(text: str) -> None:
    """The error names the option and says what can be given."""
    with pytest.raises(InputError, match=r"score-from.*2024-01-01"):
        parse_score_from(text)


def test_versions_are_found_by_what_decisions_name() -> None:
    """A decision names a repository and a digest."""
    world = small_world([(0, LHR, "web", "v1")])
    version = version_of(world, "web", "v1")

    assert world.versions[version.repository, version.digest] is version
