"""A trace as facts of our own log: order, times, images, layers."""

from dataclasses import replace

import pytest

from placement.core.event import AppWithdrawn, ContentPushed, Event, MachineStarted
from placement.core.fold import fold
from placement.core.lookup import placement_of
from placement.core.network import Network
from placement.core.oci import Repository, Tag
from placement.core.state import State
from placement.simulation.assumptions import Assumptions, RegionMap, load_assumptions
from placement.simulation.synthesis import Instant, Synthesis, image_of
from placement.simulation.trace import Kind, Trace, TraceRow
from tests.builders import (
    FRA,
    IAD,
    LHR,
    SECOND_NS,
    TOPOLOGY,
    message,
)
from tests.steps import taken

NOW_S = 1_750_000_000
REGIONS = RegionMap(IAD, {"one": FRA, "two": LHR})
WEB, API = Repository("t/web"), Repository("t/api")


def start(after_s: int, region: str, repository: Repository, tag: str) -> TraceRow:
    """A start so many seconds after the beginning."""
    return TraceRow(NOW_S + after_s, region, repository, Tag(tag), Kind.START)


def removal(after_s: int, region: str, repository: Repository) -> TraceRow:
    """An app's removal so many seconds after the beginning."""
    return TraceRow(NOW_S + after_s, region, repository, None, Kind.REMOVE)


def synthesis(
    *rows: TraceRow, delta_s: float = 60, share: float = 0, upload_s: float = 0
) -> Synthesis:
    """What *rows* become, under the carried assumptions but for these."""
    varied = load_assumptions().varied(delta_s=delta_s, layer_share=share)
    return Synthesis(Trace(rows), REGIONS, varied, upload_s=upload_s)


def told(instants: list[Instant]) -> list[tuple[float, list[str]]]:
    """Each instant, in seconds after the beginning, and a word for all that happens."""
    return [
        (time_ns / SECOND_NS - NOW_S, [word(happening) for happening in happenings])
        for time_ns, happenings in instants
    ]


def word(happening: Event) -> str:
    """What happens where, in a word or two."""
    if isinstance(happening.fact, AppWithdrawn):
        return f"withdraw {happening.region}"
    if isinstance(happening.fact, MachineStarted):
        return f"start {happening.fact.tag} {happening.region}"
    assert isinstance(happening.fact, ContentPushed)
    kind = "push" if happening.fact.references else "layer"
    return f"{kind} {happening.region}"


def test_image_is_pushed_home_before_its_first_start() -> None:
    """Layer and manifest come delta before the first start anywhere, and only once."""
    found = synthesis(
        start(0, "one", WEB, "v1"),
        start(5, "two", WEB, "v1"),
        start(5, "one", WEB, "v2"),
    )

    assert told(list(found.instants())) == [
        (-60, ["layer iad", "push iad"]),
        (-55, ["layer iad", "push iad"]),
        (0, ["start v1 fra"]),
        (5, ["start v1 lhr", "start v2 fra"]),
    ]


def test_pushes_come_before_starts_of_the_same_moment() -> None:
    """With no time between push and start the image still exists when it starts."""
    found = synthesis(start(0, "one", WEB, "v1"), delta_s=0)

    assert told(list(found.instants())) == [
        (0, ["layer iad", "push iad", "start v1 fra"])
    ]


def test_layers_may_travel_ahead_of_their_manifest() -> None:
    """An upload takes its time: its layers are a first sign."""
    found = synthesis(start(0, "one", WEB, "v1"), upload_s=20)

    assert [time for time, _ in told(list(found.instants()))] == [-80, -60, 0]


def test_removal_is_told_where_the_file_has_it() -> None:
    """A region that loses an app and gets it again at one moment has it in the end."""
    found = synthesis(
        start(0, "one", WEB, "v1"),
        removal(9, "one", WEB),
        start(9, "one", WEB, "v1"),
    )

    *_, (time_ns, happenings) = found.instants()

    assert time_ns == (NOW_S + 9) * SECOND_NS
    assert [word(one) for one in happenings] == ["withdraw fra", "start v1 fra"]


