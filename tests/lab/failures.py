"""Pulls while something that helps is gone: each succeeds, and costs little more.

Each failure is begun right before the pull: nothing has noticed it yet. Its overhead is
what the pull took beyond an undisturbed one over the same way.
"""

import statistics
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from tests.lab.checks import Check
from tests.lab.children import Child
from tests.lab.clients import PullError
from tests.lab.operator import OBSERVES
from tests.lab.places import FRA, IAD, SYD
from tests.lab.product import Product
from tests.lab.rows import Row, row_of
from tests.lab.story import ROUTING, Stage

OVERHEAD_SECONDS_MAX: Final = 1.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that ends or hangs; the way that is left, by where the image is."""

    name: str
    begin: Callable[[Product], None]
    end: Callable[[Product], None]
    holders: tuple[str, ...] = (IAD,)
    left: tuple[str, ...] = (IAD,)


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
    rounds = stage.plan.rounds_of[stage.plan.small] - 1 or 1
    undisturbed: dict[tuple[tuple[str, ...], str], float] = {}
    for failure in FAILURES:
        if not set(failure.holders) <= set(stage.plan.regions):
            continue
        stage.say(f"pulls with the {failure.name}")
        for client in stage.plan.clients:
            way = (failure.left, client)
            if way not in undisturbed:
                name = f"undisturbed, from {', '.join(failure.left)}"
                rows = [
                    await _pulled(stage, name, failure.left, client, None)
                    for _ in range(rounds)
                ]
                undisturbed[way] = statistics.median(row.seconds for row in rows)
                for row in rows:
                    yield row
            try:
                rows = [
                    await _pulled(stage, failure.name, failure.holders, client, failure)
                    for _ in range(rounds)
                ]
            except PullError as error:
                promise = f"{client} pulls with the {failure.name}"
                checks.append(Check(promise, str(error), kept=False))
                continue
            for row in rows:
                yield row
            seconds = statistics.median(row.seconds for row in rows)
            over = seconds - undisturbed[way]
            promise = f"{client}, {failure.name}: within 1 s of undisturbed"
            seen = f"{over:+.2f} s of {undisturbed[way]:.2f} s"
            checks.append(Check(promise, seen, over <= OVERHEAD_SECONDS_MAX))


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
    if failure is not None:
        failure.begin(stage.product)
    try:
        pulled = await stage.pull(version, SYD, client)
    finally:
        if failure is not None:
            failure.end(stage.product)
            await stage.product.whole()
    return row_of(scenario, version, ROUTING, pulled, client=client, region=SYD)
