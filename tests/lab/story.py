"""The story: pushed in one region, deployed in another, and then the next version.

An app's first version has run in the far region when its second is pushed. Told once
with planners that only observe, so that the router alone helps, and once with planners
that decide.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.lab.checks import PREDICTED
from tests.lab.clients import Clients, Place, Pulled
from tests.lab.images import Version, made
from tests.lab.network import quiet
from tests.lab.operator import DECIDES, OBSERVES, Operator
from tests.lab.places import FRA, IAD, SYD, Plan
from tests.lab.product import Product
from tests.lab.rows import Row, row_of

ROUTING: Final = "ours, routing only"
ROUTES: Final = {OBSERVES: ROUTING, DECIDES: PREDICTED}
FIRST_SEED: Final = 100_000


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

    async def push_once(self, version: Version, by: str = "") -> None:
        """Push to iad's registry what nobody pushes again: it need not stay here."""
        await self.push(version, IAD, by)
        await asyncio.to_thread(shutil.rmtree, version.layout)

    async def pull(self, version: Version, region: str, client: str) -> Pulled:
        """Pull through the region's router, as a start of a machine does."""
        place = Place(self.product.registry(IAD, region), self.product.router(region))
        image = version.by_digest
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


async def told(stage: Stage, mode: str) -> AsyncIterator[Row]:
    """Tell the story of every image; yield a row for each start in syd."""
    await stage.operator.plan(mode)
    stage.say(f"the story, {ROUTES[mode]}")
    apps = []
    for kind in stage.plan.images:
        for client, wait_s in _pulls(stage.plan, kind):
            app = Telling(*stage.app(kind, "story"), client, wait_s)
            await stage.push_once(app.first)
            await stage.operator.complete_in(app.first, [IAD])
            await quiet(stage.product.network, SYD)
            pulled = await stage.start(app.first, SYD, client)
            yield _row("first start", app.first, mode, pulled, client)
            await stage.operator.complete_in(app.first, [IAD, SYD])
            apps.append(app)
    stage.say("and the second versions")
    async for app, pulled in second_starts(stage, apps):
        scenario = f"{app.wait_s:.0f} s after its push"
        yield _row(scenario, app.second, mode, pulled, app.client)


def _pulls(plan: Plan, kind: str) -> list[tuple[str, float]]:
    """Return who pulls second versions, and how long after the push.

    Twice as often the small image that waited longest: a promise rests on its figure,
    and a tenth of a second strays by half.
    """
    first, waits = plan.clients[0], sorted(plan.waits_s)
    rounds = plan.story_rounds(kind)
    more = rounds if kind == plan.small and waits[-1] else 0
    pulls = [(first, wait) for wait in waits for _ in range(rounds)]
    pulls += [(first, waits[-1])] * more
    return [*pulls, *((client, waits[-1]) for client in plan.others(kind))]


def _row(
    scenario: str, version: Version, mode: str, pulled: Pulled, client: str
) -> Row:
    return row_of(scenario, version, ROUTES[mode], pulled, client=client, region=SYD)


async def second_starts(
    stage: Stage, apps: Sequence[Telling]
) -> AsyncIterator[tuple[Telling, Pulled]]:
    """Push each second version and start it in syd, its wait later.

    Those with a wait are pushed one after the other, at once. Those without are pushed
    when nothing moves, and last: nothing but the push is then under way when one starts
    that has waited long.
    """
    waiting = sorted((app for app in apps if app.wait_s), key=lambda app: app.wait_s)
    pushed_s = {}
    for app in waiting:
        await stage.push_once(app.second)
        pushed_s[app.second] = time.monotonic()
    at_once = [app for app in apps if not app.wait_s]
    for app in [*waiting, *at_once]:
        if app.wait_s:
            due_s = pushed_s[app.second] + app.wait_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        else:
            await quiet(stage.product.network, SYD)
            await stage.push_once(app.second)
        yield app, await stage.start(app.second, SYD, app.client)


async def brand_new(stage: Stage, kind: str) -> AsyncIterator[Row]:
    """Start an app nobody knew, announced before its push from another continent.

    The copy begins with the first layer, so the start waits for the rest of it at most.
    """
    await stage.operator.plan(DECIDES)
    stage.say(f"a brand-new app: {kind}, its start announced before its push")
    builder = FRA if FRA in stage.plan.regions else IAD
    client = stage.plan.clients[0]
    for _ in range(stage.plan.story_rounds(kind)):
        version, _ = stage.app(kind, "new")
        await stage.operator.announced(version.repository, version.tag, SYD)
        await stage.push_once(version, by=builder)
        pulled = await stage.start(version, SYD, client)
        scenario = f"brand-new, pushed from {builder}"
        yield _row(scenario, version, DECIDES, pulled, client)
