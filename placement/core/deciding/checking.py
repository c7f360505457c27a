"""Values of a policy document, checked one at a time; what is wrong is named.

Each function raises PolicyInvalidError with the field that it was given.
"""

from collections.abc import Collection, Mapping
from typing import Final, TypeGuard

from placement.core.candidates import ANY
from placement.core.errors import InputError, PolicyInvalidError
from placement.core.oci import parse_repository
from placement.core.policy import NAME_LENGTH_MAX
from placement.core.residency import ALL, WITHIN
from placement.core.topology import Region, parse_region

ENTRIES_MAX: Final = 1_024
"""Of one table or list."""
ORGANIZATION_LENGTH_MAX: Final = 255

Limits = tuple[float, float]


def table(field: str, value: object) -> Mapping[str, object]:
    """Return *value* as a table of at most ENTRIES_MAX entries."""
    if not isinstance(value, Mapping):
        name = field.rpartition(".")[2]
        raise PolicyInvalidError(field, value, f"give a table: [{name}]")
    if len(value) > ENTRIES_MAX:
        remedy = f"give at most {ENTRIES_MAX} entries"
        raise PolicyInvalidError(field, len(value), remedy)
    return value


def listed(field: str, value: object) -> list[object]:
    """Return *value* as a list of at most ENTRIES_MAX entries."""
    if not isinstance(value, list):
        raise PolicyInvalidError(field, value, "give a list")
    if len(value) > ENTRIES_MAX:
        remedy = f"give at most {ENTRIES_MAX} entries"
        raise PolicyInvalidError(field, len(value), remedy)
    return value


def known_keys(
    field: str, given: Mapping[str, object], known: Collection[str]
) -> Mapping[str, object]:
    """Return *given* if it has no other keys than *known*."""
    for key in given:
        if key not in known:
            remedy = f"leave it out, or give one of {', '.join(sorted(known))}"
            raise PolicyInvalidError(within(field, key), given[key], remedy)
    return given


def number(field: str, value: object, limits: Limits) -> float:
    """Return *value* as a number within *limits*."""
    if _is_number(value) and limits[0] <= value <= limits[1]:
        return float(value)
    remedy = f"give a number from {limits[0]:g} to {limits[1]:g}"
    raise PolicyInvalidError(field, value, remedy)


def whole(field: str, value: object, limits: Limits) -> int:
    """Return *value* as a whole number within *limits*; ``5e9`` is one too."""
    if _is_number(value) and limits[0] <= value <= limits[1] and value == int(value):
        return int(value)
    remedy = f"give a whole number from {limits[0]:g} to {limits[1]:g}"
    raise PolicyInvalidError(field, value, remedy)


def region(field: str, value: object) -> Region:
    """Return *value* as a region code; only its syntax is checked."""
    try:
        return parse_region(_text(field, value), field)
    except InputError as error:
        raise PolicyInvalidError(field, value, error.remedy) from None


def region_name(field: str, value: object) -> str:
    """Return *value* as a code, area or alias; only its syntax is checked."""
    if value == ANY:
        remedy = f"{ANY} is no region's name here: leave the rule's allow out instead"
        raise PolicyInvalidError(field, value, remedy)
    return region(field, value)


def link(field: str, value: object) -> tuple[Region, Region]:
    """Return *value*, such as ``iad:syd``, as source and target."""
    source, colon, target = _text(field, value).partition(":")
    if not colon or source == target:
        remedy = "name a source and another region as target, such as iad:syd"
        raise PolicyInvalidError(field, value, remedy)
    return region(field, source), region(field, target)


def organization(field: str, value: object) -> str:
    """Return *value* as an organization's name."""
    name = _text(field, value)
    if not name.isprintable() or not 0 < len(name) <= ORGANIZATION_LENGTH_MAX:
        remedy = f"give 1 to {ORGANIZATION_LENGTH_MAX} printable characters"
        raise PolicyInvalidError(field, value, remedy)
    return name


def pattern(field: str, value: object) -> str:
    """Return *value* as a pattern of repositories."""
    text = _text(field, value)
    name = text.removesuffix(WITHIN)
    try:
        return text if text == ALL else parse_repository(name, field) and text
    except InputError:
        remedy = "give a repository such as acme/web, acme/* for all within, or *"
        raise PolicyInvalidError(field, value, remedy) from None


def within(field: str, key: str) -> str:
    """Return the field of *key* in the table *field*, at a length for people."""
    return f"{field}.{key[:NAME_LENGTH_MAX]}"


def _text(field: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise PolicyInvalidError(field, value, "give a text in quotes")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
