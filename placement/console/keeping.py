"""What takes long to make is kept for a while, so that looking costs little."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar, cast

LEAST_SECONDS: Final = 1.0
EASE: Final = 50
"""It is made anew after so many times as long as it took, however much has moved."""
MOST_SECONDS: Final = 60.0
"""And after so long even if nothing has."""

Made = TypeVar("Made")


@dataclass(slots=True)
class _Kept(Generic[Made]):
    value: Made
    of: object
    at_s: float
    took_s: float


@dataclass(slots=True)
class Keeper:
    """Values by their names, each made by one asker while the others wait."""

    _found: dict[str, _Kept[object]] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def get(
        self, name: str, of: object, make: Callable[[], Awaitable[Made]]
    ) -> Made:
        """Return what *make* gives, or gave a moment ago; *of* tells what it is of."""
        clock = asyncio.get_running_loop().time
        async with self._locks.setdefault(name, asyncio.Lock()):
            kept = self._found.get(name)
            if kept is not None:
                age_s = clock() - kept.at_s
                least_s = max(LEAST_SECONDS, EASE * kept.took_s)
                if age_s < (MOST_SECONDS if kept.of == of else least_s):
                    return cast("Made", kept.value)
            began_s = clock()
            value = await make()
            ended_s = clock()
            self._found[name] = _Kept(value, of, ended_s, ended_s - began_s)
            return value
