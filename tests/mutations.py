"""Documents that somebody damaged: what no translator may fall over."""

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e300,
    10**30,
    "",
    " ",
    "\x00",
    "\ud800",
    "x" * 5_000,
    "sha256:zz",
    "2023-02-29T00:00:00Z",
    [],
    [[]],
    {},
    {"": {}},
    ["text"],
    {"digest": 1},
)
DEPTH_MAX = 12


def damaged(document: Any, chance: random.Random) -> Any:  # noqa: ANN401 - any JSON
    """*document* with a few of its parts replaced, removed, doubled or moved."""
    copy = json.loads(json.dumps(document))
    for _ in range(chance.randint(1, 4)):
        copy = _struck(copy, chance, DEPTH_MAX)
    return copy


def damaged_many(documents: list[Any], seed: int, count: int) -> Iterator[Any]:
    """*count* damaged documents, each of one of *documents*."""
    chance = random.Random(seed)
    for _ in range(count):
        yield damaged(chance.choice(documents), chance)


def damaged_bodies(documents: list[Any], seed: int, count: int) -> Iterator[bytes]:
    """The same as bytes, every seventh cut short or with bytes overwritten."""
    chance = random.Random(seed)
    for number, document in enumerate(damaged_many(documents, seed, count)):
        body = bytearray(json.dumps(document).encode("utf-8", "surrogatepass"))
        if number % 7 == 0 and body:
            body = body[: chance.randrange(len(body))]
        if number % 7 == 1 and body:
            body[chance.randrange(len(body))] = chance.randrange(256)
        yield bytes(body)


def _struck(part: Any, chance: random.Random, depth: int) -> Any:  # noqa: ANN401
    keys: list[Any] = []
    if isinstance(part, dict):
        keys = list(part)
    elif isinstance(part, list):
        keys = list(range(len(part)))
    if not keys or depth == 0 or chance.random() < 0.1:
        return deepcopy(chance.choice(ODD))
    key = chance.choice(keys)
    strike: Callable[[], None] = chance.choice(
        [
            lambda: part.__setitem__(key, deepcopy(chance.choice(ODD))),
            lambda: part.__delitem__(key),
            lambda: part.__setitem__(key, [part[key], part[key]]),
            lambda: part.__setitem__(key, {"data": part[key]}),
            lambda: part.__setitem__(key, str(part[key])),
            lambda: part.__setitem__(key, _struck(part[key], chance, depth - 1)),
            lambda: part.__setitem__(key, _struck(part[key], chance, depth - 1)),
            lambda: part.__setitem__(key, _struck(part[key], chance, depth - 1)),
        ]
    )
    strike()
    return part
