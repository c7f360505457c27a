"""While callers wait for their turn the planner rests, and not for ever."""

import asyncio

import pytest

from placement.runtime import planner as planning
from placement.runtime.planner import Planner, PlannerSettings
from placement.runtime.publisher import Publisher
from tests.builders import IAD, TOPOLOGY, pushed
from tests.serving import Stage


async def stored(stage: Stage) -> int:
    """Return how many messages the log holds."""
    return (await stage.log.status()).last_sequence


@pytest.mark.parametrize("for_ever", [False, True])
async def test_planner_rests_while_the_service_is_pressed(
    for_ever: bool,  # noqa: FBT001 - a parameter of pytest
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stores its tick once nobody waits, or once it has rested long enough."""
    most_s = 0.5 if for_ever else 60.0
    monkeypatch.setattr(planning, "PRESSED_SECONDS_MAX", most_s)
    stage, pressed = Stage(), [True]
    await stage.happen(pushed("a", IAD))
    before = await stored(stage)
    planner = Planner(
        stage.view,
        TOPOLOGY,
        Publisher(stage.log, stage.view),
        lambda: stage.now_ns,
        PlannerSettings(),
        pressed=lambda: pressed[0],
    )
    running = asyncio.create_task(planner.run())
    try:
        await asyncio.sleep(0.2)
        assert await stored(stage) == before
        pressed[0] = for_ever
        async with asyncio.timeout(20):
            while await stored(stage) == before:  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait({running})
