"""When calls are sent away, and how many: a queue of one server, in made-up time."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

import pytest

from placement.runtime.pressure import Pressure, PressureSettings

MS_NS = 1_000_000
PROBE_MS, REFUSAL_MS, THINK_MS = 0.3, 0.15, 0.3
SECONDS, WARM_MS = 10, 1_000.0
CALL, PROBE = "somebody's call", "one of our own"


@dataclass
class Shop:
    """One server that takes calls in their order, and callers who ask again and again.

    Each call takes *cost_ms* and something by chance; a caller who is sent away comes
    back when it was told to.
    """

    callers: int
    cost_ms: float
    queue_ms: float
    now_ms: float = 0.0
    busy: bool = False
    took_ms: list[float] = field(default_factory=list)
    refused: int = 0

    def __post_init__(self) -> None:
        """Let everybody come within five milliseconds."""
        self.chance = Random(f"{self.callers} {self.cost_ms}")
        self.pressure = Pressure(
            PressureSettings(queue_ms=self.queue_ms),
            clock_ns=lambda: round(self.now_ms * MS_NS),
            chance=self.chance.random,
        )
        self.numbers = count()
        self.events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.queue: list[tuple[str, float, int]] = []
        for _ in range(self.callers):
            self.after(5 * self.chance.random(), self.come, CALL)
        self.after(20, self.come, PROBE)

    def after(self, ms: float, what: Callable[..., None], *about: Any) -> None:  # noqa: ANN401 - of any event
        """Let *what* happen then."""
        heapq.heappush(self.events, (self.now_ms + ms, next(self.numbers), what, about))

    def run(self) -> "Shop":
        """Let SECONDS pass."""
        while self.events[0][0] < SECONDS * 1e3:
            self.now_ms, _, what, about = heapq.heappop(self.events)
            what(*about)
        return self

    def come(self, kind: str) -> None:
        """Let a call join the queue."""
        self.queue.append((kind, self.now_ms, self.pressure.entered))
        self.serve()

    def serve(self) -> None:
        """Begin the next call, if nothing else is under way."""
        if self.busy or not self.queue:
            return
        self.busy = True
        kind, since_ms, entered = self.queue.pop(0)
        if kind == PROBE:
            ahead = self.pressure.entered - entered
            self.pressure.waited(round((self.now_ms - since_ms) * MS_NS), ahead)
            self.after(PROBE_MS, self.done, PROBE_MS + 20, PROBE, None)
            return
        self.pressure.entered += 1
        if self.pressure.sheds():
            self.refused += 1
            self.after(
                REFUSAL_MS, self.done, self.pressure.retry_delay_ms(), CALL, None
            )
            return
        cost_ms = self.cost_ms * (1 + 0.3 * self.chance.expovariate(1))
        self.after(cost_ms, self.done, THINK_MS, CALL, since_ms)

    def done(self, pause_ms: float, kind: str, since_ms: float | None) -> None:
        """End a call; who made it comes again."""
        self.busy = False
        if since_ms is not None and self.now_ms > WARM_MS:
            self.took_ms.append(self.now_ms - since_ms)
        self.after(pause_ms, self.come, kind)
        self.serve()

    @property
    def p99_ms(self) -> float:
        """The slowest hundredth of the answered calls took so long at least."""
        return sorted(self.took_ms)[int(0.99 * len(self.took_ms))]


@pytest.mark.parametrize(
    ("saturating", "cost_ms"), [(8, 0.4), (3, 2.0), (2, 6.0), (2, 20.0)]
)
def test_three_times_too_many_callers_cost_those_who_are_answered_little(
    saturating: int, cost_ms: float
) -> None:
    """Whatever a call costs: 95 % of the peak, and twice the time at saturation."""
    peak = len(Shop(48, cost_ms, 0).run().took_ms)
    saturated = Shop(saturating, cost_ms, 0).run()

    crowded = Shop(3 * saturating, cost_ms, 5.0).run()

    assert crowded.refused > 0
    assert len(crowded.took_ms) >= 0.95 * peak
    assert crowded.p99_ms <= 2 * saturated.p99_ms


@pytest.mark.parametrize(("callers", "cost_ms"), [(8, 0.4), (2, 2.0), (1, 20.0)])
def test_nobody_is_sent_away_up_to_saturation(callers: int, cost_ms: float) -> None:
    """A slow answer is no crowd: where one or two ask, none is refused."""
    assert Shop(callers, cost_ms, 5.0).run().refused == 0


def test_a_crowd_of_hundreds_is_answered_all_the_same() -> None:
    """Sixty times too many callers take a tenth of the peak at most."""
    peak = len(Shop(48, 0.4, 0).run().took_ms)

    assert len(Shop(500, 0.4, 5.0).run().took_ms) >= 0.9 * peak


@dataclass
class Clock:
    """A clock that a test moves."""

    now_ns: int = 0

    def __call__(self) -> int:
        """Return what it shows."""
        return self.now_ns


def pressed(clock: Clock, delays_ms: list[float], calls: int = 100) -> Pressure:
    """What these waits, 20 ms apart, make of a limit of 5 ms."""
    found = Pressure(PressureSettings(queue_ms=5), clock_ns=clock, chance=lambda: 0.5)
    for delay_ms in delays_ms:
        clock.now_ns += 20 * MS_NS
        found.entered += calls
        found.waited(round(delay_ms * MS_NS), calls)
    return found


def test_one_long_wait_is_a_hiccup() -> None:
    """A pause of the machine, or a burst that is over, sends nobody away."""
    assert not pressed(Clock(), [0.3, 200, 0.3, 200]).sheds()
    assert pressed(Clock(), [0.3, 200, 200]).sheds()


def test_what_can_wait_waits_before_anybody_is_sent_away() -> None:
    """At half of the limit decisions give way; no question is refused yet."""
    half = pressed(Clock(), [3, 3])

    assert half.pressed
    assert not half.sheds()
    assert not pressed(Clock(), [2, 2]).pressed


def test_half_of_what_waits_too_long_is_sent_away_and_then_no_more() -> None:
    """100 calls wait 20 ms, so each costs 0.2; of 15 ms beyond the limit half is 37."""
    found = pressed(Clock(), [20] * 30)
    sent = 0
    while found.sheds():
        sent += 1

    assert sent == pytest.approx(37, abs=2)
    found.waited(0, 0)
    assert not found.sheds()


def test_those_who_are_sent_away_come_back_one_by_one() -> None:
    """The first after 250 ms, each later one some calls' time after the one before."""
    found = pressed(Clock(), [20] * 30)

    delays_ms = [found.retry_delay_ms() for _ in range(200)]

    assert delays_ms[0] == 250
    apart_ms = 30 * found.cost_ns / MS_NS
    assert delays_ms[-1] == pytest.approx(250 + 199 * apart_ms, rel=0.01)
    assert max(found.retry_delay_ms() for _ in range(20_000)) <= 30_000


def test_delay_has_jitter_either_way() -> None:
    """Whoever chance favours comes a quarter sooner, and another a quarter later."""
    clock = Clock()
    for chance, delay_ms in ((0.0, 188), (1.0, 312)):
        found = Pressure(
            PressureSettings(queue_ms=5),
            clock_ns=clock,
            chance=lambda drawn=chance: drawn,  # type: ignore[misc]  # bound now
        )
        assert found.retry_delay_ms() == pytest.approx(delay_ms, abs=1)


def test_without_a_limit_nobody_is_ever_sent_away() -> None:
    """``queue_ms = 0``: calls wait as long as they like."""
    off = Pressure(PressureSettings(), clock_ns=Clock(), chance=lambda: 0.5)
    for _ in range(10):
        off.entered += 100
        off.waited(10_000 * MS_NS, 100)

    assert not off.enabled
    assert not off.sheds()
    assert not off.pressed
