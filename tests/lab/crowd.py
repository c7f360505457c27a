"""Many machines start at once where the image is not: each layer comes once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from tests.lab.checks import Check
from tests.lab.network import moved_into
from tests.lab.operator import OBSERVES
from tests.lab.places import IAD, SYD
from tests.lab.rows import Row, row_of
from tests.lab.story import ROUTING, Stage

ONCE_FACTOR: Final = 1.25
"""Headers, acknowledgements, manifests, what is sent again: above once, below twice."""


async def crowd(
    stage: Stage, kind: str, client: str, checks: list[Check]
) -> AsyncIterator[Row]:
    """Start many machines in syd at once; yield a row for each, and check the bytes."""
    await stage.operator.plan(OBSERVES)
    count = stage.plan.crowd
    stage.say(f"{count} starts at once of an image that is not there: {kind}")
    version, _ = stage.app(kind, "crowd")
    await stage.push(version)
    await stage.operator.complete_in(version, [IAD])
    network = stage.product.network
    before = moved_into(network, SYD)
    starts = (stage.start(version, SYD, client) for _ in range(count))
    pulled = await asyncio.gather(*starts)
    moved = moved_into(network, SYD) - before
    scenario = f"{count} starts at once"
    for one in pulled:
        yield row_of(scenario, version, ROUTING, one, client=client, region=SYD)
    size = version.layers_bytes
    seen = f"{moved / 1e6:.1f} MB moved, for an image of {size / 1e6:.1f} MB"
    promise = f"{count} starts at once move each layer across the ocean once"
    checks.append(Check(promise, seen, moved < ONCE_FACTOR * size))
