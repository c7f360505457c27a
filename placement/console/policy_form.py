"""A policy as a form: the keys that change what is copied, edited and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from placement.console.asked import Asked
from placement.core.candidates import parse_candidates
from placement.core.deciding.guardrails import parse_guardrails
from placement.core.deciding.ruling import Ruling
from placement.core.errors import CandidatesInvalidError, InputError
from placement.core.policy import LIMITS, RULES, Policy, parse_policy
from placement.core.residency import ALL, Residency
from placement.core.topology import Topology

VALUE_LENGTH_MAX: Final = 32
REGIONS_LENGTH_MAX: Final = 255
PRESUMED: Final = "presumed_"
WHAT_IF: Final = "what-if"
"""What an edited policy is called."""
KEYS: Final[Mapping[str, tuple[str, str]]] = {
    "kappa_bytes_per_second": (
        "Worth of a second",
        "bytes that may be wasted to save one machine one second",
    ),
    "starts_per_burst": ("Machines that wait together", "machines at a first start"),
    "local_start_seconds": ("A local start", "seconds"),
    "store_bytes_per_copy": ("Keeping a copy", "bytes that might as well be moved"),
    "patience": ("Patience", "share of a gain given up for a surer sign"),
    "presumed_first": ("Nowhere yet", "chance of an app that never started"),
    "presumed_member": ("Runs there", "chance of an app that runs there"),
    "presumed_former": ("Withdrawn", "chance of an app that was withdrawn"),
    "presumed_young": ("First version", "chance where the app never was"),
    "presumed_second": ("Second version", "chance where the app never was"),
    "presumed_other": ("Older app", "chance where it never was"),
    "presumed_requested": ("Asked for", "chance where somebody asked for starts"),
    "presumed_running": ("Runs already", "chance that it starts there again"),
}
"""The numbers that can be edited: what they are, and their unit."""


@dataclass(frozen=True, slots=True)
class PolicyField:
    """One number of the form: what is in force, what was given, and its limits."""

    key: str
    label: str
    hint: str
    in_force: str
    value: str
    changed: bool
    problem: InputError | None


@dataclass(frozen=True, slots=True)
class PolicyForm:
    """The form, and the policy that it says; None where something is not valid."""

    fields: tuple[PolicyField, ...]
    rules: tuple[str, ...]
    rule: str
    deny: str
    problem: InputError | None
    """With what is no number: the rule, or the regions."""
    ruling: Ruling | None
    changes: tuple[str, ...]
    """What differs from the policy in force, each in a few words."""

    @property
    def bets(self) -> tuple[PolicyField, ...]:
        """Return the numbers of the bets."""
        return tuple(one for one in self.fields if not one.key.startswith(PRESUMED))

    @property
    def chances(self) -> tuple[PolicyField, ...]:
        """Return what is presumed where nothing was observed."""
        return tuple(one for one in self.fields if one.key.startswith(PRESUMED))

    @property
    def chances_matter(self) -> bool:
        """Whether any of those was changed, or cannot be read."""
        return any(one.changed or one.problem for one in self.chances)


def policy_form(asked: Asked, in_force: Ruling, topology: Topology) -> PolicyForm:
    """Return what is asked for, checked by what checks a policy's document."""
    fields = tuple(_field(asked, in_force.policy, key) for key in KEYS)
    problem, residency = None, in_force.guardrails.residency
    rule, deny = in_force.policy.rule, ""
    try:
        rule = asked.choice("rule", RULES, in_force.policy.rule)
        deny = asked.text("deny", length_max=REGIONS_LENGTH_MAX)
        residency = _denied(deny, topology, residency)
    except InputError as error:
        problem = error
        rule, deny = asked.query.get("rule", rule), asked.query.get("deny", deny)
    if problem is not None or any(field.problem for field in fields):
        return PolicyForm(fields, RULES, rule, deny, problem, None, ())
    numbers = {field.key: float(field.value) for field in fields if field.changed}
    edited = replace(in_force.policy, name=WHAT_IF, rule=rule, **numbers)
    guardrails = replace(in_force.guardrails, residency=residency)
    ruling = replace(in_force, policy=edited, guardrails=guardrails)
    changes = _changes(fields, in_force.policy, rule, deny)
    return PolicyForm(fields, RULES, rule, deny, None, ruling, changes)


def _changes(
    fields: tuple[PolicyField, ...], policy: Policy, rule: str, deny: str
) -> tuple[str, ...]:
    found = [
        f"{field.key} {field.value} instead of {field.in_force}"
        for field in fields
        if field.changed
    ]
    if rule != policy.rule:
        found.insert(0, f"rule {rule} instead of {policy.rule}")
    if deny:
        found.append(f"no copies into {deny}")
    return tuple(found)


def _field(asked: Asked, policy: Policy, key: str) -> PolicyField:
    """Return one number of the form; what is not valid is told beside it."""
    label, hint = KEYS[key]
    known = number_said(getattr(policy, key))
    least, most = LIMITS[key]
    said = f"{hint}; {_limit(least)} to {_limit(most)}"
    value, problem = asked.query.get(key, known), None
    try:
        value = asked.text(key, known, length_max=VALUE_LENGTH_MAX)
        number = getattr(parse_policy(f"{key} = {value}", ""), key)
        value = number_said(number)
    except InputError:
        remedy = f"give a number from {_limit(least)} to {_limit(most)}"
        problem = InputError(key, value, remedy)
    changed = problem is None and value != known
    return PolicyField(key, label, said, known, value, changed, problem)


def number_said(value: float) -> str:
    """Return a number as a document holds it, without a point it does not need."""
    return str(int(value)) if value == int(value) else repr(value)


def _limit(value: float) -> str:
    """Return a limit as the shipped document writes it: 1e15."""
    return f"{value:g}".replace("e+", "e").replace("e0", "e")


def _denied(deny: str, topology: Topology, residency: Residency) -> Residency:
    """Return the rules in force, and that nothing is copied to some regions.

    Raises InputError for a name that the catalogue does not know.
    """
    if not deny:
        return residency
    try:
        codes = parse_candidates(topology, deny, "deny")
    except CandidatesInvalidError as error:
        raise InputError("deny", deny, error.remedy) from None
    listed = ", ".join(f'"{code}"' for code in codes)
    document = f'[[residency]]\nrepositories = ["{ALL}"]\ndeny = [{listed}]\n'
    rules = parse_guardrails(document, "deny").residency.rules
    return Residency((*residency.rules, *rules))
