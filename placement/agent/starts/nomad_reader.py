"""Follows a Nomad cluster's event stream, for ever.

Resumed by index; what the server no longer keeps is missed, and healed by the next
count. The stream has no jobs: an allocation whose image its events do not tell is asked
for itself, once for each version of a job. Source: Nomad API, "Events", "Allocations".
"""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Final
from urllib.parse import quote

import structlog

from placement.agent.feeds.fields import Fields, fields_of
from placement.agent.feeds.translation import IgnoredReason
from placement.agent.starts.allocations import Task, tasks_of
from placement.agent.starts.counting import Machine
from placement.agent.starts.images import Image
from placement.agent.starts.memory import Memory
from placement.agent.starts.nomad import Allocations, allocations_in, index_of
from placement.agent.starts.streams import AbsentError, Api, Backoff, SchedulerError
from placement.agent.starts.telling import Teller
from placement.core.errors import InputError

STREAM: Final = "/v1/event/stream"
ALLOCATIONS: Final = "/v1/allocations"
ALLOCATION: Final = "/v1/allocation"
NODE: Final = "/v1/node"
SILENT_SECONDS_MAX: Final = 60.0
"""Nomad sends a heartbeat every ten seconds."""
PAGE_COUNT: Final = 250
PAGES_MAX: Final = 4_000
NODES_MAX: Final = 65_536
JOBS_MAX: Final = 65_536

log = structlog.get_logger(__name__)


class NomadReader:
    """Tells of every task that starts or stops in one cluster."""

    def __init__(self, api: Api, teller: Teller, now_ns: Callable[[], int]) -> None:
        """Read by *api* and tell *teller*."""
        self._api = api
        self._teller = teller
        self._now_ns = now_ns
        self._nodes: dict[str, str] = {}
        self._images: Memory[tuple[str, str, int, str, str], Image | str] = Memory(
            JOBS_MAX
        )
        self._allocations = Allocations(teller.settings, self._nodes)

    async def run(self) -> None:
        """Follow until cancelled; what fails is tried again."""
        backoff = Backoff(self._teller.chance)
        index = 0
        while True:
            try:
                lines = self._api.lines(STREAM, _since(index), SILENT_SECONDS_MAX)
                async with aclosing(lines) as documents:
                    async for line in documents:
                        # Not the highest: a cluster that was rebuilt begins low again.
                        index = await self._line(line) or index
                        backoff.reset()
            except SchedulerError as error:
                log.warning("stream_broken", path=STREAM, error=str(error))
            await backoff.wait()

    async def machines(self) -> AsyncIterator[Machine]:
        """Yield every task that runs now; raises SchedulerError."""
        token = ""
        for _ in range(PAGES_MAX):
            params: dict[str, str | int] = {
                "namespace": "*",
                "task_states": "true",
                "per_page": PAGE_COUNT,
            }
            if token:
                params["next_token"] = token
            listed, headers = await self._api.get(ALLOCATIONS, params)
            for stub in listed if isinstance(listed, list) else []:
                async for machine in self._running(stub):
                    yield machine
            token = headers.get("X-Nomad-NextToken", "")
            if not token:
                return
        message = f"{ALLOCATIONS} has more than {PAGES_MAX} pages"
        raise SchedulerError(message, path=ALLOCATIONS)

    async def _line(self, line: object) -> int:
        """Tell what a line says, and return its index; 0 for one that has none."""
        try:
            allocations, index = allocations_in(line), index_of(line)
        except InputError as error:
            log.warning("stream_line_unread", path=STREAM, field=error.field)
            return 0
        for fields in allocations:
            await self._allocation(fields)
        return index

    async def _allocation(self, fields: Fields) -> None:
        now_ns = self._now_ns()
        try:
            tasks = tasks_of(fields)
            await self._learn_node(fields.text("NodeID"))
        except InputError:
            tasks = []
        found = self._allocations.allocation(fields.values, self._image, now_ns)
        reasons = {item.reason for item in found.ignored}
        unasked = [task for task in tasks if self._images.get(task.job) is None]
        if IgnoredReason.IMAGE_UNKNOWN in reasons and unasked:
            # What was found is no news the second time: it is told before the asking.
            await self._teller.tell(replace(found, ignored=()))
            await self._learn_images(unasked[0])
            found = self._allocations.allocation(fields.values, self._image, now_ns)
        await self._teller.tell(found)

    def _image(self, task: Task) -> Image | None:
        image = self._images.get(task.job)
        return image if isinstance(image, Image) else None

    async def _running(self, stub: object) -> AsyncIterator[Machine]:
        try:
            tasks = [task for task in tasks_of(fields_of(stub)) if task.running]
            region = None
            if tasks:
                await self._learn_node(tasks[0].node_id)
                name = self._nodes.get(tasks[0].node_id, "")
                region = self._teller.settings.region_of(name)
        except InputError:
            return
        for task in tasks:
            if task.image is None and self._images.get(task.job) is None:
                await self._learn_images(task)
            image = task.image or self._image(task)
            if image is not None and region is not None:
                yield Machine(task.machine_id, region, image)

    async def _learn_images(self, task: Task) -> None:
        """Know the images of all tasks of an allocation, or that one has none."""
        path = f"{ALLOCATION}/{quote(task.allocation_id, safe='')}"
        try:
            document, _ = await self._api.get(path)
            found = tasks_of(fields_of(document))
        except (AbsentError, InputError):
            found = []
        self._images.put(task.job, "")
        for one in found:
            self._images.put(one.job, one.image or "")

    async def _learn_node(self, node_id: str) -> None:
        """Know the region of a node, if its metadata tells it."""
        label = self._teller.settings.region_label
        if not label or not node_id or node_id in self._nodes:
            return
        region = ""
        try:
            document, _ = await self._api.get(f"{NODE}/{quote(node_id, safe='')}")
            region = fields_of(document).inner("Meta").text(label)
        except (AbsentError, InputError):
            log.info("node_region_unknown", node=node_id)
        if len(self._nodes) >= NODES_MAX:
            self._nodes.clear()
        self._nodes[node_id] = region


def _since(index: int) -> dict[str, str | int]:
    """Return the query of the stream from *index*, which is told again."""
    return {"topic": "Allocation", "namespace": "*", "index": index}
