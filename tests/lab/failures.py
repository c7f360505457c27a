"""Pulls while something that helps is gone: each succeeds, and costs little more.

Each failure is begun right before the pull: nothing has noticed it yet. Its overhead is
what the pull took beyond an undisturbed one of an image that only those regions have
which the failure left: how far away they are is no fault of its own.
"""

import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.lab.checks import Check
from tests.lab.children import Child
from tests.lab.clients import PullError
from tests.lab.network import quiet
from tests.lab.operator import OBSERVES
from tests.lab.places import FRA, IAD, SYD
from tests.lab.product import Product
from tests.lab.rows import Row, row_of
from tests.lab.story import ROUTING, Stage

OVERHEAD_SECONDS_MAX: Final = 1.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that ends or hangs, and where the image is that is pulled then."""

    name: str
    begin: Callable[[Product], None]
    end: Callable[[Product], None]
    holders: tuple[str, ...] = (IAD,)
    left: tuple[str, ...] = (IAD,)
    """Those of the holders that can still be pulled from."""


def _restarted(child: Child) -> None:
    child.start()


FAILURES: Final = (
    Failure(
        "service killed",
        lambda product: product.service.kill(),
        lambda product: _restarted(product.service),
    ),
    Failure(
        "broker killed",
        lambda product: product.broker.kill(),
        lambda product: _restarted(product.broker),
    ),
    Failure(
        "best source killed",
        lambda product: product.registry_of[IAD].kill(),
        lambda product: _restarted(product.registry_of[IAD]),
        holders=(IAD, FRA),
        left=(FRA,),
    ),
    Failure(
        "best source hung",
        lambda product: product.registry_of[IAD].pause(),
        lambda product: product.registry_of[IAD].go_on(),
        holders=(IAD, FRA),
        left=(FRA,),
    ),
)


async def failures(stage: Stage, checks: list[Check]) -> AsyncIterator[Row]:
    """Yield a row for each pull, undisturbed and disturbed, and check the overhead."""
    await stage.operator.plan(OBSERVES)
    known: dict[tuple[tuple[str, ...], str], float] = {}
    for failure in FAILURES:
        if not set(failure.holders) <= set(stage.plan.regions):
            continue
        stage.say(f"pulls with the {failure.name}")
        for client in stage.plan.clients:
            way = (failure.left, client)
            if way not in known:
                name = f"undisturbed, held by {' and '.join(failure.left)}"
                rows = await _repeated(stage, name, failure.left, client, None)
                known[way] = _median(rows)
                for row in rows:
                    yield row
            try:
                rows = await _repeated(
                    stage, failure.name, failure.holders, client, failure
                )
            except PullError as error:
                promise = f"{client} pulls with the {failure.name}"
                checks.append(Check(promise, str(error), kept=False))
                continue
            for row in rows:
                yield row
            over = _median(rows) - known[way]
            promise = f"{client}, {failure.name}: within 1 s of undisturbed"
            seen = f"{over:+.2f} s of {known[way]:.2f} s"
            checks.append(Check(promise, seen, over <= OVERHEAD_SECONDS_MAX))


async def _repeated(
    stage: Stage,
    scenario: str,
    holders: tuple[str, ...],
    client: str,
    failure: Failure | None,
) -> list[Row]:
    """Return the rows of a pull as often as the client pulls."""
    plan = stage.plan
    once = client != plan.clients[0]
    rounds = 1 if once else plan.story_rounds(plan.small)
    return [
        await _pulled(stage, scenario, holders, client, failure) for _ in range(rounds)
    ]


def _median(rows: Sequence[Row]) -> float:
    return statistics.median(row.seconds for row in rows)


async def _pulled(
    stage: Stage,
    scenario: str,
    holders: tuple[str, ...],
    client: str,
    failure: Failure | None,
) -> Row:
    """Return the row of one pull of a new image that only *holders* have."""
    version, _ = stage.app(stage.plan.small, "failure")
    for region in holders:
        await stage.push(version, region)
    await stage.operator.complete_in(version, holders)
    await quiet(stage.product.network, SYD)
    if failure is not None:
        failure.begin(stage.product)
    try:
        pulled = await stage.pull(version, SYD, client)
    finally:
        if failure is not None:
            failure.end(stage.product)
            await stage.product.whole()
    return row_of(scenario, version, ROUTING, pulled, client=client, region=SYD)
