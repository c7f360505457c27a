"""Which policy is in force, with its numbers, its guardrails and its hash.

Every planner finds the same one, since it is a function of the log and of the time.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from placement.core.deciding.guardrails import Guardrails, parse_guardrails
from placement.core.errors import PolicyInvalidError
from placement.core.orders import is_over, policy_orders
from placement.core.policy import (
    BUILT_IN,
    DEFAULT,
    NAME_LENGTH_MAX,
    Policy,
    document,
    parse_policy,
)
from placement.core.state import State

UNNAMED: Final = "unnamed"
"""What a document is called that does not say."""
DIGEST_BYTES: Final = 6
PARSED_MAX: Final = 64
"""Documents that are kept as parsed; the state remembers fewer."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """One policy document, parsed whole."""

    policy: Policy
    guardrails: Guardrails
    digest: str
    """Of its name and its text, in hex: the same for the same document anywhere."""
    refused: tuple[str, ...] = ()
    """Policies with a later order that this version cannot read, the latest first."""

    @property
    def label(self) -> str:
        """Return what a decision calls it: its name and hash."""
        return f"{self.policy.name}@{self.digest}"


def parse_ruling(text: str, field: str = "policy") -> Ruling:
    """Return all that *text*, a TOML file, rules; raises PolicyInvalidError.

    What it leaves out is as in the shipped document, save the name: UNNAMED. *field*
    is what an error names before the key.
    """
    policy = parse_policy(text, field)
    name = policy.name if "name" in document(text, field) else UNNAMED
    return _ruling(replace(policy, name=name), parse_guardrails(text, field), text)


def ruling_in_force(state: State, now_ns: int) -> Ruling:
    """Return the policy in force: of those ordered and not expired, the latest.

    One that this version cannot read is passed over, and told as refused. The shipped
    document is in force where no other is. now_ns in nanoseconds. Raises nothing.
    """
    refused: list[str] = []
    for order in policy_orders(state):
        if is_over(order.term.expire_time_ns, now_ns):
            continue
        ruling = ruling_of(order.name, order.content)
        if ruling is not None:
            return replace(ruling, refused=tuple(refused))
        refused.append(order.name)
    return replace(SHIPPED, refused=tuple(refused))


@lru_cache(maxsize=PARSED_MAX)
def ruling_of(name: str, content: str) -> Ruling | None:
    """Return the policy of an order, or None where this version cannot read it.

    The order's own name holds. Without any text it is the built-in policy of the name.
    """
    try:
        ruling = parse_ruling(content)
    except PolicyInvalidError:
        return None
    policy = ruling.policy if content else BUILT_IN.get(name, DEFAULT)
    # A decision's own name for the policy has to fit into what a fact may hold.
    called = name[:NAME_LENGTH_MAX] or policy.name
    return _ruling(replace(policy, name=called), ruling.guardrails, content)


def _ruling(policy: Policy, guardrails: Guardrails, text: str) -> Ruling:
    named = f"{policy.name}\0{text}".encode()
    digest = blake2b(named, digest_size=DIGEST_BYTES).hexdigest()
    return Ruling(policy, guardrails, digest)


SHIPPED: Final = _ruling(DEFAULT, Guardrails(), "")
"""The document that comes with the program, data/policies/default.toml."""
