"""Where to create a machine: by the seconds until it can start, and by capacity.

`place` picks a region and says that a start is coming, so that copies may begin;
`started` reports what came of it, by which later estimates are judged.

python docs/examples/fly_placement.py place acme/web:v1 --in lhr,eu --room lhr=0,ams=3
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from uuid import uuid4

from placement.client import PlacementClient, PlacementError
from placement.v1 import events_pb2 as events

ESTIMATE_S = 0.25
"""Placing a machine must not wait longer for advice."""
PUBLISH_S = 5.0

Image = tuple[str, str]
"""Repository, and digest or tag."""


async def place(
    client: PlacementClient, image: Image, candidates: str, room: Mapping[str, int]
) -> tuple[str, float | None] | None:
    """Return the soonest region with room, and its seconds; None: there is no room.

    Regions that *room* does not name have none. Without advice the candidates' own
    order decides, and the seconds are None: no machine is kept waiting for us.
    """
    waits: dict[str, float | None] = {}
    try:
        asked = client.within(ESTIMATE_S).estimate_starts([(*image, "")], candidates)
        for one in (await asked).estimates:
            seconds = one.expected_wait.p50.ToNanoseconds() / 1e9
            waits[one.region] = seconds if one.HasField("expected_wait") else None
    except PlacementError as error:
        print(f"without advice: {error}", file=sys.stderr)
        waits = dict.fromkeys(candidates.split(","))
    return next((found for found in waits.items() if room.get(found[0], 0) > 0), None)


async def announce(client: PlacementClient, image: Image, region: str) -> bool:
    """Say that a machine is about to start; return whether it was stored."""
    request_id = uuid4().hex
    requested = events.StartsRequested(
        repository=image[0], reference=image[1], regions=[region], request_id=request_id
    )
    event = events.Event(event_id=request_id, region=region, starts_requested=requested)
    return await told(client, event)


async def report_start(
    client: PlacementClient,
    region: str,
    started: events.MachineStarted,
    waited_s: float,
    expected_s: float | None = None,
) -> bool:
    """Say how long a machine waited for its image; return whether it was stored."""
    started.image_wait.FromNanoseconds(round(waited_s * 1e9))
    if expected_s is not None:
        started.expected_wait_p50.FromNanoseconds(round(expected_s * 1e9))
    event_id = uuid4().hex
    event = events.Event(event_id=event_id, region=region, machine_started=started)
    return await told(client, event)


async def told(client: PlacementClient, event: events.Event) -> bool:
    """Store *event*; a failure is said, and stops no machine."""
    try:
        (result,) = (await client.within(PUBLISH_S).publish_events([event])).results
    except PlacementError as error:
        print(f"not told: {error}", file=sys.stderr)
        return False
    return bool(result.token)


async def main(said: argparse.Namespace) -> int:
    """Carry out one command; 1 is no."""
    async with PlacementClient(said.server) as client:
        if said.command == "started":
            started = events.MachineStarted(
                repository=said.repository, digest=said.digest, machine_id=said.machine
            )
            seconds = said.waited, said.expected
            return int(not await report_start(client, said.region, started, *seconds))
        repository, at, digest = said.image.partition("@")
        repository, _, tag = repository.partition(":")
        image = repository, digest if at else tag or "latest"
        room = {
            code: int(n) for code, n in (x.split("=") for x in said.room.split(","))
        }
        found = await place(client, image, said.candidates, room)
        if found is not None:
            await announce(client, image, found[0])
            print(json.dumps({"region": found[0], "expected_seconds": found[1]}))
        return int(found is None)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--server", default="127.0.0.1:7450", help="the service")
    commands = options.add_subparsers(dest="command", required=True)
    placing = commands.add_parser("place")
    placing.add_argument("image")
    placing.add_argument("--in", dest="candidates", required=True)
    placing.add_argument("--room", required=True, metavar="REGION=MACHINES,...")
    reporting = commands.add_parser("started")
    for name in ("repository", "digest", "region", "machine"):
        reporting.add_argument(name)
    reporting.add_argument("--waited", type=float, required=True, help="seconds")
    reporting.add_argument("--expected", type=float, help="seconds, as place said")
    sys.exit(asyncio.run(main(options.parse_args())))
