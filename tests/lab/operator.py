"""What people and schedulers do in the lab: order, report starts, and ask."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration

from placement.client import PlacementCallError, PlacementClient
from placement.client.operations import Operation
from placement.v1 import event_service_pb2, events_pb2
from tests.lab.children import LabError
from tests.lab.clients import Pulled
from tests.lab.images import Version

SETTLE_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.05
CALL_SECONDS: Final = 5.0
ACTOR: Final = "lab"
DECIDES: Final = "decide"
OBSERVES: Final = "observe"
UNKNOWN: Final = {"MANIFEST_UNKNOWN", "BLOB_UNKNOWN", "NAME_UNKNOWN"}


@dataclass
class Operator:
    """Speaks to the service, and remembers which uses of images were real."""

    client: PlacementClient
    starts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How many, by repository, tag and region."""
    pulls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    pushed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """To how many registries, by repository and tag."""
    _machines: int = 0

    async def plan(self, mode: str) -> None:
        """Let planners decide, or only observe."""
        content = f'name = "lab-{mode}"\nmode = "{mode}"\nholdout_fraction = 0.0\n'
        reason = "the lab compares both"
        await self.client.set_policy(Operation(ACTOR, reason), content=content)

    async def started(self, version: Version, region: str, pulled: Pulled) -> None:
        """Tell that a machine started, and waited for its image as long as the pull."""
        self._machines += 1
        self.starts[version.repository, version.tag, region] += 1
        wait = Duration()
        wait.FromTimedelta(timedelta(seconds=pulled.seconds))
        fact = events_pb2.MachineStarted(
            digest=version.digest,
            repository=version.repository,
            tag=version.tag,
            machine_id=f"m-{self._machines}",
            image_wait=wait,
            transferred_bytes=pulled.ocean_bytes,
        )
        await self._publish(region, events_pb2.Event(machine_started=fact))

    async def announced(self, repository: str, tag: str, region: str) -> None:
        """Tell that a machine will be started: before there is an image, even."""
        fact = events_pb2.StartsRequested(
            repository=repository,
            reference=tag,
            regions=[region],
            machine_count=1,
            request_id=f"r-{repository}-{tag}",
        )
        await self._publish(region, events_pb2.Event(starts_requested=fact))

    async def _publish(self, region: str, event: events_pb2.Event) -> None:
        event.region = region
        event.event_id = f"lab-{region}-{time.time_ns()}"
        answer = await self.client.publish_events([event])
        outcome = answer.results[0].outcome
        if outcome != event_service_pb2.PUBLISH_OUTCOME_STORED:
            message = f"a start was not stored: {answer.results[0]}"
            raise LabError(message)

    async def complete_in(self, version: Version, regions: Iterable[str]) -> float:
        """Return after how many seconds the service knew it whole in all *regions*."""
        wanted = set(regions)

        async def all_there() -> bool:
            answer = await self.client.get_placement(version.repository, version.digest)
            there = {one.region for one in answer.placement.regions if one.complete}
            return wanted <= there

        return await until(all_there, f"{version.repository}:{version.tag} {wanted}")

    async def demands(self, version: Version) -> dict[str, tuple[int, int]]:
        """Return the pulls and starts of a version that are counted, by region."""
        answer = await self.client.get_placement(version.repository, version.digest)
        return {
            one.region: (one.pull_count, one.start_count)
            for one in answer.placement.demands
            if one.pull_count or one.start_count
        }


async def until(asked: Callable[[], Awaitable[bool]], what: str) -> float:
    """Return the seconds until *asked* says yes; unknown content is a no."""
    began = time.monotonic()
    while True:
        try:
            if await asked():
                return time.monotonic() - began
        except PlacementCallError as error:
            if error.reason not in UNKNOWN:
                raise
        if time.monotonic() - began > SETTLE_SECONDS_MAX:
            message = f"waited {SETTLE_SECONDS_MAX:.0f} s in vain for {what}"
            raise LabError(message)
        await asyncio.sleep(LOOK_SECONDS)
