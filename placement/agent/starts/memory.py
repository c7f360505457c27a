"""What is remembered of the newest so many things: the oldest are forgotten."""

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Memory(Generic[Key, Value]):
    """At most *count_max* values by key, the one that was set longest ago first."""

    def __init__(self, count_max: int) -> None:
        """Begin empty."""
        self._count_max = count_max
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._values)

    def get(self, key: Key) -> Value | None:
        """Return what was set last for *key*; None when that is not remembered."""
        return self._values.get(key)

    def pop(self, key: Key) -> Value | None:
        """Forget *key* and return what it was."""
        return self._values.pop(key, None)

    def put(self, key: Key, value: Value) -> Value | None:
        """Remember *value*, and return the oldest, if there was no room for it."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) <= self._count_max:
            return None
        return self._values.popitem(last=False)[1]

    def values(self) -> list[Value]:
        """Return all that is remembered, the oldest first."""
        return list(self._values.values())
