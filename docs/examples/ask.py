"""Where would a machine wait least for an image? Asked of the agent's door over gRPC.

python docs/examples/ask.py 127.0.0.1:7452 acme/web sha256:… syd,eu
"""

import asyncio
import sys

from placement.client import PlacementClient


async def main(door: str, repository: str, reference: str, candidates: str) -> None:
    """Print each region with the seconds that a machine would wait there."""
    async with PlacementClient(door) as client:
        answer = await client.estimate_starts([(repository, reference, "")], candidates)
    for estimate in answer.estimates:
        seconds = estimate.expected_wait.p50.ToTimedelta().total_seconds()
        print(f"{estimate.region} {seconds:.3f}")


asyncio.run(main(*sys.argv[1:]))
