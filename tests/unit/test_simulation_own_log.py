"""A log of our own as a past: real pushes, layers and starts; the same as its trace."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from placement.core.event import (
    AppWithdrawn,
    ClientKind,
    ContentPulled,
    ContentPushed,
    Event,
    Identifier,
)
from placement.core.oci import Repository
from placement.core.topology import Region
from placement.simulation.assumptions import RegionMap
from placement.simulation.baselines import BASELINES
from placement.simulation.own_log import past_of_log
from placement.simulation.past import PULLS_INSTEAD, STARTS_REPORTED, Past, Removal
from placement.simulation.rules import rules_of
from placement.simulation.scores import POLICIES, Scorer
from placement.simulation.synthesis import Synthesis
from placement.simulation.world import World
from tests.builders import (
    AMD64,
    API,
    ARM64,
    ATTESTATION,
    FRA,
    IAD,
    INDEX,
    LATEST,
    LHR,
    MANIFEST,
    NOWHERE,
    SECOND_NS,
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    A,
    descriptor,
    event,
    message,
    pulled,
    pushed,
    started,
    tagged,
)
from tests.small_worlds import Row, equal_sizes, small_past, trace_of

IMAGE = pushed("a", IAD, references=[descriptor("b"), descriptor("c")], tag=LATEST)
"""A manifest of two layers of 10 MB, itself of 10 MB, in Ashburn."""


def past(*events: Event) -> Past:
    """The past that *events* tell, one message a second."""
    log = (message(number, one) for number, one in enumerate(events, 1))
    return past_of_log((item for one in log for item in one.items), TOPOLOGY)


def at_ns(second: int) -> int:
    """When the message of that number was stored."""
    return START_NS + second * SECOND_NS


def test_push_and_start_are_as_the_log_has_them() -> None:
    """Times, sizes, regions and the tag; nothing is assumed."""
    found = past(IMAGE, started("a", SYD), started("a", FRA))

    (version,) = found.versions
    assert (version.repository, version.digest, version.tag) == (WEB, A, LATEST)
    assert (version.home, version.push_time_ns) == (IAD, at_ns(1))
    assert version.size_bytes == sum(found.part_bytes) == 30_000_000
    starts = [(start.time_ns, start.region) for start in found.starts]
    assert starts == [(at_ns(2), SYD), (at_ns(3), FRA)]
    assert found.stands_in_for_starts == STARTS_REPORTED


def test_pulls_stand_in_where_nobody_reports_starts() -> None:
    """Real pulls of image manifests by their clients' regions; and the past says so."""
    scan = ContentPulled(A, WEB, client_kind=ClientKind.SCANNER)
    far = ContentPulled(A, WEB, client_region=SYD)
    layer = pulled("b", FRA, tag=None)

    found = past(IMAGE, event(FRA, scan), event(IAD, far), layer, pulled("a", LHR))

    assert [start.region for start in found.starts] == [SYD, LHR]
    assert found.stands_in_for_starts == PULLS_INSTEAD


def test_pulls_do_not_count_beside_reported_starts() -> None:
    """One start is enough to know that somebody reports them."""
    found = past(IMAGE, pulled("a", LHR), started("a", SYD))

    assert [start.region for start in found.starts] == [SYD]


def test_upload_begins_with_the_first_new_layer() -> None:
    """Not with a layer that an earlier image brought, nor with another repository's."""
    later = pushed("d", IAD, references=[descriptor("b"), descriptor("e")])

    found = past(
        pushed("b", IAD), IMAGE, pushed("e", IAD, API), pushed("e", IAD), later
    )

    times = [(v.layers_time_ns, v.push_time_ns) for v in found.versions]
    assert times == [(at_ns(1), at_ns(2)), (at_ns(4), at_ns(5))]


def test_shared_layers_are_parts_of_their_own() -> None:
    """What two images share moves once; what only one has moves with it."""
    later = pushed("d", IAD, references=[descriptor("b"), descriptor("e")])

    one, other = past(IMAGE, later).versions

    assert len(set(one.parts) & set(other.parts)) == 1
    assert len(one.parts) == len(other.parts) == 2


def test_index_stands_for_its_first_image() -> None:
    """Its manifests are no versions of their own, and attestations are none at all."""
    children = [
        descriptor("proof", media_type=MANIFEST, platform=ATTESTATION),
        descriptor("amd", media_type=MANIFEST, platform=AMD64),
        descriptor("arm", media_type=MANIFEST, platform=ARM64),
    ]
    index = pushed("f", IAD, references=children, media_type=INDEX)
    amd = pushed("amd", IAD, references=[descriptor("b")])
    arm = pushed("arm", IAD, references=[descriptor("c")])

    whole = past(amd, arm, index)
    started_arm = past(amd, arm, index, started("arm", SYD))

    assert [version.size_bytes for version in whole.versions] == [30_000_000]
    assert len(started_arm.versions) == 2


