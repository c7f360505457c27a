"""What a planner keeps to, whatever pays: the tables of a policy beside its numbers.

A region is checked for its syntax when a document is parsed, and looked up in the
catalogue when it is asked about: the log outlives any catalogue.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from dataclasses import field as made
from typing import Any, Final, TypeVar

from placement.core.deciding import checking
from placement.core.deciding.keep import Keep
from placement.core.deciding.limits import Limits
from placement.core.errors import PolicyInvalidError
from placement.core.oci import Repository
from placement.core.policy import GUARDRAIL_KEYS, document
from placement.core.residency import ANYWHERE, Residency, ResidencyRule
from placement.core.topology import Region, Topology

DECIDE: Final = "decide"
OBSERVE: Final = "observe"
MODES: Final = (DECIDE, OBSERVE)

BYTES_MAX: Final = 1e15
DAYS_MAX: Final = 3_650
MONTH_SECONDS: Final = 30 * 86_400

HOLDOUT_LIMITS: Final = (0.0, 1.0)
WHOLE_LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "link_bytes_per_hour": (0, BYTES_MAX),
    "organization_bytes_per_day": (0, BYTES_MAX),
    "region_copies_in_flight": (0, 10_000),
    "region_bytes_in_flight": (0, BYTES_MAX),
    "backfill_copies_in_flight": (0, 10_000),
    "min_copies": (1, 200),
    "previous_versions": (0, 1_000),
    "recent_versions": (0, 1_000),
}
"""The least and the greatest value of each whole number."""
NUMBER_LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "decision_seconds": (1, MONTH_SECONDS),
    "retry_seconds": (1, MONTH_SECONDS),
    "retry_seconds_max": (1, MONTH_SECONDS),
    "grace_days": (0, DAYS_MAX),
    "recent_days": (0, DAYS_MAX),
    "unused_days": (0, DAYS_MAX),
    "pull_days": (0, DAYS_MAX),
}
"""The least and the greatest value of each other number."""
STORAGE_LIMITS: Final = (1.0, BYTES_MAX)

_Key = TypeVar("_Key")
_RULE_KEYS: Final = ("repositories", "allow", "deny")


@dataclass(frozen=True, slots=True)
class Guardrails:
    """Everything of a policy that is not a number of its bets."""

    mode: str = DECIDE
    """``observe`` copies and removes nothing; it records what it would have done."""
    holdout_fraction: float = 0.01
    """Share of predicted copies that are withheld, to measure what copies save."""
    limits: Limits = made(default_factory=Limits)
    keep: Keep = made(default_factory=Keep)
    residency: Residency = ANYWHERE

    @property
    def observes(self) -> bool:
        """Whether nothing is copied or removed, and all of it is recorded."""
        return self.mode == OBSERVE

    @property
    def control_fraction(self) -> float:
        """Return what is withheld as control group: nothing while all is withheld."""
        return 0.0 if self.observes else self.holdout_fraction

    def permitted(
        self, topology: Topology, repository: Repository
    ) -> frozenset[Region]:
        """Return the storage regions that copies of *repository* may be in."""
        return self.residency.permitted(topology, repository)

    def unknown_names(self, topology: Topology) -> tuple[str, ...]:
        """Return what is named as a region and the catalogue does not know, sorted."""
        codes = {code for pair in self.limits.links for code in pair}
        codes |= set(self.keep.storage_bytes)
        unknown = {str(code) for code in codes if code not in topology.regions}
        return tuple(sorted(unknown.union(self.residency.unknown_names(topology))))


def parse_guardrails(text: str, field: str = "policy") -> Guardrails:
    """Return the guardrails of *text*, a TOML file; what it leaves out is as above.

    The numbers of the bets in it are not looked at. *field* is what an error names
    before the key. Raises PolicyInvalidError.
    """
    given = document(text, field)
    read: dict[str, Callable[[str, object], Any]] = {
        "mode": _mode,
        "holdout_fraction": _holdout,
        "limits": _limits,
        "keep": _keep,
        "residency": _residency,
    }
    return Guardrails(
        **{
            key: read[key](f"{field}.{key}", given[key])
            for key in GUARDRAIL_KEYS
            if key in given
        }
    )


def _mode(field: str, value: object) -> str:
    if value in MODES:
        return str(value)
    raise PolicyInvalidError(field, value, f"give one of {', '.join(MODES)}")


def _holdout(field: str, value: object) -> float:
    return checking.number(field, value, HOLDOUT_LIMITS)


def _limits(field: str, value: object) -> Limits:
    given = _checked(Limits, field, value)
    most = WHOLE_LIMITS["link_bytes_per_hour"]
    read: dict[str, Any] = _numbers(field, given)
    if "links" in given:
        where = f"{field}.links"
        read["links"] = _amounts(where, given["links"], checking.link, most)
    if "organizations" in given:
        where, name = f"{field}.organizations", checking.organization
        read["organizations"] = _amounts(where, given["organizations"], name, most)
    limits = Limits(**read)
    if limits.retry_seconds_max < limits.retry_seconds:
        remedy = f"give at least retry_seconds, {limits.retry_seconds:g}"
        where = f"{field}.retry_seconds_max"
        raise PolicyInvalidError(where, limits.retry_seconds_max, remedy)
    return limits


def _keep(field: str, value: object) -> Keep:
    given = _checked(Keep, field, value)
    read: dict[str, Any] = _numbers(field, given)
    if "storage_bytes" in given:
        where, most = f"{field}.storage_bytes", STORAGE_LIMITS
        stored = _amounts(where, given["storage_bytes"], checking.region, most)
        read["storage_bytes"] = stored
    return Keep(**read)


def _residency(field: str, value: object) -> Residency:
    if not isinstance(value, list):
        raise PolicyInvalidError(field, value, "give tables: [[residency]]")
    rules = checking.listed(field, value)
    return Residency(
        tuple(_rule(f"{field}[{place}]", rule) for place, rule in enumerate(rules))
    )


def _rule(field: str, value: object) -> ResidencyRule:
    rule = checking.known_keys(field, checking.table(field, value), _RULE_KEYS)
    if not rule.get("repositories"):
        remedy = "name the repositories that the rule is about, such as acme/*"
        where = f"{field}.repositories"
        raise PolicyInvalidError(where, rule.get("repositories", ""), remedy)
    if rule.get("allow") == []:
        remedy = "name the regions that are allowed, or leave it out"
        raise PolicyInvalidError(f"{field}.allow", "[]", remedy)
    if not rule.get("allow") and not rule.get("deny"):
        raise PolicyInvalidError(field, rule, "say what it allows, or what it denies")
    name = checking.region_name
    return ResidencyRule(
        _each(f"{field}.repositories", rule["repositories"], checking.pattern),
        _each(f"{field}.allow", rule.get("allow", []), name),
        _each(f"{field}.deny", rule.get("deny", []), name),
    )


def _each(
    field: str, value: object, parse: Callable[[str, object], str]
) -> tuple[str, ...]:
    found = checking.listed(field, value)
    return tuple(parse(f"{field}[{place}]", one) for place, one in enumerate(found))


def _checked(kind: type[Any], field: str, value: object) -> Mapping[str, object]:
    """Return the table *value* if all its keys are fields of *kind*."""
    keys = [key.name for key in fields(kind)]
    return checking.known_keys(field, checking.table(field, value), keys)


def _numbers(field: str, given: Mapping[str, object]) -> dict[str, float]:
    """Return every number of a table, by its key."""
    found: dict[str, float] = {}
    for key, value in given.items():
        if key in WHOLE_LIMITS:
            found[key] = checking.whole(f"{field}.{key}", value, WHOLE_LIMITS[key])
        elif key in NUMBER_LIMITS:
            found[key] = checking.number(f"{field}.{key}", value, NUMBER_LIMITS[key])
    return found


def _amounts(
    field: str,
    value: object,
    parse: Callable[[str, object], _Key],
    limits: tuple[float, float],
) -> dict[_Key, int]:
    """Return the bytes that a table gives to each of its keys."""
    return {
        parse(checking.within(field, key), key): checking.whole(
            checking.within(field, key), amount, limits
        )
        for key, amount in checking.table(field, value).items()
    }
