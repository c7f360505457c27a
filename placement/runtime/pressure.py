"""How long calls wait before they are begun, and how many of them to send away.

The law is a controlled delay: what is measured is the time that a call of our own waits
in the same queue as everybody's, and only a queue that stands counts: two measurements
in a row beyond the limit. Then, each time, half of the work that waits beyond it is
sent away: so many of the calls that come next, and more if the queue grows all the
same. Those who are sent away are given moments to come back at, one after another.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MILLISECOND_NS: Final = 1_000_000
LENGTH_MIN: Final = 2
"""So many may wait however long that takes: where few ask, it is not they who are too
many, but the machine that is too slow."""
SHARE_MIN: Final = 0.5
RISES_BORNE: Final = 4
"""A queue that grows for longer all the same is cut by twice as much each time."""
SHARE_MAX: Final = 16.0
"""Of the work that waits beyond the limit, what is sent away per measurement."""
COST_NS: Final = 300_000
"""What a call is taken to cost before any was measured under load."""
COST_WEIGHT: Final = 0.3
"""Of a new measurement of that, against the ones before."""
RETURN_COSTS: Final = 30
"""Those who come back do so at least as many calls' time apart."""
JITTER: Final = 0.25
"""Of a delay, either way: our clock is not to beat time for those who come back."""


@dataclass(frozen=True, slots=True)
class PressureSettings:
    """When a queue is too long, and when to come back; milliseconds."""

    queue_ms: float = 0.0
    """A queue that stands for longer is shortened; 0: it never is."""
    retry_ms: float = 250.0
    """Whoever is sent away comes back after so long at the soonest."""
    retry_ms_max: float = 30_000.0


class Pressure:
    """What was measured of the queue, and what follows from it."""

    def __init__(
        self,
        settings: PressureSettings | None = None,
        *,
        clock_ns: Callable[[], int],
        chance: Callable[[], float],
    ) -> None:
        """Begin without pressure; *clock_ns* never steps back, *chance* is 0 to 1."""
        self._settings = settings or PressureSettings()
        self._limit_ns = round(self._settings.queue_ms * MILLISECOND_NS)
        self._clock_ns = clock_ns
        self._chance = chance
        self.entered = 0
        """How many calls came, whatever became of them."""
        self.refused: Counter[str] = Counter()
        """How many were sent away, by reason: of a closed list."""
        self.delay_ns = 0
        """For how long calls wait.

        The shorter of two measurements, until the queue stands: one that is long just
        once was a hiccup, or a burst that is over.
        """
        self.length = 0
        """How many calls wait."""
        self.debt_ns = 0
        """How much work is still to be sent away."""
        self.cost_ns = COST_NS
        """What a call costs on the average."""
        self._last_ns = 0
        self._share = SHARE_MIN
        self._rises = 0
        self._next_return_ns = 0

    @property
    def enabled(self) -> bool:
        """Whether a queue is ever shortened."""
        return self._limit_ns > 0

    @property
    def pressed(self) -> bool:
        """Whether what can wait is to wait: a queue stands, at half of the limit."""
        standing = 2 * self.delay_ns > self._limit_ns and self.length > 1
        return self.enabled and standing

    def waited(self, delay_ns: int, ahead: int) -> None:
        """Note for how long a call of our own waited, or has waited so far.

        *ahead* is how many calls were begun meanwhile: all that came before it.
        """
        before_ns, last_ns = self.delay_ns, self._last_ns
        stands = self.enabled and before_ns > self._limit_ns
        self.delay_ns = delay_ns if stands else min(delay_ns, last_ns)
        self._last_ns, self.length = delay_ns, ahead
        beyond_ns = self.delay_ns - self._limit_ns
        if beyond_ns > 0 and ahead:
            self.cost_ns += round(COST_WEIGHT * (delay_ns // ahead - self.cost_ns))
        beyond_ns = min(beyond_ns, max(0, ahead - LENGTH_MIN) * self.cost_ns)
        if beyond_ns <= 0 or not self.enabled:
            self.debt_ns, self._rises, self._share = 0, 0, SHARE_MIN
            return
        self._rises = self._rises + 1 if self.delay_ns > before_ns else 0
        share = self._share * 2 if self._rises > RISES_BORNE else self._share / 2
        self._share = min(max(share, SHARE_MIN), SHARE_MAX)
        self.debt_ns = round(beyond_ns * self._share)

    def sheds(self) -> bool:
        """Say whether the call that came just now is one of those to be sent away."""
        if 2 * self.debt_ns < self.cost_ns:  # less than half a call is none
            return False
        self.debt_ns -= self.cost_ns
        return True

    def retry_delay_ms(self) -> int:
        """Return when whoever is sent away now is to come back: each at another time.

        A crowd that is sent away at once comes back one by one, as fast as a part of
        what the service does can take it.
        """
        settings, now_ns = self._settings, self._clock_ns()
        soonest_ns = now_ns + round(settings.retry_ms * MILLISECOND_NS)
        latest_ns = now_ns + round(settings.retry_ms_max * MILLISECOND_NS)
        moment_ns = min(max(soonest_ns, self._next_return_ns), latest_ns)
        self._next_return_ns = moment_ns + RETURN_COSTS * self.cost_ns
        spread = 1 + JITTER * (2 * self._chance() - 1)
        return max(1, round((moment_ns - now_ns) * spread / MILLISECOND_NS))