def test_removal_alone_pushes_nothing() -> None:
    """An app that only ever left has no image."""
    found = synthesis(removal(0, "one", WEB))

    assert found.images == {}
    assert told(list(found.instants())) == [(0, ["withdraw fra"])]


def test_instants_never_go_back_and_never_repeat() -> None:
    """Whatever overlaps: times rise strictly."""
    rows = [start(n // 3, "one", WEB, f"v{n}") for n in range(200)]

    times = [time_ns for time_ns, _ in synthesis(*rows, upload_s=7).instants()]

    assert times == sorted(set(times))


def test_ids_are_unique_and_the_same_every_time() -> None:
    """No event is lost as a repeat, and a second reading tells the same."""
    rows = [start(n // 2, "one", (WEB, API)[n % 2], f"v{n // 4}") for n in range(40)]
    found = synthesis(*rows, removal(50, "two", WEB))

    first, second = list(found.instants()), list(found.instants())

    events = [one for _, happened in first for one in happened]
    assert first == second
    ids = [one.event_id for one in events]
    assert len(ids) == len(set(ids)) == 41 + 2 * 20
    facts = [one.fact for one in events]
    machines = [x.machine_id for x in facts if isinstance(x, MachineStarted)]
    assert len(set(machines)) == 40


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_contents_add_up_to_the_size_of_the_app(share: float) -> None:
    """However an image is divided, all of it together has the declared size."""
    assumptions = load_assumptions().varied(layer_share=share)

    image = image_of(WEB, Tag("v1"), assumptions)

    assert image.size_bytes == assumptions.sizes.size_bytes("web")


def test_size_follows_from_the_name_that_the_app_had() -> None:
    """An escaped repository has the size of the original name."""
    assumptions = load_assumptions()

    image = image_of(Repository("t/tap/tap--53chema"), Tag("v1"), assumptions)

    assert image.size_bytes == assumptions.sizes.size_bytes("tap/tapSchema")


def test_shared_layer_is_kept_from_the_predecessor() -> None:
    """With a share of 0.8 a version brings a fifth of its bytes; apps share nothing."""
    found = synthesis(
        start(0, "one", WEB, "v1"),
        start(100, "one", WEB, "v2"),
        start(200, "one", API, "v1"),
        share=0.8,
    )

    one, two, other = found.images.values()

    assert one.layers[0] == two.layers[0] != other.layers[0]
    assert one.layers[1].digest != two.layers[1].digest
    assert one.layers[0].size_bytes == pytest.approx(0.8 * one.size_bytes, rel=1e-3)
    assert [happened for _, happened in told(list(found.instants()))] == [
        ["layer iad", "layer iad", "push iad"],
        ["start v1 fra"],
        ["layer iad", "push iad"],
        ["start v2 fra"],
        ["layer iad", "layer iad", "push iad"],
        ["start v1 fra"],
    ]


def test_other_sizes_leave_the_digests() -> None:
    """A sensitivity run speaks of the same images, which are only larger or smaller."""
    declared: Assumptions = load_assumptions()
    doubled = replace(
        declared, sizes=replace(declared.sizes, median_bytes=500e6, sigma=0.0)
    )

    one, other = (image_of(WEB, Tag("v1"), x) for x in (declared, doubled))

    assert one.manifest == other.manifest
    assert one.layers[0].digest == other.layers[0].digest
    assert other.size_bytes == 500_000_000


def test_fold_takes_every_fact() -> None:
    """The real fold sets nothing aside, and knows tag, home and whole size."""
    found = synthesis(start(0, "one", WEB, "v1"), start(60, "two", WEB, "v2"))
    state = State()

    for time_ns, happenings in found.instants():
        fold(state, message(state.sequence + 1, *happenings, store_time_ns=time_ns))

    network = Network(state, TOPOLOGY, (NOW_S + 99) * SECOND_NS)
    record = taken(placement_of(network, WEB, Tag("v2")))
    assert len(state.set_aside) == 0
    assert record.image_size_bytes == found.images[WEB, Tag("v2")].size_bytes
    assert [one.region for one in record.regions if one.complete] == [IAD]
    assert {one.region: one.start_count for one in record.demands}[LHR] == 1
