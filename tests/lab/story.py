"""The story: pushed in one region, deployed in another, and then the next version.

An app's first version has run in the far region when its second is pushed. Told once
with planners that only observe, so that the router alone helps, and once with planners
that decide.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.lab.checks import PREDICTED
from tests.lab.clients import Clients, Place, Pulled
from tests.lab.images import Version, made
from tests.lab.operator import DECIDES, OBSERVES, Operator
from tests.lab.places import FRA, IAD, SYD, Plan
from tests.lab.product import Product
from tests.lab.rows import Row, row_of

ROUTING: Final = "ours, routing only"
ROUTES: Final = {OBSERVES: ROUTING, DECIDES: PREDICTED}
FIRST_SEED: Final = 100_000
APART_SECONDS: Final = 4.0
"""Between the last push that others wait for and one that is started at once."""


@dataclass
class Stage:
    """What scenarios play on."""

    plan: Plan
    product: Product
    operator: Operator
    clients: Clients
    folder: Path
    say: Callable[[str], None]
    versions: list[Version] = field(default_factory=list)
    """All that was pushed."""

    def app(self, kind: str, what: str) -> tuple[Version, Version]:
        """Return both versions of a new app; nothing is pushed."""
        number = len(self.versions)
        versions = made(
            self.folder, kind, f"{what}/{kind}-{number}", FIRST_SEED + number
        )
        self.versions += versions
        return versions

    async def push(self, version: Version, region: str = IAD, by: str = "") -> None:
        """Push to a region's registry, from within *by* (empty: the same region)."""
        address = self.product.registry(region, by or region)
        image = f"{version.repository}:{version.tag}"
        self.operator.pushed[version.repository, version.tag] += 1
        await self.clients.push(by or region, address, version.layout, image)

    async def pull(self, version: Version, region: str, client: str) -> Pulled:
        """Pull through the region's router, as a start of a machine does."""
        place = Place(self.product.registry(IAD, region), self.product.router(region))
        image = f"{version.repository}:{version.tag}"
        self.operator.pulls[version.repository, version.tag, region] += 1
        return await self.clients.pull(client, region, place, image)

    async def start(self, version: Version, region: str, client: str) -> Pulled:
        """Pull, and tell that a machine started."""
        pulled = await self.pull(version, region, client)
        await self.operator.started(version, region, pulled)
        return pulled


@dataclass(frozen=True, slots=True)
class Telling:
    """One app of the story: who pulls, and how long after the second push."""

    first: Version
    second: Version
    client: str
    wait_s: float


async def told(stage: Stage, mode: str, kind: str) -> AsyncIterator[Row]:
    """Tell the story with apps of one *kind*; yield a row for each start in syd.

    First starts are told apart from second ones, and only where no copies are decided:
    elsewhere they are made all together, and are no figures.
    """
    await stage.operator.plan(mode)
    stage.say(f"the story: {kind}, {ROUTES[mode]}")
    apps = [
        Telling(*stage.app(kind, "story"), client, wait_s)
        for client, wait_s in _pulls(stage.plan, kind)
    ]
    for app in apps:
        await stage.push(app.first)
    if mode == OBSERVES:
        for app in apps:
            await stage.operator.complete_in(app.first, [IAD])
            pulled = await stage.start(app.first, SYD, app.client)
            yield _row("first start", app.first, mode, pulled, app.client)
            await stage.operator.complete_in(app.first, [IAD, SYD])
    else:
        first = stage.plan.clients[0]
        await asyncio.gather(*(stage.start(app.first, SYD, first) for app in apps))
        for app in apps:
            await stage.operator.complete_in(app.first, [IAD, SYD])
    async for app, pulled in second_starts(stage, apps):
        scenario = f"{app.wait_s:.0f} s after its push"
        yield _row(scenario, app.second, mode, pulled, app.client)


def _pulls(plan: Plan, kind: str) -> list[tuple[str, float]]:
    """Return who pulls second versions, and how long after the push."""
    first, *others = plan.clients
    waits = sorted(plan.waits_s)
    pulls = [(first, wait) for wait in waits for _ in range(plan.rounds_of[kind])]
    if kind == plan.small:
        pulls += [(client, waits[-1]) for client in others]
    return pulls


def _row(
    scenario: str, version: Version, mode: str, pulled: Pulled, client: str
) -> Row:
    return row_of(scenario, version, ROUTES[mode], pulled, client=client, region=SYD)


async def second_starts(
    stage: Stage, apps: Sequence[Telling]
) -> AsyncIterator[tuple[Telling, Pulled]]:
    """Push each second version and start it in syd, its wait later.

    Those with a wait are pushed together. One without is pushed when nothing moves.
    """
    waiting = sorted((app for app in apps if app.wait_s), key=lambda app: app.wait_s)
    pushed_s = {}
    for app in waiting:
        await stage.push(app.second)
        pushed_s[app.second] = time.monotonic()
    if waiting:
        await asyncio.sleep(APART_SECONDS)
    at_once = [app for app in apps if not app.wait_s]
    for app in [*at_once, *waiting]:
        if app.wait_s:
            due_s = pushed_s[app.second] + app.wait_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        else:
            await stage.push(app.second)
        yield app, await stage.start(app.second, SYD, app.client)


async def brand_new(stage: Stage, kind: str) -> AsyncIterator[Row]:
    """Start an app nobody knew, announced before its push from another continent.

    The copy begins with the first layer, so the start waits for the rest of it at most.
    """
    await stage.operator.plan(DECIDES)
    stage.say(f"a brand-new app: {kind}, its start announced before its push")
    builder = FRA if FRA in stage.plan.regions else IAD
    client = stage.plan.clients[0]
    for _ in range(stage.plan.rounds_of[kind]):
        version, _ = stage.app(kind, "new")
        await stage.operator.announced(version.repository, version.tag, SYD)
        await stage.push(version, IAD, by=builder)
        pulled = await stage.start(version, SYD, client)
        scenario = f"brand-new, pushed from {builder}"
        yield _row(scenario, version, DECIDES, pulled, client)
