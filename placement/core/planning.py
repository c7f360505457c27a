"""What should be copied where: the copies that a policy wants now, with reasons.

A pure function of state, catalogue, policy and time. It decides nothing: a decision is
a fact of its own.
"""

from collections.abc import Iterable

from placement.core.break_even import wanted_by_bets
from placement.core.copies import Candidate, Image, by_value
from placement.core.forecast import Forecaster
from placement.core.network import Network
from placement.core.policy import SET_60D
from placement.core.residency import ANYWHERE, Residency
from placement.core.static_rule import wanted_by_members


def plan(
    network: Network,
    images: Iterable[Image],
    forecaster: Forecaster,
    residency: Residency = ANYWHERE,
) -> list[Candidate]:
    """Return the copies of *images* that the forecaster's policy wants, best first.

    None goes where *residency* does not permit it. Value is what a copy is expected to
    save for each byte that it may waste; ties go by repository, digest and target, so
    the order is total.
    """
    static = forecaster.policy.rule == SET_60D
    found: list[Candidate] = []
    for image in images:
        if static:
            found += wanted_by_members(network, image, residency)
        else:
            found += wanted_by_bets(network, forecaster, image, residency)
    return sorted(found, key=by_value)
