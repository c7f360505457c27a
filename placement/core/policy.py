"""What an operator may choose: how outcomes are weighed, and which bets are worth it.

A policy is a TOML file of the keys below; what it leaves out is as in the default. It
never changes what is folded, so another policy needs no replay. The same file may hold
what a planner keeps to, whatever pays: ``core/deciding/guardrails.py`` reads that.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from placement.core.errors import PolicyInvalidError, PolicyUnknownError

BREAK_EVEN: Final = "break_even"
SET_60D: Final = "set_60d"
RULES: Final = (BREAK_EVEN, SET_60D)
NAME_LENGTH_MAX: Final = 64
GUARDRAIL_KEYS: Final = ("mode", "holdout_fraction", "limits", "keep", "residency")
"""What else a policy's file may hold; only whoever decides about copies reads it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy; its numbers with their units, limits and meaning.

    The weights say how many outcomes of its own a key must have before they count as
    much as what is known one step more generally.
    """

    name: str = "default"
    rule: str = BREAK_EVEN
    """``break_even`` bets; ``set_60d`` copies to where the app ran in 60 days."""
    kappa_bytes_per_second: float = 130e6
    """Bytes that may be wasted to save one machine one second of its start."""
    starts_per_burst: float = 1.0
    """Machines presumed to wait when a version first starts in a region."""
    burst_weight: float = 3.0
    """Of what is presumed of them, beside the app's own bursts there."""
    local_start_seconds: float = 0.33
    """What a start waits that finds its image in its region."""
    store_bytes_per_copy: float = 0.0
    """What keeping a copy costs, in bytes that might as well have been moved."""
    patience: float = 0.02
    """Share of a bet's gain that may be given up to wait for a surer sign."""
    app_decay: float = 0.93
    """What an outcome of an app counts beside the next newer one."""
    pooled_decay: float = 0.995
    """The same for outcomes of an organization and of all of them."""
    pool_weight: float = 12.0
    """Of what is presumed of a class, beside outcomes of all organizations."""
    organization_weight: float = 12.0
    """Of all organizations, beside the app's own one."""
    app_weight: float = 3.0
    """Of the organization, beside the app."""
    trigger_weight: float = 0.5
    """Of the app after any first start, beside after a start in that very region."""
    timely_presumed: float = 0.5
    """Presumed share of starts that a copy made at an earlier start is in time for."""
    timely_weight: float = 2.0
    """Of what is presumed of that share, beside what was observed."""
    presumed_first: float = 0.3
    """Presumed chance, where the app never started anywhere."""
    presumed_member: float = 0.5
    """Presumed chance, where the app runs."""
    presumed_former: float = 0.2
    """Presumed chance, where the app was withdrawn."""
    presumed_young: float = 0.2
    """Presumed chance of an app's first version, where it never was."""
    presumed_second: float = 0.1
    """Presumed chance of an app's second version, where it never was."""
    presumed_other: float = 0.05
    """Presumed chance, where an older app never was."""
    presumed_requested: float = 0.97
    """Presumed chance, where somebody asked for starts."""
    presumed_running: float = 0.9
    """Presumed chance that what runs in a region starts there again."""


def forecasts_alike(policy: Policy) -> Policy:
    """Return what is equal for policies that forecast alike, however they bet."""
    betting = {key: getattr(DEFAULT, key) for key in _BETTING}
    return replace(policy, **betting)


_BETTING: Final = (
    "name",
    "rule",
    "kappa_bytes_per_second",
    "starts_per_burst",
    "burst_weight",
    "local_start_seconds",
    "store_bytes_per_copy",
    "patience",
)
LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "kappa_bytes_per_second": (0, 1e15),
    "starts_per_burst": (0, 1e6),
    "burst_weight": (1e-3, 1e6),
    "local_start_seconds": (0, 3600),
    "store_bytes_per_copy": (0, 1e15),
    "patience": (0, 1),
    "app_decay": (0.5, 1),
    "pooled_decay": (0.5, 1),
    "pool_weight": (1e-3, 1e6),
    "organization_weight": (1e-3, 1e6),
    "app_weight": (1e-3, 1e6),
    "trigger_weight": (1e-3, 1e6),
    "timely_presumed": (0, 1),
    "timely_weight": (1e-3, 1e6),
    "presumed_first": (0, 1),
    "presumed_member": (0, 1),
    "presumed_former": (0, 1),
    "presumed_young": (0, 1),
    "presumed_second": (0, 1),
    "presumed_other": (0, 1),
    "presumed_requested": (0, 1),
    "presumed_running": (0, 1),
}
"""The least and the greatest value of each number."""

DEFAULT: Final = Policy()
STATIC: Final = Policy(name=SET_60D, rule=SET_60D)
BUILT_IN: Final = {policy.name: policy for policy in (DEFAULT, STATIC)}


def document(text: str, field: str) -> Mapping[str, object]:
    """Return what *text*, a TOML file, says; raises PolicyInvalidError for *field*."""
    try:
        return tomllib.loads(text)
    # Of what is too deep or too long the parser says so in other words.
    except (ValueError, RecursionError) as error:
        remedy = f"give a TOML file of keys and numbers: {error}"
        raise PolicyInvalidError(field, text, remedy) from error


def parse_policy(text: str, field: str = "policy") -> Policy:
    """Return the policy that *text*, a TOML file, defines; raises PolicyInvalidError.

    *field* is what the error names before the key. Guardrails are left to their own
    parser.
    """
    said = document(text, field)
    given = {key: said[key] for key in said if key not in GUARDRAIL_KEYS}
    known = {key.name for key in fields(Policy)}
    for key, value in given.items():
        if key not in known:
            keys = ", ".join(sorted({*known, *GUARDRAIL_KEYS}))
            remedy = f"leave it out, or give one of {keys}"
            raise PolicyInvalidError(f"{field}.{key[:NAME_LENGTH_MAX]}", value, remedy)
    texts = {key: _text(field, key, given[key]) for key in given if key not in LIMITS}
    numbers = {key: _number(field, key, given[key]) for key in given if key in LIMITS}
    return Policy(**texts, **numbers)  # type: ignore[arg-type] # texts and numbers apart


def _text(field: str, key: str, value: object) -> str:
    wanted = "give one of " + ", ".join(RULES)
    if key == "name":
        wanted = f"give 1 to {NAME_LENGTH_MAX} printable characters without spaces"
        fits = isinstance(value, str) and value.isprintable() and " " not in value
        if fits and 0 < len(str(value)) <= NAME_LENGTH_MAX:
            return str(value)
    elif value in RULES:
        return str(value)
    raise PolicyInvalidError(f"{field}.{key}", value, wanted)


def _number(field: str, key: str, value: object) -> float:
    least, greatest = LIMITS[key]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared before it is converted: an integer may be too large for a float.
    if isinstance(value, int | float) and is_number and least <= value <= greatest:
        return float(value)
    wanted = f"give a number from {least:g} to {greatest:g}"
    raise PolicyInvalidError(f"{field}.{key}", value, wanted)


def named_policy(name: str, field: str = "policy") -> Policy:
    """Return a built-in policy; empty is the default. Raises PolicyUnknownError."""
    found = BUILT_IN.get(name or DEFAULT.name)
    if found is None:
        raise PolicyUnknownError(field, name, f"give one of {', '.join(BUILT_IN)}")
    return found
