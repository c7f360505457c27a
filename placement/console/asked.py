"""What a page was asked: the parts of its path and its query, bounded and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode

from placement.core.errors import InputError

PATH_LENGTH_MAX: Final = 1024
QUERY_LENGTH_MAX: Final = 8192
FIELD_COUNT_MAX: Final = 64
FIELD_LENGTH_MAX: Final = 2048
LOWEST_PRINTED: Final = " "


@dataclass(frozen=True, slots=True)
class Asked:
    """One page, as it was asked for; the same one has the same answer at one state."""

    path: str
    parts: Mapping[str, str] = field(default_factory=dict)
    """The variable parts of the path, by the names that its route gives them."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Fields that are empty are as good as none, and are left out."""

    def text(self, name: str, default: str = "", *, length_max: int = 255) -> str:
        """Return a field's text without the blanks around it.

        Raises InputError where it is too long, or holds what nobody can see.
        """
        found = self.query.get(name, default)
        if len(found) > length_max:
            raise InputError(name, found, f"give at most {length_max} characters")
        if any(character < LOWEST_PRINTED for character in found):
            raise InputError(name, found, "leave out characters that are not printed")
        return found

    def choice(self, name: str, options: Sequence[str], default: str = "") -> str:
        """Return one of *options*, or the default; raises InputError for another."""
        found = self.query.get(name, default)
        if found != default and found not in options:
            raise InputError(name, found, f"give one of {', '.join(options)}")
        return found

    def number(self, name: str, least: int, most: int, default: int) -> int:
        """Return a whole number of *least* to *most*, or the default.

        Raises InputError for anything else.
        """
        text = self.query.get(name)
        if text is None:
            return default
        plain = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not plain or not least <= int(text) <= most:
            raise InputError(name, text, f"give a whole number, {least} to {most}")
        return int(text)

    def link(self, **changed: str) -> str:
        """Return the address of the same page with some fields changed; empty: none."""
        query = {**self.query, **changed}
        return address(self.path, query)

    @property
    def address(self) -> str:
        """Return the page's own address."""
        return address(self.path, self.query)


def address(path: str, query: Mapping[str, str]) -> str:
    """Return a path with the fields of *query* that are not empty."""
    told = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{told}" if told else path


def parse_query(raw: bytes) -> dict[str, str]:
    """Return the fields of a query that are not empty; raises InputError, naming one.

    A field that comes twice is an error: which one is meant?
    """
    if len(raw) > QUERY_LENGTH_MAX:
        remedy = f"give at most {QUERY_LENGTH_MAX} bytes in all"
        raise InputError("query", f"{len(raw)} bytes", remedy)
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=FIELD_COUNT_MAX,
        )
    except ValueError:
        remedy = f"give at most {FIELD_COUNT_MAX} fields, each NAME=VALUE in UTF-8"
        raise InputError("query", raw.decode("latin-1"), remedy) from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if len(value) > FIELD_LENGTH_MAX:
            remedy = f"give at most {FIELD_LENGTH_MAX} characters"
            raise InputError(name, value, remedy)
        if name in found:
            raise InputError(name, value, "give it once")
        if value.strip():
            found[name] = value.strip()
    return found
