"""What needs an operator: each in a sentence, with where to read on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from placement.console.frame import MEANINGS
from placement.console.site import Site
from placement.console.standings import RegionStanding
from placement.console.words import ago, count, moment, word
from placement.core.deciding.ruling import ruling_in_force
from placement.core.orders import pause_orders
from placement.core.payoff import Judged
from placement.core.tables.cells import DecisionStatus
from placement.runtime.view import ServingState
from placement.runtime.witness import Verdict

INVENTORY_NS_MAX: Final = 86_400 * 10**9
"""A region that was not inventoried for so long may have lost news unnoticed."""
CHECKPOINT_NS_MAX: Final = 900 * 10**9
NAMED_MAX: Final = 6
FAILED: Final = frozenset({DecisionStatus.FAILED, DecisionStatus.EXPIRED})


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that needs somebody."""

    kind: str
    """``bad`` where something is broken, ``wait`` where somebody should know of it."""
    said: str
    href: str
    """Where to read on."""


def needs(
    site: Site, regions: Sequence[RegionStanding], newest: Sequence[Judged]
) -> list[Need]:
    """Return what needs somebody, what is broken first. Raises nothing."""
    now_ns = site.view.now_ns()
    found = [
        *_of_service(site),
        *_of_regions(regions, now_ns),
        *_of_orders(site, now_ns),
        *_of_decisions(newest),
    ]
    return sorted(found, key=lambda need: need.kind != "bad")


def _of_service(site: Site) -> Iterator[Need]:
    view, now_ns = site.view, site.view.now_ns()
    state = view.serving_state()
    if state is not ServingState.LIVE:
        cause = view.trouble or MEANINGS[state]
        yield Need("bad", f"The service is {word(state.name)}: {cause}", "/service")
    aside = view.state.count("set_aside")
    if aside:
        said = f"{count(aside)} events could not be read and were set aside"
        yield Need("wait", said, "/service#quarantine")
    found = view.witness.divergence if view.witness else None
    if found is not None:
        verdict = word(Verdict(found.verdict).name)
        said = f"This state differs from that of {found.other_service}: {verdict}"
        yield Need("bad", said, "/service")
    saved_ns = site.workings.checkpoint().saved_ns
    if saved_ns and now_ns - saved_ns > CHECKPOINT_NS_MAX:
        said = f"The checkpoint was last written {ago(saved_ns, now_ns)}"
        yield Need("wait", said, "/service")
    planner = site.workings.planner
    if planner is not None and planner.put_off_count:
        said = f"{count(planner.put_off_count)} copies wait for a budget or a pause"
        yield Need("wait", said, "/decisions")


def _of_regions(regions: Iterable[RegionStanding], now_ns: int) -> Iterator[Need]:
    old = []
    for region in regions:
        if region.state != "active":
            until = f" until {moment(region.expire_ns)}" if region.expire_ns else ""
            said = f"{region.code} is {region.state}{until}"
            yield Need(region.kind, said, f"/regions#{region.code}")
        holds = region.stores and region.holding and region.holding.content_count
        if holds and now_ns - region.inventory_ns > INVENTORY_NS_MAX:
            old.append(region.code)
    if old:
        said = f"No inventory for a day of {_named(old)}: what was lost is not known"
        yield Need("wait", said, "/regions")


def _of_orders(site: Site, now_ns: int) -> Iterator[Need]:
    for pause in pause_orders(site.state, now_ns):
        where = f"into {pause.region}" if pause.region else "into any region"
        expire_ns = pause.term.expire_time_ns
        until = f" until {moment(expire_ns)}" if expire_ns else ""
        yield Need("wait", f"No new copies {where}{until}", "/regions")
    refused = ruling_in_force(site.state, now_ns).refused
    if refused:
        said = f"This version cannot read policy {_named(refused)}: no copy is decided"
        yield Need("bad", said, "/what-if")


def _of_decisions(newest: Iterable[Judged]) -> Iterator[Need]:
    failed = [judged for judged in newest if judged.record.status in FAILED]
    if failed:
        regions = sorted({str(judged.record.target) for judged in failed})
        said = f"{len(failed)} of the newest copies failed or ran out, into "
        yield Need("bad", said + _named(regions), "/decisions?status=failed")


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED_MAX])
    more = len(names) - NAMED_MAX
    return f"{shown} and {more} more" if more > 0 else shown
