"""The lab itself, in namespaces of its own or without: everything is started from here.

    python -m tests.lab.inside ORDER    (tests.lab starts it, and watches over it)

Its stdin is a pipe that nobody writes to: when it ends, the lab was left, and ends.
"""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from placement.client import PlacementClient
from tests.lab import places
from tests.lab.baselines import Baselines
from tests.lab.checks import Check, ratios, table_of_checks
from tests.lab.children import Children, LabError
from tests.lab.clients import Clients, has
from tests.lab.crowd import crowd
from tests.lab.demand import own_work_is_no_demand
from tests.lab.failures import failures
from tests.lab.network import Network, ProxyNetwork, TunNetwork
from tests.lab.operator import CALL_SECONDS, DECIDES, OBSERVES, Operator
from tests.lab.places import Plan
from tests.lab.product import Product
from tests.lab.registries import Registries, Users
from tests.lab.rows import Row, table_of, write_json
from tests.lab.story import Stage, brand_new, told

WIDTH_WITHOUT_TERMINAL: Final = 150


@dataclass(frozen=True)
class Order:
    """What the outer process asks for."""

    plan: str
    tun: bool
    folder: str
    json_descriptor: int
    """Where to write every row; below 0: nowhere."""
    parts: tuple[str, ...] = ("baselines", "ours")
    rounds: int = 1
    """How many times as often as planned each figure is taken."""
    root: bool = True
    """Whether we are, and not only in a namespace of our own."""
    logs: str = ""
    """Where to keep the programs' logs; empty: nowhere."""

    @property
    def planned(self) -> Plan:
        """What is to be run, with the clients that can be."""
        plan = places.QUICK if self.plan == "quick" else places.FULL
        usable = [client for client in plan.clients if self.lacks(client) is None]
        rounds_of = {
            image: count * self.rounds for image, count in plan.rounds_of.items()
        }
        return replace(plan, clients=usable, rounds_of=rounds_of)

    def lacks(self, client: str) -> str | None:
        """Return why a client cannot be used; None: it can."""
        if not has(client):
            return "not installed"
        if client != "skopeo" and not self.root:
            return "it needs root"
        return None


@dataclass
class Lab:
    """Everything that runs, and the rows so far."""

    plan: Plan
    screen: Console
    network: Network
    children: Children
    folder: Path
    rows: list[Row] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    users: Users = field(default_factory=Users)
    began: float = field(default_factory=time.monotonic)

    def say(self, what: str) -> None:
        """Tell what happens now."""
        self.screen.print(f"{time.monotonic() - self.began:6.1f} s  {what}")

    async def baselines(self) -> None:
        """Measure what there is without us."""
        folder = self.folder / "baselines"
        (folder / "logs").mkdir(parents=True)
        children = Children(folder / "logs")
        registries = Registries(self.network, children, folder, self.users)
        clients = Clients(self.network, children, folder, self.users)
        parts = Baselines(self.network, registries, clients, folder)
        try:
            async for row in parts.run(self.plan, self.say):
                self.rows.append(row)
        finally:
            children.stop()

    async def ours(self) -> None:
        """Measure what there is with us."""
        folder = self.folder / "ours"
        folder.mkdir()
        registries = Registries(self.network, self.children, folder, self.users)
        clients = Clients(self.network, self.children, folder, self.users)
        product = Product(self.network, registries, self.children, folder / "program")
        await product.start()
        async with PlacementClient(product.target, timeout_s=CALL_SECONDS) as client:
            operator = Operator(client)
            await product.whole()
            stage = Stage(self.plan, product, operator, clients, folder, self.say)
            for scene in scenes(stage, self.checks):
                try:
                    async for row in scene:
                        self.rows.append(row)
                except LabError as error:  # the next scene may do
                    check = Check("every pull succeeds", str(error), kept=False)
                    self.checks.append(check)
            self.checks.append(await own_work_is_no_demand(stage))


def scenes(stage: Stage, checks: list[Check]) -> list[AsyncIterator[Row]]:
    """Return everything that is planned, to be played in this order."""
    plan = stage.plan
    played = [told(stage, OBSERVES), told(stage, DECIDES)]
    played += [brand_new(stage, plan.images[-1])]
    played += [crowd(stage, plan.small, plan.clients[0], checks)]
    if plan.complete:
        played += [failures(stage, checks)]
    return played


@contextlib.asynccontextmanager
async def lab(order: Order) -> AsyncIterator[Lab]:
    """Give a lab whose regions are joined; end all that it started afterwards."""
    terminal = sys.stdout.isatty()
    screen = Console(width=None if terminal else WIDTH_WITHOUT_TERMINAL)
    folder = Path(order.folder)
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    children = Children(logs)
    joined = TunNetwork if order.tun else ProxyNetwork
    try:
        plan = order.planned
        network = await joined.started(plan.regions, children, folder)
        yield Lab(plan, screen, network, children, folder)
    finally:
        children.stop()
        if order.logs:
            shutil.copytree(logs, order.logs, dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


async def run(order: Order) -> int:
    """Run everything that was ordered; returns the exit code."""
    async with lab(order) as running:
        for client in ("podman", "containerd"):
            lacking = order.lacks(client)
            if lacking is not None and order.plan == "full":
                running.say(f"without {client}: {lacking}")
        try:
            if "baselines" in order.parts:
                await running.baselines()
            if "ours" in order.parts:
                await running.ours()
        except LabError as error:
            running.screen.print(f"The lab failed: {error}", style="red")
            return 1
        finally:
            running.checks += ratios(running.rows)
            running.screen.print(table_of("Pulls in syd", running.rows))
            if running.checks:
                running.screen.print(table_of_checks(running.checks))
            if order.json_descriptor >= 0:
                with os.fdopen(order.json_descriptor, "w") as file:
                    write_json(running.rows, file)
    return 0 if all(check.kept for check in running.checks) else 1


async def until_left(order: Order) -> int:
    """Run, unless stdin ends before; then end everything."""
    loop = asyncio.get_running_loop()
    left = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), left.set)
    running = asyncio.create_task(run(order))
    leaving = asyncio.create_task(left.wait())
    await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
    loop.remove_reader(sys.stdin.fileno())
    leaving.cancel()
    if not running.done():
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        return 130
    return await running


def main() -> None:
    """Read the order and carry it out."""
    order = Order(**json.loads(sys.argv[1]))
    sys.exit(asyncio.run(until_left(order)))


if __name__ == "__main__":
    main()
