"""An event as a row of the table of events: each field of its fact in its column."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import IntEnum
from functools import partial
from operator import attrgetter
from typing import Any, Final, get_args

from placement.core.event import (
    ContentReplicated,
    Event,
    EventQuarantined,
    Fact,
    Factor,
    InventoryAbsence,
    InventoryContent,
    MachineGroup,
    Operation,
    OwnershipDeclared,
    PolicyChanged,
    ReplicationSubject,
)
from placement.core.oci import Descriptor, Platform
from placement.wire.events import fact_name

Row = dict[str, Any]
Read = Callable[[Any], Any]

MICROSECOND_NS: Final = 1_000

_RENAMED: Final[Mapping[tuple[type, str], str]] = {
    (EventQuarantined, "sequence"): "quarantined_sequence",
    (EventQuarantined, "batch_index"): "quarantined_index",
    (OwnershipDeclared, "organization"): "declared_organization",
    (OwnershipDeclared, "app"): "declared_app",
    (PolicyChanged, "name"): "policy",
    (PolicyChanged, "content"): "document",
}
"""Fields that other facts, or the event itself, use another word's column for."""


def micros(time_ns: int | None) -> int | None:
    """Return a time as tables hold it; None for none, which 0 is as well."""
    return time_ns // MICROSECOND_NS if time_ns else None


def word(value: IntEnum) -> str | None:
    """Return an enum's value as tables hold it; None where it is not known."""
    return value.name.lower() if value else None


def fact_row(fact: Fact) -> Row:
    """Return the columns of a fact; what it does not say is left out."""
    row: Row = {}
    for column, get, shown in _READERS[type(fact)]:
        value = get(fact)
        if value is None or value == "":
            continue
        found = value if shown is None else shown(value)
        if found is not None:
            row[column] = found
    return row


def fact_of(event: Event) -> str:
    """Return the word for an event's fact."""
    return _WORDS[type(event.fact)]


def descriptor_row(content: Descriptor) -> Row:
    """Return a descriptor as a value of a list."""
    return {
        "media_type": content.media_type or None,
        "digest": content.digest,
        "size_bytes": content.size_bytes,
        "platform": None
        if content.platform is None
        else platform_text(content.platform),
    }


def platform_text(platform: Platform) -> str:
    """Return a platform in the usual way: ``linux/arm64/v8``."""
    parts = (platform.os, platform.architecture, platform.variant)
    return "/".join(part for part in parts if part)


def _copied_row(content: Descriptor) -> Row:
    own: Row = {"repository": None, "references": [], "tags": []}
    return descriptor_row(content) | own


def _inventory_row(entry: InventoryContent) -> Row:
    return descriptor_row(entry.content) | {
        "repository": entry.repository,
        "references": [each.digest for each in entry.references],
        "tags": list(entry.tags),
    }


def _absence_row(absence: InventoryAbsence) -> Row:
    return {"digest": absence.digest, "repository": absence.repository}


def _group_row(group: MachineGroup) -> Row:
    return {
        "repository": group.repository,
        "digest": group.digest,
        "machine_ids": list(group.machine_ids),
    }


def _factor_row(factor: Factor) -> Row:
    return {"name": factor.name, "value": factor.value}


_LISTED: Final[Mapping[str, Read]] = {
    "references": descriptor_row,
    "contents": _inventory_row,
    "absences": _absence_row,
    "groups": _group_row,
    "factors": _factor_row,
}
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "content": ("digest", "media_type", "size_bytes"),
    "subject": tuple(each.name for each in fields(ReplicationSubject)),
    "operation": tuple(each.name for each in fields(Operation)),
}
"""Fields that are several columns: those of what they hold, each in its own."""


def _rows(show: Read, values: tuple[Any, ...]) -> list[Any] | None:
    return [show(value) for value in values] or None


def _texts(values: tuple[str, ...]) -> list[str] | None:
    return list(values) or None


def _reader(fact: type, name: str, path: str) -> tuple[str, Read, Read | None]:
    """Return the column of one field, what gets it, and how it is shown."""
    column = _RENAMED.get((fact, name), name)
    show: Read | None = None
    if column.endswith("_time_ns"):
        column, show = column.removesuffix("_ns"), micros
    elif name == "contents" and fact is ContentReplicated:
        show = partial(_rows, _copied_row)
    elif name in _LISTED:
        show = partial(_rows, _LISTED[name])
    elif name == "platform":
        show = platform_text
    elif name in _TEXTS:
        show = _texts
    elif name in _ENUMS:
        show = word
    return column, attrgetter(path), show


_TEXTS: Final = frozenset({"regions", "target_regions", "start_regions", "digests"})
_ENUMS: Final = frozenset(
    {"client_kind", "cache", "cause", "outcome", "trigger", "state"}
)


def _readers(fact: type) -> tuple[tuple[str, Read, Read | None], ...]:
    found = []
    for field in fields(fact):
        whole = field.name == "content" and fact is PolicyChanged
        parts = () if whole else _PARTS.get(field.name, ())
        if not parts:
            found.append(_reader(fact, field.name, field.name))
        for part in parts:
            found.append(_reader(fact, part, f"{field.name}.{part}"))
        if field.name == "content" and not whole:
            found.append(("platform", attrgetter("content.platform"), _platform))
    return tuple(found)


def _platform(platform: Platform | None) -> str | None:
    return None if platform is None else platform_text(platform)


_READERS: Final = {fact: _readers(fact) for fact in get_args(Fact)}
_WORDS: Final = {fact: fact_name(fact) for fact in get_args(Fact)}
COLUMNS: Final = {
    fact: tuple(column for column, _, _ in readers)
    for fact, readers in _READERS.items()
}
"""By fact, the columns that its fields are in."""