def test_signature_is_no_image() -> None:
    """What is attached to an image is not started by itself."""
    content = descriptor("sign", media_type=MANIFEST)
    signature = ContentPushed(content, WEB, None, (descriptor("e"),), subject_digest=A)

    found = past(IMAGE, event(IAD, signature))

    assert [version.digest for version in found.versions] == [A]


def test_tag_may_come_after_the_push() -> None:
    """A tag that is set later names the version too."""
    untagged = pushed("a", IAD, references=[descriptor("b")])

    found = past(untagged, tagged("v1", "a", IAD))

    assert [version.tag for version in found.versions] == ["v1"]


def test_what_cannot_be_placed_is_left_out_and_counted() -> None:
    """Starts of images whose push nobody saw, and of regions in no catalogue."""
    found = past(IMAGE, started("b", SYD), started("d", SYD), started("a", NOWHERE))

    # A layer was pushed, but not by itself.
    assert found.starts == ()
    assert found.left_out_count == 3


def test_repeated_event_is_one_start() -> None:
    """Agents may send an event again."""
    twice = replace(started("a", SYD), event_id=Identifier("once"))

    found = past(IMAGE, twice, twice)

    assert len(found.starts) == 1


def test_start_before_its_push_moves_the_push() -> None:
    """Clocks differ; an image that started had been pushed."""
    found = past(IMAGE, started("a", SYD, at_ns=at_ns(-5)))

    (version,) = found.versions
    assert version.push_time_ns == version.layers_time_ns == at_ns(-5)


def test_app_that_was_withdrawn_is_a_removal() -> None:
    """When and from where; repeated news of it is one."""
    gone = replace(event(SYD, AppWithdrawn(WEB)), event_id=Identifier("gone"))

    found = past(IMAGE, gone, gone)

    assert found.removals == (Removal(at_ns(2), WEB, SYD),)


def test_empty_log_is_an_empty_past() -> None:
    """And can be scored: there is nothing in it."""
    world = World(past(), rules_of(equal_sizes(), TOPOLOGY))

    score = Scorer(world).score(BASELINES["everywhere"](world))

    assert (score.first_starts, score.benefit) == (0, None)


def synthesized(rows: list[Row], layer_share: float) -> Iterator[Event]:
    """The events that stand for *rows*, in the order of time."""
    trace = trace_of(rows)
    codes = {name: Region(name) for name in trace.regions()}
    regions = RegionMap(IAD, codes)
    synthesis = Synthesis(trace, regions, equal_sizes(60, layer_share))
    for _, happened in synthesis.instants():
        yield from happened


@pytest.mark.parametrize("layer_share", [0.0, 0.8])
def test_trace_as_a_log_scores_like_the_trace(layer_share: float) -> None:
    """The same world by both ways: every baseline has the same waits and bytes."""
    rows: list[Row] = [(0, SYD, "web", "v1"), (5, LHR, "web", "v1")]
    rows += [(900, SYD, "web", "v2"), (905, SYD, "api", "v1"), (950, LHR, "api", "v1")]
    rows += [(2_000, FRA, "web", "v3"), (2_100, SYD, "web", "v3")]
    rules = rules_of(equal_sizes(60, layer_share), TOPOLOGY)
    direct = World(small_past(rows, equal_sizes(60, layer_share)), rules)
    told = World(past(*synthesized(rows, layer_share)), rules)

    for name, policy in POLICIES.items():
        one, other = (Scorer(x).score(policy(x)) for x in (direct, told))
        assert one.waits_s == pytest.approx(other.waits_s), name
        assert one.wasted_bytes == other.wasted_bytes, name
        assert one.bytes_moved_ratio == pytest.approx(other.bytes_moved_ratio), name


def test_repositories_are_apart() -> None:
    """The same digest in two repositories is two versions, whose layers are one."""
    other = pushed("a", FRA, API, references=[descriptor("b"), descriptor("c")])

    found = past(IMAGE, other)

    assert [v.repository for v in found.versions] == [WEB, Repository("acme/api")]
    assert [v.home for v in found.versions] == [IAD, FRA]
    assert found.versions[0].parts == found.versions[1].parts
