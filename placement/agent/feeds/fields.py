"""Reading a sender's JSON field by field, so that an error names the field at fault.

Unknown fields are nobody's business. A field that is null or empty is absent: some
senders leave an empty field out, others write ``""`` (Distribution 2 and 3). The limits
are those of the wire: what was translated, a reader of the log never sets aside.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from placement.core.errors import (
    InputError,
    LimitInvalidError,
    NumberInvalidError,
    TextInvalidError,
)
from placement.core.event import Identifier, Name
from placement.wire.fields import (
    COUNT_MAX,
    REPEATED_COUNT_MAX,
    parse_identifier,
    parse_name,
)


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object and where it stands: *path* begins the name of each field."""

    values: Mapping[str, object]
    path: str = ""

    def where(self, key: str) -> str:
        """Return the whole name of the field *key*."""
        return f"{self.path}.{key}" if self.path else key

    def text(self, key: str) -> str:
        """Return a text, empty when absent; raises TextInvalidError."""
        value = self.values.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise TextInvalidError(self.where(key), shown(value), "give a text")
        return value

    def name(self, key: str) -> Name:
        """Return a printable text, empty when absent; raises TextInvalidError."""
        return Name(parse_name(self.text(key), self.where(key)))

    def identifier(self, key: str) -> Identifier:
        """Return an identifier, which must be there; raises TextInvalidError."""
        return parse_identifier(self.text(key), self.where(key))

    def count(self, key: str) -> int:
        """Return a whole number >= 0, 0 when absent; raises NumberInvalidError."""
        value = self.values.get(key)
        if value is None:
            return 0
        if type(value) is int and 0 <= value <= COUNT_MAX:  # a bool is an int, too
            return value
        remedy = f"give a whole number from 0 to {COUNT_MAX}"
        raise NumberInvalidError(self.where(key), shown(value), remedy)

    def inner(self, key: str) -> "Fields":
        """Return the object in a field, empty when absent; raises InputError."""
        value = self.values.get(key)
        return fields_of({} if value is None else value, self.where(key))

    def items(self, key: str) -> list["Fields"]:
        """Return the objects of a list, none when absent; raises InputError."""
        value = self.values.get(key)
        if value is None:
            return []
        where = self.where(key)
        if not isinstance(value, list):
            raise InputError(where, shown(value), "give a list of objects")
        if len(value) > REPEATED_COUNT_MAX:
            remedy = f"give at most {REPEATED_COUNT_MAX}"
            raise LimitInvalidError(where, len(value), remedy)
        return [fields_of(item, f"{where}[{at}]") for at, item in enumerate(value)]


def fields_of(value: object, path: str = "") -> Fields:
    """Return a decoded JSON *value* as an object; raises InputError, naming *path*."""
    if not isinstance(value, Mapping):
        raise InputError(path, shown(value), "give a JSON object")
    return Fields(value, path)


def shown(value: object) -> object:
    """Return *value*, or what it is if it holds others: those may be deep and large."""
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list) else value
