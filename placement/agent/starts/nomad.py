"""Nomad's allocations become starts and stops of machines. Pure.

Each update repeats what came before; a memory of runs that were told keeps it to news.
A machine is a task. Its wait ends when the task started, and so includes the making of
its container. A task whose driver downloaded nothing had its image on the host.
"""

from collections.abc import Callable, Mapping
from typing import Final

from placement.agent.feeds.cloud_events import hashed_id
from placement.agent.feeds.fields import Fields, fields_of
from placement.agent.feeds.times import SECOND_NS
from placement.agent.feeds.translation import Ignored, IgnoredReason, Malformed
from placement.agent.starts.allocations import Task, tasks_of
from placement.agent.starts.images import Image
from placement.agent.starts.memory import Memory
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import Found, Sighting, joined
from placement.core.errors import InputError
from placement.core.event import (
    CacheKind,
    DurationNs,
    Event,
    Identifier,
    MachineStopped,
    StartCause,
)
from placement.core.topology import Region

TOPIC: Final = "Allocation"
TOLD_MAX: Final = 65_536
AGE_NS_MAX: Final = 3_600 * SECOND_NS
"""A run that began longer ago is no news: it was told before we came, or is counted."""

Images = Callable[[Task], Image | None]
"""Which image a task runs whose events do not tell it; None when nobody knows."""


def allocations_in(line: object) -> list[Fields]:
    """Return the allocations in a decoded line of the stream; a heartbeat has none.

    Raises InputError for what is no line of the stream.
    """
    found: list[Fields] = []
    for item in fields_of(line).items("Events"):
        if item.text("Topic") == TOPIC:
            allocation = item.inner("Payload").inner("Allocation")
            if allocation.values:
                found.append(allocation)
    return found


def index_of(line: object) -> int:
    """Return the index after which a stream is resumed; 0 for a heartbeat."""
    return fields_of(line).count("Index")


class Allocations:
    """What was told of allocations, as far as the next word about them needs it."""

    def __init__(self, settings: StartSettings, nodes: Mapping[str, str]) -> None:
        """Read *nodes*, the region's name by node id, which may grow meanwhile."""
        self._settings = settings
        self._nodes = nodes
        self._told: Memory[Identifier, bool] = Memory(TOLD_MAX)

    def allocation(self, document: object, images: Images, now_ns: int) -> Found:
        """Return what is new in an allocation."""
        try:
            fields = fields_of(document)
            tasks = tasks_of(fields)
            node = fields.text("NodeID")
            region = self._settings.region_of(self._nodes.get(node, ""))
        except InputError as error:
            return Found(malformed=(Malformed.of(None, error),))
        if region is None:
            reason = IgnoredReason.OTHER_REGION
            ignored = [Ignored(task.machine_id, reason) for task in tasks]
            return Found(ignored=tuple(ignored))
        return joined([self._task(task, region, images, now_ns) for task in tasks])

    def _task(self, task: Task, region: Region, images: Images, now_ns: int) -> Found:
        if task.started_ns is None or task.started_ns < now_ns - AGE_NS_MAX:
            return self._stopped(task, region) if not task.running else Found()
        event_id = hashed_id("task-start", task.machine_id, task.started_ns)
        begun = Found()
        if self._told.get(event_id) is None:
            image = task.image or images(task)
            if image is None:
                unknown = Ignored(event_id, IgnoredReason.IMAGE_UNKNOWN)
                return Found(ignored=(unknown,))
            begun = Found((_sighting(task, event_id, region, image),))
            self._told.put(event_id, True)  # noqa: FBT003 - a set with a limit
        if task.running:
            return begun
        return joined([begun, self._stopped(task, region)])

    def _stopped(self, task: Task, region: Region) -> Found:
        """Return the stop of a task that ended, if it is news."""
        if task.ended_ns is None:
            return Found()
        event_id = hashed_id("task-stop", task.machine_id, task.ended_ns)
        if self._told.get(event_id) is not None:
            return Found()
        self._told.put(event_id, True)  # noqa: FBT003 - a set with a limit
        image = task.image
        if image is not None and not self._settings.minds(image):
            return Found()
        fact = MachineStopped(
            task.machine_id,
            image.digest if image else None,
            image.repository if image else None,
        )
        publisher = self._settings.publisher
        return Found(events=(Event(event_id, region, fact, task.ended_ns, publisher),))


def _sighting(
    task: Task, event_id: Identifier, region: Region, image: Image
) -> Sighting:
    return Sighting(
        event_id=event_id,
        machine_id=task.machine_id,
        region=region,
        image=image,
        time_ns=task.started_ns,
        request_time_ns=None if task.restarted else task.received_ns,
        image_wait_ns=task.wait_ns if task.downloaded else DurationNs(0),
        cache=CacheKind.UNSPECIFIED if task.downloaded else CacheKind.HOST,
        cause=StartCause.RESTART if task.restarted else StartCause.UNSPECIFIED,
    )
