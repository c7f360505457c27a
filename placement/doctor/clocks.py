"""Holds our clock against the broker's and the service's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from placement.core.errors import PlacementError
from placement.doctor.finding import Finding, fail, ok, skipped, warn
from placement.doctor.site import Site

NS: Final = 1_000_000_000
WARN_NS: Final = 1 * NS
FAIL_NS: Final = 10 * NS
"""What is stored within so long of happening is ordered by when it was stored."""
REMEDY: Final = "let all machines keep time by NTP: chronyc tracking, timedatectl"


async def clocks(site: Site) -> Sequence[Finding]:
    """Return how far both are from ours."""
    return [await _broker(site), await _service(site)]


async def _broker(site: Site) -> Finding:
    try:
        seen, before, after = await site.broker()
    except PlacementError:
        return skipped("the broker's clock: it is out of reach")
    if seen.stream is None or seen.stream.server_time_ns is None:
        return skipped("the broker's clock: it does not tell (nats-server before 2.10)")
    return _skew("broker", seen.stream.server_time_ns, before, after)


async def _service(site: Site) -> Finding:
    try:
        info, before, after = await site.service()
    except PlacementError:
        return skipped("the service's clock: it is out of reach")
    told = info["basis"].get("answer_time")
    if not told:
        return skipped("the service's clock: it does not tell")
    time_ns = int(datetime.fromisoformat(told).timestamp() * NS)
    return _skew("service", time_ns, before, after)


def _skew(whose: str, theirs: int, before: int, after: int) -> Finding:
    """Judge a clock that said *theirs* between *before* and *after* by ours."""
    ahead = max(0, theirs - after) - max(0, before - theirs)
    seconds = abs(ahead) / NS
    how = "ahead of" if ahead > 0 else "behind"
    what = f"the {whose}'s clock is {seconds:.3f} s {how} ours"
    limit = f"the limit is {FAIL_NS // NS} s"
    if abs(ahead) >= FAIL_NS:
        return fail(f"{what}; {limit}", REMEDY)
    if abs(ahead) >= WARN_NS:
        return warn(f"{what}; {limit}", REMEDY)
    if not ahead:
        return ok(f"the {whose}'s clock agrees with ours; {limit}")
    return ok(f"{what}; {limit}")
