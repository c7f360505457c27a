"""Whether what we do ourselves is taken for demand: it must not be."""

import asyncio
import time
from typing import Final

from tests.lab.checks import Check
from tests.lab.story import Stage

SHOWN: Final = 5
SETTLE_SECONDS_MAX: Final = 30.0
QUIET_SECONDS: Final = 3.0
"""Between two looks: for what should not come to come all the same."""


async def own_work_is_no_demand(stage: Stage) -> Check:
    """Compare the uses that the service counts with those that were real.

    Wherever nobody pulled a version or started it, the service must count nothing,
    though it was copied from there and to there, and scanned. Where somebody did, it
    counts the starts exactly, at least one pull, and no more than there were.
    """
    ends = time.monotonic() + SETTLE_SECONDS_MAX
    wrong = [""]
    counted = 0
    while wrong and time.monotonic() < ends:
        await asyncio.sleep(QUIET_SECONDS)
        wrong, counted = await _compared(stage)
    promise = "own copies and scans add nothing to demand"
    seen = f"{counted} of {stage.operator.pulls.total()} real pulls, and no others"
    if wrong:
        seen = f"wrong: {len(wrong)} ({'; '.join(wrong[:SHOWN])})"
    return Check(promise, seen, not wrong)


async def _compared(stage: Stage) -> tuple[list[str], int]:
    """Return what is counted wrongly, and how many pulls are counted."""
    operator = stage.operator
    wrong, counted = [], 0
    for version in stage.versions:
        image = (version.repository, version.tag)
        if not operator.pushed[image]:
            continue
        told = await operator.demands(version)
        for region in stage.plan.regions:
            pulls, starts = told.get(region, (0, 0))
            most = operator.pulls[*image, region]
            counted += pulls
            right = min(most, 1) <= pulls <= most
            if not right or starts != operator.starts[*image, region]:
                wrong.append(f"{':'.join(image)} in {region}: {pulls}, {starts}")
    return wrong, counted
