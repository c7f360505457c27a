"""Nomad's allocations: a captured one, and what each update adds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from placement.agent.feeds.translation import IgnoredReason
from placement.agent.starts.allocations import Task, tasks_of
from placement.agent.starts.images import Image, parse_image
from placement.agent.starts.nomad import Allocations, allocations_in, index_of
from placement.agent.starts.settings import StartSettings
from placement.core.event import CacheKind, MachineStopped, Name, StartCause
from placement.core.topology import Region

CAPTURED = Path(__file__).parents[1] / "golden/starts/nomad-allocation.json"
SETTINGS = StartSettings(region=Region("iad"), publisher=Name("agent/iad"))
RECEIVED_NS, DOWNLOAD_NS = 1_678_984_359_713_702_888, 1_678_984_360_653_792_901
STARTED_NS = 1_678_984_379_681_876_071
NOW_NS = STARTED_NS + 10**9
ID = "4f32c690-75ca-b55c-eb4a-4012dd93cb57"


def line() -> dict[str, Any]:
    """The captured line of the stream."""
    document: dict[str, Any] = json.loads(CAPTURED.read_text(encoding="utf-8"))["body"]
    return document


def allocation(**task: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """The captured allocation with other fields in the state of its task job1."""
    document: dict[str, Any] = line()["Events"][0]["Payload"]["Allocation"]
    del document["TaskStates"]["create_filesystem"]
    document["TaskStates"]["job1"] |= task
    return document


def event(kind: str, time_ns: int, **fields: object) -> dict[str, object]:
    """One event of a task."""
    return {"Type": kind, "Time": time_ns, **fields}


def nobody(_task: Task) -> Image | None:
    """No image is known."""
    return None


def test_captured_line_is_one_start_of_its_long_running_task() -> None:
    """The wait is from the download to the start; the set-up task has no image."""
    (fields,) = allocations_in(line())

    found = Allocations(SETTINGS, {}).allocation(fields.values, nobody, NOW_NS)

    (seen,) = found.sightings
    assert (seen.machine_id, seen.region) == (f"{ID}/job1", "iad")
    assert seen.image == parse_image("ghcr.io/linuxserver/job1:develop")
    assert (seen.time_ns, seen.request_time_ns) == (STARTED_NS, RECEIVED_NS)
    assert seen.image_wait_ns == STARTED_NS - DOWNLOAD_NS
    assert (seen.cache, seen.cause) == (CacheKind.UNSPECIFIED, StartCause.UNSPECIFIED)
    assert [one.reason for one in found.ignored] == [IgnoredReason.IMAGE_UNKNOWN]
    assert index_of(line()) == 1_329_947


def test_heartbeat_and_other_topics_hold_no_allocation() -> None:
    """Nomad says ``{}`` every ten seconds."""
    other = {"Index": 3, "Events": [{"Topic": "Job", "Payload": {"Job": {}}}]}

    assert allocations_in({}) == allocations_in(other) == []
    assert index_of({}) == 0


def test_update_repeats_what_was_told_and_only_news_is_told() -> None:
    """Every update holds all events of the task."""
    told = Allocations(SETTINGS, {})
    ended = [
        *allocation()["TaskStates"]["job1"]["Events"],
        event("Terminated", STARTED_NS + 5),
    ]

    first = told.allocation(allocation(), nobody, NOW_NS)
    second = told.allocation(allocation(), nobody, NOW_NS)
    third = told.allocation(allocation(State="dead", Events=ended), nobody, NOW_NS)
    fourth = told.allocation(allocation(State="dead", Events=ended), nobody, NOW_NS)

    assert [len(one.sightings) for one in (first, second, third, fourth)] == [
        1,
        0,
        0,
        0,
    ]
    assert [len(one.events) for one in (first, second, third, fourth)] == [0, 0, 1, 0]
    fact = third.events[0].fact
    assert isinstance(fact, MachineStopped)
    assert (fact.repository, third.events[0].occur_time_ns) == (
        "linuxserver/job1",
        STARTED_NS + 5,
    )


def test_restart_without_a_download_had_its_image_on_the_host() -> None:
    """A driver says nothing of an image that is there."""
    events = [
        *allocation()["TaskStates"]["job1"]["Events"],
        event("Terminated", STARTED_NS + 5),
        event("Restarting", STARTED_NS + 6),
        event("Started", STARTED_NS + 7),
    ]
    told = Allocations(SETTINGS, {})
    told.allocation(allocation(), nobody, NOW_NS)

    (again,) = told.allocation(allocation(Events=events), nobody, NOW_NS).sightings

    assert (again.cause, again.cache) == (StartCause.RESTART, CacheKind.HOST)
    assert (again.image_wait_ns, again.request_time_ns) == (0, None)
    assert again.time_ns == STARTED_NS + 7


def test_download_that_was_tried_twice_began_with_the_first() -> None:
    """The machine waited since then."""
    events = [
        event("Driver", STARTED_NS - 100, DriverMessage="Downloading image"),
        event(
            "Driver",
            STARTED_NS - 50,
            DriverMessage="Downloading image",
            Details={"image": "a/b"},
        ),
        event("Started", STARTED_NS),
    ]

    (task,) = tasks_of(allocations_in(line())[0])[1:]
    found = Allocations(SETTINGS, {}).allocation(
        allocation(Events=events), nobody, NOW_NS
    )

    assert task.job == ("default", "job1", 0, "job1Group", "job1")
    assert [one.image_wait_ns for one in found.sightings] == [100]


def test_image_of_the_job_counts_where_events_tell_none() -> None:
    """An allocation that was asked for itself holds its whole job."""
    events = [event("Received", 1), event("Started", STARTED_NS)]
    tasks = [{"Name": "job1", "Config": {"image": "registry.example.com/acme/web:v1"}}]
    job = {"TaskGroups": [{"Name": "job1Group", "Tasks": tasks}, {"Name": "other"}]}
    bare = allocation(Events=events)

    unknown = Allocations(SETTINGS, {}).allocation(bare, nobody, NOW_NS)
    asked = Allocations(SETTINGS, {}).allocation({**bare, "Job": job}, nobody, NOW_NS)
    known = Allocations(SETTINGS, {}).allocation(
        bare, lambda _task: parse_image("acme/web:v2"), NOW_NS
    )

    assert [one.reason for one in unknown.ignored] == [IgnoredReason.IMAGE_UNKNOWN]
    assert [one.image.host for one in asked.sightings] == ["registry.example.com"]
    assert [one.image.tag for one in known.sightings] == ["v2"]


def test_task_that_never_ran_does_not_stop() -> None:
    """A driver that failed before the start: nothing was running."""
    events = [event("Received", 1), event("Driver Failure", 2)]
    failed = allocation(State="dead", StartedAt=None, Events=events)

    found = Allocations(SETTINGS, {}).allocation(failed, nobody, NOW_NS)

    assert not found.sightings + found.events


def test_old_run_s_end_is_told_by_its_state_where_events_are_lost() -> None:
    """A task keeps ten events: its start may not be among them."""
    dead = allocation(State="dead", FinishedAt="2023-03-16T17:00:00Z", Events=[])

    found = Allocations(SETTINGS, {}).allocation(dead, nobody, NOW_NS)

    assert [one.occur_time_ns for one in found.events] == [1_678_986_000 * 10**9]


def test_region_is_the_node_s() -> None:
    """By the name that the node's metadata gives; a mapping leaves others out."""
    settings = replace(SETTINGS, region_label="region")
    node = allocation()["NodeID"]
    here = Allocations(settings, {node: "fra"}).allocation(allocation(), nobody, NOW_NS)
    mapped = replace(settings, regions={"eu": Region("fra")})

    other = Allocations(mapped, {node: "us"}).allocation(allocation(), nobody, NOW_NS)

    assert [one.region for one in here.sightings] == ["fra"]
    assert [one.reason for one in other.ignored] == [IgnoredReason.OTHER_REGION]
