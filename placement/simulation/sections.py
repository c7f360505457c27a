"""A table of a TOML file, read key by key; what nobody read is not known."""

import math
from collections.abc import Mapping, Sequence

from placement.core.errors import InputError, NumberInvalidError


class Section:
    """One table; each method raises InputError, naming the key from the outermost."""

    def __init__(self, name: str, tree: Mapping[str, object]) -> None:
        """Keep the table *tree*, called *name*; the file's own is called nothing."""
        self._name = name
        self._tree = tree
        self._read: set[str] = set()

    def field(self, key: str) -> str:
        """Return how messages name *key*."""
        return f"{self._name}.{key}" if self._name else key

    def names(self) -> tuple[str, ...]:
        """Return every key, in the file's order."""
        return tuple(self._tree)

    def section(self, key: str) -> "Section":
        """Return the table *key*; an empty one where the file has none."""
        value = self._value(key, {})
        if not isinstance(value, Mapping):
            raise InputError(self.field(key), value, f"give a table: [{key}]")
        return Section(self.field(key), value)

    def number(
        self, key: str, least: float, most: float, default: float | None = None
    ) -> float:
        """Return the number *key*, *least* to *most*; without a default it must be."""
        value = self._value(key, default)
        wanted = f"give a number, {least:g} to {most:g}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise NumberInvalidError(self.field(key), value, wanted)
        if not math.isfinite(value) or not least <= value <= most:
            raise NumberInvalidError(self.field(key), value, wanted)
        return float(value)

    def text(self, key: str, default: str | None = None) -> str:
        """Return the text *key*, not empty; it must be there if there is no default."""
        value = self._value(key, default)
        if not isinstance(value, str) or not value:
            raise InputError(self.field(key), value, "give a text in quotes")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the list of texts *key*, empty where there is none."""
        value = self._value(key, [])
        if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
            raise InputError(self.field(key), value, "give a list of texts in quotes")
        return tuple(value)

    def choice(self, key: str, choices: Sequence[str]) -> str:
        """Return the text *key*, one of *choices*; the first where there is none."""
        value = self.text(key, choices[0])
        if value not in choices:
            raise InputError(self.field(key), value, f"give {' or '.join(choices)}")
        return value

    def finish(self) -> None:
        """Raise InputError if the table has a key that nobody read."""
        for key in self._tree:
            if key not in self._read:
                known = ", ".join(sorted(self._read)) or "nothing"
                raise InputError(self.field(key), key, f"no such key; give {known}")

    def _value(self, key: str, default: object) -> object:
        self._read.add(key)
        value = self._tree.get(key, default)
        if value is None:
            raise InputError(self.field(key), "", "give this key; it has no default")
        return value
