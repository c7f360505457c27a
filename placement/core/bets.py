"""When a copy pays: the bet that a version starts in a region, in bytes.

On a hit the bytes would have moved anyway, since a far pull fills its region; so the
stake is only what a copy wastes if the start never comes (the newsvendor's critical
ratio). Where an earlier start elsewhere is a surer sign and leaves time enough for the
copy, waiting for it may be worth more than betting at once.
"""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Bet:
    """A copy that may be made now.

    *probability* that it is used, 0 to 1; *gain_bytes* that its saved seconds are worth
    then; *stake_bytes* that it wastes otherwise.
    """

    probability: float
    gain_bytes: float
    stake_bytes: float

    @property
    def worth_bytes(self) -> float:
        """Return what the bet is worth on average; below zero it does not pay."""
        lost = (1 - self.probability) * self.stake_bytes
        return self.probability * self.gain_bytes - lost

    @property
    def break_even(self) -> float:
        """Return the least probability at which the bet pays, 0 to 1."""
        whole = self.gain_bytes + self.stake_bytes
        return self.stake_bytes / whole if whole else 0.0

    @property
    def density(self) -> float:
        """Return the expected gain for each byte staked, by which copies go."""
        expected = self.probability * self.gain_bytes
        return expected / self.stake_bytes if self.stake_bytes else inf


@dataclass(frozen=True, slots=True)
class Sign:
    """A first start elsewhere that the bet could wait for.

    *probability* that it comes; *probability_then* that the start here follows it;
    *timely* share of those starts that a copy made at the sign is ready for.
    """

    probability: float
    probability_then: float
    timely: float


def worth_of_waiting(bet: Bet, sign: Sign) -> float:
    """Return what *bet* is worth, in bytes, if it is made only once *sign* comes."""
    followed = min(sign.probability * sign.probability_then, bet.probability)
    lost = sign.probability * (1 - sign.probability_then) * bet.stake_bytes
    return followed * sign.timely * bet.gain_bytes - lost


def is_better_later(bet: Bet, sign: Sign, patience: float) -> bool:
    """Say whether to wait for *sign*: worth more, but for *patience* of the gain.

    Never for a sign after which the start here is no likelier than it is now.
    """
    if sign.probability_then <= bet.probability:
        return False
    later = worth_of_waiting(bet, sign)
    given_up = patience * bet.probability * bet.gain_bytes
    return later > 0 and later > bet.worth_bytes - given_up
