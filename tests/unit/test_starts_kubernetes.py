"""Pods and kubelets' events: joined in any order, in the words of every version."""

from dataclasses import replace

import pytest

from placement.agent.feeds.times import SECOND_NS, parse_timestamp_ns
from placement.agent.feeds.translation import IgnoredReason
from placement.agent.starts.kubelet import Pull, parse_pulled
from placement.agent.starts.kubernetes import PULL_TOLD_NS, Pods
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import Found
from placement.core.event import (
    CacheKind,
    DurationNs,
    Identifier,
    MachineStopped,
    Name,
    StartCause,
)
from placement.core.topology import Region
from tests.kubernetes_objects import DIGEST, UID, container, pod, pulled

NOW_NS = parse_timestamp_ns("2026-08-01T10:00:12Z", "now")
SETTINGS = StartSettings(region=Region("iad"), publisher=Name("agent/iad"))
ZONED = replace(SETTINGS, region_label="topology.kubernetes.io/region")
TOOK = 'Successfully pulled image "registry.example.com/acme/web:v1" in 9.1s'
LONG = (
    'Successfully pulled image "x" in 53.5s (1m53.6s including waiting).'
    " Image size: 68507108 bytes."
)
PREFIXED = (
    'spec.containers{hello}: Successfully pulled image "nginx:1.27-alpine" in'
    " 6.284s (6.284s including waiting). Image size: 20984244 bytes."
)
ACCESSIBLE = (
    'Container image "busybox:1.36" already present on machine and can be accessed'
    " by the pod"
)
PRESENT = (
    'Container image "registry.example.com/acme/web:v1" already present on machine'
)


@pytest.fixture
def pods() -> Pods:
    """Nothing was told yet; all nodes are here."""
    return Pods(SETTINGS, {})


@pytest.mark.parametrize(
    ("message", "image", "wait_ns", "cache"),
    [
        ('Successfully pulled image "nginx"', "nginx", None, 0),
        (
            'Successfully pulled image "nginx" in 5.324017892s',
            "nginx",
            5_324_017_892,
            0,
        ),
        (
            'Successfully pulled image "a/b:1" in 926ms (926ms including waiting)',
            "a/b:1",
            926_000_000,
            0,
        ),
        (LONG, "x", 113_600_000_000, 0),
        (PREFIXED, "nginx:1.27-alpine", 6_284_000_000, 0),
        ('Container image "busybox" already present on machine', "busybox", 0, 1),
        (ACCESSIBLE, "busybox:1.36", 0, 1),
    ],
)
def test_kubelet_s_words_of_every_version_are_understood(
    message: str, image: str, wait_ns: int | None, cache: int
) -> None:
    """Waiting for other pulls is waiting, too: that duration counts if it is told."""
    wait = None if wait_ns is None else DurationNs(wait_ns)

    assert parse_pulled(message) == Pull(image, wait, CacheKind(cache))


def test_other_words_are_no_pull() -> None:
    """A back-off, a failure, and whatever is far too long."""
    for message in ('Back-off pulling image "x"', "", "Successfully pulled " * 1_000):
        assert parse_pulled(message) is None


@pytest.mark.parametrize("first", ["pull", "pod"])
def test_start_and_its_pull_are_joined_in_any_order(pods: Pods, first: str) -> None:
    """Two streams: either may be first."""
    order = ["pull", "pod"] if first == "pull" else ["pod", "pull"]

    found = [
        pods.event(pulled(TOOK))
        if one == "pull"
        else pods.pod(pod(container()), NOW_NS)
        for one in order
    ]

    assert found[0] == Found()
    (seen,) = found[1].sightings
    assert (seen.machine_id, seen.region) == (f"{UID}/web", "iad")
    assert (seen.image.repository, seen.image.digest) == ("acme/web", DIGEST)
    assert seen.image_wait_ns == 9_100_000_000
    assert seen.request_time_ns == parse_timestamp_ns("2026-08-01T10:00:00Z", "")
    assert seen.time_ns == parse_timestamp_ns("2026-08-01T10:00:10Z", "")
    assert (seen.cache, seen.cause) == (CacheKind.UNSPECIFIED, StartCause.UNSPECIFIED)


def test_start_without_a_told_pull_comes_after_a_little_wait(pods: Pods) -> None:
    """Kubelets' events may be lost: the start is none the less one."""
    pods.pod(pod(container()), NOW_NS)

    early, late = pods.due(NOW_NS + 1), pods.due(NOW_NS + PULL_TOLD_NS)

    assert early == Found()
    assert [one.image_wait_ns for one in late.sightings] == [None]
    assert pods.due(NOW_NS + 2 * PULL_TOLD_NS) == Found()


def test_image_on_the_host_is_no_wait(pods: Pods) -> None:
    """The kubelet says so, and estimates are not scored against it."""
    pods.event(pulled(PRESENT))

    (seen,) = pods.pod(pod(container()), NOW_NS).sightings

    assert (seen.cache, seen.image_wait_ns) == (CacheKind.HOST, 0)


def test_repeated_status_is_no_second_start(pods: Pods) -> None:
    """A pod changes often; its run is one."""
    pods.event(pulled(PRESENT))

    found = [pods.pod(pod(container(), version=str(n)), NOW_NS) for n in range(3)]

    assert [len(one.sightings) for one in found] == [1, 0, 0]


