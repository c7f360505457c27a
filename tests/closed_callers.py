"""Callers who ask one question after the other, in a process of their own.

``python -m tests.closed_callers TARGET METHOD BODY CALLERS SECONDS`` prints what they
found. Who is refused comes again when it was told to, as our client does; a call's time
is that of the one that was answered.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from placement.client.errors import call_error, patience_s

CONNECTIONS: Final = 8
ALONE: Final = (("grpc.use_local_subchannel_pool", 1),)
WARM_SECONDS: Final = 1.0
DEADLINE_SECONDS: Final = 5.0


@dataclass
class Found:
    """What callers found after they had warmed up."""

    seconds: float
    took_ms: list[float] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        """How many calls were answered a second."""
        return len(self.took_ms) / self.seconds

    def quantile_ms(self, part: float) -> float:
        """Return what that part of the answered calls took at the most."""
        took = sorted(self.took_ms)
        return took[min(len(took) - 1, int(part * len(took)))]


async def ask(
    target: str, method: str, body: bytes, callers: int, found: Found
) -> None:
    """Let *callers* ask for a while, and note in *found* what came of it."""
    channels = [
        grpc.aio.insecure_channel(target, ALONE)
        for _ in range(min(CONNECTIONS, callers))
    ]
    counted_s = time.perf_counter() + WARM_SECONDS
    ends_s = counted_s + found.seconds

    async def caller(number: int) -> None:
        call: Any = channels[number % len(channels)].unary_unary(method)
        while (began_s := time.perf_counter()) < ends_s:
            wait_s = 0.0
            try:
                await call(body, timeout=DEADLINE_SECONDS)
            except grpc.aio.AioRpcError as error:
                told = call_error(error)
                wait_s = patience_s(told, random.random())
                if began_s > counted_s:
                    found.refused[told.reason] = found.refused.get(told.reason, 0) + 1
                await asyncio.sleep(min(wait_s, ends_s - time.perf_counter()))
                continue
            if began_s > counted_s:
                found.took_ms.append(1e3 * (time.perf_counter() - began_s))

    await asyncio.gather(*(caller(number) for number in range(callers)))
    for channel in channels:
        await channel.close()


def closed_loop(  # noqa: PLR0913, PLR0917 - what is asked, and from where
    target: str,
    method: str,
    body: bytes,
    callers: int,
    seconds: float,
    prefix: Sequence[str] = (),
) -> Found:
    """Return what so many callers found in a process of their own.

    *prefix* is a command that runs it in its own place, such as one core.
    """
    arguments = (target, method, body.hex(), str(callers), str(seconds))
    told = subprocess.run(
        [*prefix, sys.executable, "-m", "tests.closed_callers", *arguments],
        check=True,
        capture_output=True,
        timeout=60 + seconds,
    )
    return Found(**json.loads(told.stdout))


def main(target: str, method: str, body: str, callers: str, seconds: str) -> None:
    """Ask, and print what was found."""
    found = Found(float(seconds))
    asyncio.run(ask(target, method, bytes.fromhex(body), int(callers), found))
    print(json.dumps(vars(found)))  # noqa: T201 - that is how it is told


if __name__ == "__main__":
    main(*sys.argv[1:])
