"""The parts of an agent, each begun again when it ends, without harm to the others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from placement.agent.pauses import Pauses

STOP_SECONDS_MAX: Final = 4.0
"""So long parts may take to end once they are told to."""
STEADY_SECONDS: Final = 60.0
"""A part that ran so long has recovered: its next failure is a first one."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """Something that runs until it is cancelled."""

    name: str
    run: Callable[[], Awaitable[None]]


async def supervise(parts: Sequence[Part], chance: Callable[[], float]) -> None:
    """Run *parts* until cancelled; one that fails begins again after a pause.

    An error that has an ``exit_code`` ends all of them and is raised: nothing but
    another process can help. Ends within STOP_SECONDS_MAX.
    """
    tasks = {asyncio.create_task(_kept_up(part, chance)): part for part in parts}
    try:
        done, _ = await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
        for task in done:
            await task
    finally:
        for task in tasks:
            task.cancel()
        _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS_MAX)
        for task in late:
            log.error("part_did_not_stop", part=tasks[task].name)


async def _kept_up(part: Part, chance: Callable[[], float]) -> None:
    """Run *part*, and again whenever it ends."""
    pauses = Pauses(chance)
    loop = asyncio.get_running_loop()
    while True:
        began_s = loop.time()
        try:
            await part.run()
            reason, error = "ENDED", ""
        except Exception as failure:  # the others go on whatever it is
            if hasattr(failure, "exit_code"):
                raise
            reason = getattr(failure, "reason", type(failure).__name__)
            error = str(failure)
            if not hasattr(failure, "reason"):
                log.exception("part_broke", part=part.name)
        if loop.time() - began_s > STEADY_SECONDS:
            pauses.reset()
        pause_s = pauses.next_s()
        log.warning(
            "part_failed",
            part=part.name,
            reason=reason,
            error=error,
            again_in_s=round(pause_s, 1),
        )
        await asyncio.sleep(pause_s)
