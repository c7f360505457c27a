"""A herd of watchers in a process of its own, each on a connection of its own.

``python -m tests.watch_herd TARGET COUNT`` watches with our client, and prints a line
of JSON when all of them are there, and when the first of them has lost its connection:
how many snapshots they were told by then, and the seconds that it took. It ends when
its input does.
"""

import asyncio
import json
import os
import sys
import time
import traceback
from contextlib import aclosing
from typing import Any, Final, cast

import grpc

from placement.client.channels import OPTIONS, Channels
from placement.client.watching import kept_up
from placement.v1 import placement_service_pb2 as pb
from placement.v1.placement_service_pb2_grpc import PlacementServiceStub

ALONE: Final = (("grpc.use_local_subchannel_pool", 1),)
PATIENCE_SECONDS: Final = 120.0


class OwnConnection(Channels):
    """A channel that shares its connection with no other of this process."""

    def __init__(self, target: str) -> None:
        """Ask at *target*."""
        super().__init__(target, None)
        self._own = grpc.aio.insecure_channel(target, (*OPTIONS, *ALONE))

    def chosen(self) -> grpc.aio.Channel:
        """Return the one that there is."""
        return self._own


class Herd:
    """How many are there, and how often they were told a snapshot."""

    def __init__(self, target: str, count: int) -> None:
        """Watch *target* with so many."""
        self.target = target
        self.count = count
        self.there: set[int] = set()
        self.snapshots = 0
        self.began_s = time.monotonic()

    async def watch(self, number: int) -> None:
        """Watch for ever, as the client's replica does: it goes on with its token."""
        channels = cast("grpc.aio.Channel", OwnConnection(self.target))
        request = pb.WatchPlacementsRequest(packed=True)
        method: Any = PlacementServiceStub(channels).WatchPlacements
        while True:
            async with aclosing(kept_up(method, request, PATIENCE_SECONDS)) as told:
                async for response in told:
                    if response is None:
                        self.lost(number)
                        continue
                    for item in response.items:
                        self.hear(number, request, item)

    def lost(self, number: int) -> None:
        """Note that one has lost its connection."""
        if len(self.there) == self.count:
            self.began_s = time.monotonic()
            self.say("lost")
        self.there.discard(number)

    def hear(self, number: int, request: pb.WatchPlacementsRequest, item: Any) -> None:  # noqa: ANN401 - a watch's item
        """Note what one was told."""
        if item.HasField("snapshot_began"):
            self.snapshots += 1
        if item.HasField("bookmark"):
            request.resume_token = item.bookmark.resume_token
            before = len(self.there)
            self.there.add(number)
            if before < len(self.there) == self.count:
                self.say("there")

    def say(self, what: str) -> None:
        """Print how it stands."""
        now_s = time.monotonic()
        seconds = now_s - self.began_s
        line = {"what": what, "snapshots": self.snapshots, "seconds": seconds}
        line["at"] = now_s  # by a clock that all processes have in common
        print(json.dumps(line), flush=True)  # noqa: T201 - that is how it is told


async def run(target: str, count: int) -> None:
    """Watch until there is no more input; one that fails ends the process at once."""
    herd = Herd(target, count)

    async def watch(number: int) -> None:
        try:
            await herd.watch(number)
        except Exception:  # noqa: BLE001 - whatever it is, the others say nothing of it
            traceback.print_exc()
            os._exit(1)

    tasks = [asyncio.create_task(watch(number)) for number in range(count)]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
