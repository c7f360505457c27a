"""What a Nomad allocation says of its tasks. Pure.

A task keeps its last ten events. The image is told where the driver downloaded one; an
allocation that was asked for itself holds its whole job, and so the image of each task.
Times are nanoseconds. Source: Nomad API, "Allocations"; ``nomad/structs``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from placement.agent.feeds.cloud_events import hashed_id
from placement.agent.feeds.fields import Fields, fields_of
from placement.agent.feeds.times import parse_timestamp_ns
from placement.agent.starts.images import Image, parse_image
from placement.core.errors import InputError, TimeInvalidError
from placement.core.event import DurationNs, Identifier, TimeNs
from placement.wire.fields import (
    DURATION_NS_MAX,
    IDENTIFIER,
    TIME_NS_MAX,
    parse_identifier,
)

STARTED: Final = "Started"
DOWNLOADING: Final = "Downloading image"
ENDS: Final = frozenset({"Terminated", "Killed", "Not Restarting", "Driver Failure"})
NEVER: Final = "0001-01-01T00:00:00Z"
RUN_BEGINS: Final = frozenset({"Terminated", "Restarting", "Restart Signaled"})


@dataclass(frozen=True, slots=True)
class Task:
    """One task of an allocation: for us a machine."""

    machine_id: Identifier
    allocation_id: str
    node_id: str
    job: tuple[str, str, int, str, str]
    """Namespace, job, version, group, task: what has the same has the same image."""
    image: Image | None
    """None where it was not told."""
    running: bool
    restarted: bool
    received_ns: TimeNs | None
    started_ns: TimeNs | None
    """When its last run began; None where that is not, or no longer, told."""
    downloaded: bool
    """Whether the driver told that it downloaded the image for that run."""
    wait_ns: DurationNs | None
    """From the download's beginning to the start; None where there was none."""
    ended_ns: TimeNs | None
    """None while it runs, and for a task that never ran."""


def tasks_of(fields: Fields) -> list[Task]:
    """Return the tasks of an allocation, or of a stub of one; raises InputError."""
    states = fields.inner("TaskStates")
    images = dict(_job_images(fields.inner("Job"), fields.text("TaskGroup")))
    return [
        _task(fields, name, fields_of(state, states.where(name)), images)
        for name, state in states.values.items()
    ]


def _task(
    allocation: Fields, name: str, state: Fields, images: Mapping[str, str]
) -> Task:
    allocation_id = allocation.text("ID")
    if not allocation_id:
        raise InputError(allocation.where("ID"), "", "give a whole allocation")
    text = f"{allocation_id}/{name}"
    whole = IDENTIFIER.fullmatch(text)
    run = _last_run(state)
    job = (
        allocation.text("Namespace"),
        allocation.text("JobID"),
        allocation.count("JobVersion"),
        allocation.text("TaskGroup"),
        name,
    )
    return Task(
        machine_id=parse_identifier(text, "ID")
        if whole
        else hashed_id("task", allocation_id, name),
        allocation_id=allocation_id,
        node_id=allocation.text("NodeID"),
        job=job,
        image=_image(run.image or images.get(name, "")),
        running=state.text("State") == "running",
        restarted=run.again or state.count("Restarts") > 0,
        received_ns=run.received_ns,
        started_ns=run.started_ns,
        downloaded=run.downloaded,
        wait_ns=run.wait_ns,
        ended_ns=_ended(state, run),
    )


@dataclass(slots=True)
class _Run:
    """What the events of a task say of its last run, as they are read."""

    image: str = ""
    received_ns: TimeNs | None = None
    downloading_ns: TimeNs | None = None
    started_ns: TimeNs | None = None
    ended_ns: TimeNs | None = None
    again: bool = False
    downloaded: bool = False
    wait_ns: DurationNs | None = None


def _last_run(state: Fields) -> _Run:
    run = _Run()
    for item in state.items("Events"):
        kind, time_ns = item.text("Type"), _time(item, "Time")
        if kind == "Received":
            run.received_ns = time_ns
        elif kind == "Driver" and _says(item, DOWNLOADING):
            run.downloading_ns = run.downloading_ns or time_ns  # the first try
            run.image = item.inner("Details").text("image") or run.image
        elif kind == STARTED:
            run.again = run.again or run.started_ns is not None
            run.started_ns, run.ended_ns = time_ns, None
            run.downloaded = run.downloading_ns is not None
            run.wait_ns = _between(run.downloading_ns, time_ns)
        if kind in RUN_BEGINS:
            run.downloading_ns = None
        if kind in ENDS:
            run.ended_ns = time_ns
    return run


def _ended(state: Fields, run: _Run) -> TimeNs | None:
    ran = state.text("StartedAt") not in {"", NEVER} or run.started_ns is not None
    if not ran or state.text("State") == "running":
        return None
    finished = state.text("FinishedAt")
    if run.ended_ns is None and finished not in {"", NEVER}:
        return parse_timestamp_ns(finished, state.where("FinishedAt"))
    return run.ended_ns


def _says(item: Fields, words: str) -> bool:
    said = (item.text("DriverMessage"), item.text("DisplayMessage"))
    return any(text.startswith(words) for text in said)


def _between(begin_ns: int | None, end_ns: int | None) -> DurationNs | None:
    if begin_ns is None or end_ns is None:
        return None
    waited_ns = end_ns - begin_ns
    return DurationNs(waited_ns) if 0 <= waited_ns <= DURATION_NS_MAX else None


def _job_images(job: Fields, group: str) -> Iterator[tuple[str, str]]:
    """Yield the image of each task that has one."""
    for found in job.items("TaskGroups"):
        if found.text("Name") != group:
            continue
        for task in found.items("Tasks"):
            yield task.text("Name"), task.inner("Config").text("image")


def _image(text: str) -> Image | None:
    try:
        return parse_image(text) if text else None
    except InputError:
        return None


def _time(fields: Fields, key: str) -> TimeNs | None:
    value = fields.values.get(key)
    if value is None:
        return None
    if type(value) is not int or not 0 < value <= TIME_NS_MAX:
        remedy = "give nanoseconds since 1970"
        raise TimeInvalidError(fields.where(key), value, remedy)
    return TimeNs(value)
