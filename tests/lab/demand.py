"""Whether what we do ourselves is taken for demand: it must not be."""

from tests.lab.checks import Check
from tests.lab.story import Stage

SHOWN: int = 5


async def own_work_is_no_demand(stage: Stage) -> Check:
    """Compare the uses that the service counts with those that were real.

    Wherever nobody pulled a version or started it, the service must count nothing,
    though it was copied from there and to there, and scanned. Where somebody did, it
    counts the starts exactly, and no more pulls than there were.
    """
    operator, wrong, real = stage.operator, [], 0
    for version in stage.versions:
        image = (version.repository, version.tag)
        if not operator.pushed[image]:
            continue
        counted = await operator.demands(version)
        for region in stage.plan.regions:
            pulls, starts = counted.get(region, (0, 0))
            real += operator.pulls[*image, region]
            excess = pulls > operator.pulls[*image, region]
            if excess or starts != operator.starts[*image, region]:
                wrong.append(f"{':'.join(image)} in {region}: {pulls}, {starts}")
    promise = "own copies and scans add nothing to demand"
    seen = f"{real} real pulls of {len(stage.versions)} versions; wrong: {len(wrong)}"
    if wrong:
        seen += " (" + "; ".join(wrong[:SHOWN]) + ")"
    return Check(promise, seen, not wrong)
