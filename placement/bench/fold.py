"""Events folded a second, in batches of 500, over states of many sizes.

Everything was encoded and decoded before, by the product's own code: what is timed is
the fold alone. The ceiling is what one writes first: a dict of objects.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from placement.bench.busy import BusyLog
from placement.bench.made_state import StateMaker
from placement.bench.measured import Measured
from placement.bench.rounds import QUICK_ROUNDS, Samples, own_core, pinned
from placement.bench.settings import Settings
from placement.core.block import Block, Frame
from placement.core.fold_block import fold_block
from placement.core.state import State
from placement.core.tables.table import Row
from placement.ports import Message
from placement.runtime.reader import compiled
from placement.wire.columns import decode_block

FOLD: Final = "fold"
SIZES: Final = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000, "10m": 10_000_000}
QUICK_SIZES: Final = {"10k": 10_000}
ROUNDS: Final = 5
BATCHES: Final = 30
"""Folded in each round, of each kind."""
QUICK_BATCHES: Final = 2
LOOK_UPS: Final = 1_000
RATE: Final = "events/s"

Batches = Callable[[int], list[Block]]


def measure(settings: Settings) -> list[Measured]:
    """Measure the fold of uses, and of all kinds of facts, by size of the state."""
    found: list[Measured] = []
    sizes = settings.pick(SIZES, QUICK_SIZES)
    with pinned([own_core()]):
        for name, digests in sizes.items():
            found += _of_size(settings, name, digests)
    return found


def _of_size(settings: Settings, name: str, digests: int) -> list[Measured]:
    state = StateMaker(settings.topology).made(digests)
    busy, read = BusyLog(state), compiled()
    gc.collect()
    gc.freeze()

    def decoded(messages: Sequence[Message]) -> list[Block]:
        return [decode_block([message], None, read) for message in messages]

    def without_ids(count: int) -> list[Block]:
        blocks = decoded(busy.uses(count))
        return [replace(b, event_ids=[""] * len(b.event_ids)) for b in blocks]

    kinds: dict[str, Batches] = {
        "uses": without_ids,
        "uses_and_ids": lambda count: decoded(busy.uses(count)),
        "mix_and_ids": lambda count: decoded(busy.mix(count)),
    }
    batches = settings.pick(BATCHES, QUICK_BATCHES)
    rates: dict[str, list[float]] = {kind: [] for kind in (*kinds, "dict", "found")}
    objects = Objects()
    for number in range(1 + settings.pick(ROUNDS, QUICK_ROUNDS)):
        for kind, blocks in kinds.items():
            rate = _rate(state, blocks(batches))
            if number:
                rates[kind].append(rate)
        if number:
            rates["dict"].append(objects.rate(without_ids(batches)))
            rates["found"].append(_found_rate(state))
    samples = {kind: Samples(tuple(values)) for kind, values in rates.items()}
    ceiling = samples.pop("dict")
    found = samples.pop("found").measured(FOLD, f"look_ups_{name}", "digests/s")
    told = [
        one.measured(FOLD, f"{kind}_{name}", RATE, ceiling)
        for kind, one in samples.items()
    ]
    gc.unfreeze()
    return [*told, found]


def _rate(state: State, blocks: Sequence[Block]) -> float:
    """Return how many events of *blocks* are folded a second."""
    began = time.perf_counter()
    for block in blocks:
        fold_block(state, block, _untold)
    return sum(len(b.items) for b in blocks) / (time.perf_counter() - began)


def _untold(_frame: Frame) -> None:
    """Tell nobody where folding is."""


def _found_rate(state: State) -> float:
    """Return how many digests are found a second, a thousand at a time."""
    rows = np.random.default_rng(1).integers(0, len(state.digests), (50, LOOK_UPS))
    keys = [
        np.frombuffer(b"".join(state.digests.key(Row(r)) for r in of), np.uint8)
        for of in rows.tolist()
    ]
    packed = [each.reshape(LOOK_UPS, -1) for each in keys]
    began = time.perf_counter()
    for each in packed:
        state.digests.find_many(each)
    return rows.size / (time.perf_counter() - began)


@dataclass(slots=True)
class Used:
    """What one writes first of a digest's uses."""

    pulls: dict[int, int] = field(default_factory=dict)
    last_ns: int = 0


class Objects:
    """Uses in a dict of objects: no repositories, transfers, apps, order or ids."""

    def __init__(self) -> None:
        """Begin empty."""
        self._used: dict[bytes, Used] = {}

    def rate(self, blocks: Sequence[Block]) -> float:
        """Return how many pulls of *blocks* are counted a second."""
        used = self._used
        rows = [
            list(
                zip(
                    map(bytes, block.pulls.digests),
                    block.pulls.client.tolist(),
                    block.pulls.time_ns.tolist(),
                    strict=True,
                )
            )
            for block in blocks
        ]
        began = time.perf_counter()
        for row in rows:
            for digest, client, time_ns in row:
                one = used.get(digest)
                if one is None:
                    one = used[digest] = Used()
                one.pulls[client] = one.pulls.get(client, 0) + 1
                one.last_ns = max(one.last_ns, time_ns)
        return sum(map(len, rows)) / (time.perf_counter() - began)