def test_restart_is_a_start_after_the_stop_before_it(pods: Pods) -> None:
    """Times are whole seconds: without care, stop and start would be at once."""
    pods.event(pulled(PRESENT))
    pods.pod(pod(container()), NOW_NS)
    stopped = pods.pod(pod(container(ended="2026-08-01T10:00:11Z")), NOW_NS)
    pods.event(pulled(PRESENT))

    again = pods.pod(
        pod(container(run=2, restarts=1, started="2026-08-01T10:00:11Z")), NOW_NS
    )

    (stop,), (start,) = stopped.events, again.sightings
    assert isinstance(stop.fact, MachineStopped)
    assert stop.occur_time_ns is not None
    assert start.time_ns == stop.occur_time_ns + 1
    assert (start.cause, start.request_time_ns) == (StartCause.RESTART, None)


def test_run_whose_end_nobody_saw_is_told_before_the_next(pods: Pods) -> None:
    """A fast restart between two updates: two starts, of which the first waited."""
    pods.pod(pod(container()), NOW_NS)

    again = pods.pod(
        pod(container(run=2, restarts=1, started="2026-08-01T10:00:12Z")), NOW_NS
    )

    assert [one.cause for one in again.sightings] == [StartCause.UNSPECIFIED]
    assert [one.cause for one in pods.due(NOW_NS + PULL_TOLD_NS).sightings] == [
        StartCause.RESTART
    ]


def test_run_too_short_to_be_seen_running_is_a_start_and_a_stop(pods: Pods) -> None:
    """An init container may be over before anybody looks."""
    found = pods.pod(pod(container(ended="2026-08-01T10:00:11Z")), NOW_NS)

    assert [one.machine_id for one in found.sightings] == [f"{UID}/web"]
    assert [type(one.fact) for one in found.events] == [MachineStopped]


def test_deleted_pod_stops_what_ran_in_it(pods: Pods) -> None:
    """The last status may still say running; a start that waited goes first."""
    pods.pod(pod(container(), container("proxy")), NOW_NS)

    gone = pods.pod(pod(container(), container("proxy")), NOW_NS + 1, deleted=True)
    again = pods.pod(pod(container(), container("proxy")), NOW_NS + 2, deleted=True)

    assert len(gone.sightings) == len(gone.events) == 2
    assert again == Found()


def test_deleted_pod_that_names_no_container_stops_what_ran_in_it(pods: Pods) -> None:
    """A node that is lost takes the statuses with it."""
    pods.pod(pod(container(), container("proxy")), NOW_NS)
    pods.due(NOW_NS + PULL_TOLD_NS)

    gone = pods.pod(pod(), NOW_NS + 1, deleted=True)

    stopped = [one.fact for one in gone.events]
    assert stopped == [
        MachineStopped(Identifier(f"{UID}/{name}")) for name in ("web", "proxy")
    ]


def test_container_of_a_registry_that_does_not_count_neither_starts_nor_stops() -> None:
    """What was not told running is not told gone."""
    pods = Pods(replace(SETTINGS, registries=("other.example.com",)), {})
    pods.event(pulled(PRESENT))

    started = pods.pod(pod(container()), NOW_NS)
    gone = pods.pod(pod(container()), NOW_NS, deleted=True)

    assert len(started.sightings) == 1  # for the count of what is ignored, and why
    assert gone == Found()


def test_run_that_began_long_ago_is_no_news_but_its_end_is(pods: Pods) -> None:
    """A listing after our own restart tells nothing twice."""
    later_ns = NOW_NS + 7_200 * SECOND_NS

    listed = pods.pod(pod(container()), later_ns)
    ended = pods.pod(pod(container(ended="2026-08-01T12:00:10Z")), later_ns)
    finished = pods.pod(pod(container("job", ended="2026-08-01T10:00:11Z")), later_ns)

    assert listed == finished == Found()
    assert [type(one.fact) for one in ended.events] == [MachineStopped]


def test_image_id_without_a_repository_is_no_digest_of_an_image(pods: Pods) -> None:
    """It is the configuration's: such a start is known by its tag alone."""
    for image_id in (
        DIGEST,
        "docker-pullable://registry.example.com/acme/web@sha256:x",
    ):
        uid = f"u-{len(image_id)}"
        pods.event(pulled(PRESENT, uid=uid))
        found = pods.pod(pod(container(image_id=image_id), uid=uid), NOW_NS)
        assert [(one.image.digest, one.image.tag) for one in found.sightings] == [
            (None, "v1")
        ]


def test_region_is_the_node_s_where_a_label_tells_it() -> None:
    """By the scheduler's names or by a mapping; a node without the label is here."""
    pods = Pods(ZONED, {"n1": "us-east-1", "n3": "eu-west-1"})
    mapped = Pods(
        replace(ZONED, regions={"us-east-1": Region("iad")}),
        {"n1": "us-east-1", "n3": "x"},
    )
    regions = []
    for node in ("n1", "n2", "n3"):
        pods.event(pulled(PRESENT, uid=node))
        (seen,) = pods.pod(pod(container(), uid=node, node=node), NOW_NS).sightings
        regions.append(seen.region)

    other = mapped.pod(pod(container(), node="n3"), NOW_NS)

    assert regions == ["us-east-1", "iad", "eu-west-1"]
    assert [one.reason for one in other.ignored] == [IgnoredReason.OTHER_REGION]


def test_waiting_containers_and_other_events_say_nothing(pods: Pods) -> None:
    """Nothing began; nothing was pulled."""
    other = {**pulled(TOOK), "reason": "Scheduled"}

    assert pods.pod(pod(container(started=None)), NOW_NS) == Found()
    assert pods.event(other) == Found()
    assert pods.pod({"kind": "Pod"}, NOW_NS).malformed
