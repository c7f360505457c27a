"""How each policy that was ordered stands: in force, replaced, expired or refused."""

from dataclasses import dataclass
from enum import IntEnum

from placement.core.deciding.ruling import SHIPPED, parse_ruling, ruling_of
from placement.core.errors import PolicyInvalidError
from placement.core.orders import PolicyOrder, Term, is_over, policy_orders
from placement.core.state import State


class Standing(IntEnum):
    """How an order of a policy stands."""

    IN_FORCE = 1
    REPLACED = 2
    EXPIRED = 3
    REFUSED = 4


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """A policy, how it stands, and of a refused one why."""

    name: str
    digest: str
    """Of its name and its text, in hex; empty for a refused one."""
    standing: Standing
    content: str = ""
    problem: str = ""
    term: Term | None = None
    """None: nobody ordered it."""


def policy_statuses(state: State, now_ns: int) -> list[PolicyStatus]:
    """Return the policies that are remembered, the latest order first.

    Exactly one is in force, as ``ruling_in_force`` has it at *now_ns*: the shipped one
    comes last where it is none of those ordered.
    """
    found: list[PolicyStatus] = []
    settled = False
    for order in policy_orders(state):
        status = _status(order, now_ns, replaced=settled)
        settled = settled or status.standing is Standing.IN_FORCE
        found.append(status)
    if not settled:
        shipped = SHIPPED.policy.name
        found.append(PolicyStatus(shipped, SHIPPED.digest, Standing.IN_FORCE))
    return found


def _status(order: PolicyOrder, now_ns: int, *, replaced: bool) -> PolicyStatus:
    ruling, problem = ruling_of(order.name, order.content), ""
    if ruling is None:
        standing, problem = Standing.REFUSED, _problem(order.content)
    elif is_over(order.term.expire_time_ns, now_ns):
        standing = Standing.EXPIRED
    else:
        standing = Standing.REPLACED if replaced else Standing.IN_FORCE
    name = order.name if ruling is None else ruling.policy.name
    digest = "" if ruling is None else ruling.digest
    return PolicyStatus(name, digest, standing, order.content, problem, order.term)


def _problem(content: str) -> str:
    """Return why this version cannot read a policy."""
    try:
        parse_ruling(content)
    except PolicyInvalidError as error:
        return str(error)
    return ""
