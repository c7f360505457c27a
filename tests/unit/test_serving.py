"""What can wait is slower while clients are served, and for a moment after."""

from placement.agent.inventory.pace import SLOWER_TIMES, Pace
from placement.agent.serving import LULL_SECONDS, Serving

PER_SECOND = 50.0


class Clock:
    """Seconds that pass when somebody sleeps."""

    def __init__(self) -> None:
        """Begin at some moment."""
        self.now_s = 1_000.0

    def __call__(self) -> float:
        """Return the moment."""
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


async def seconds_of(pace: Pace, clock: Clock, turns: int) -> float:
    """Return how long so many turns take."""
    began_s = clock()
    for _ in range(turns):
        await pace.turn()
    return clock() - began_s


async def test_scan_asks_a_fifth_as_often_while_clients_are_served() -> None:
    """And as often as ever once the last answer has ended, and a moment has gone by."""
    clock = Clock()
    serving = Serving(clock)
    pace = Pace(PER_SECOND, clock, clock.sleep, serving)
    pace.give_way(3_600)
    await seconds_of(pace, clock, 10)  # the burst at the beginning is over

    alone_s = await seconds_of(pace, clock, 100)
    with serving.one():
        beside_s = await seconds_of(pace, clock, 100)
    clock.now_s += LULL_SECONDS
    await seconds_of(pace, clock, 10)
    after_s = await seconds_of(pace, clock, 100)

    assert round(beside_s / alone_s) == SLOWER_TIMES
    assert round(after_s / alone_s) == 1


async def test_scan_gives_way_no_longer_than_it_may() -> None:
    """A mirror that is never idle does not keep it from its end."""
    clock = Clock()
    serving = Serving(clock)
    pace = Pace(PER_SECOND, clock, clock.sleep, serving)
    await seconds_of(pace, clock, 10)
    alone_s = await seconds_of(pace, clock, 100)
    pace.give_way(alone_s)

    with serving.one():
        beside_s = await seconds_of(pace, clock, 1_000)

    assert 10 * alone_s < beside_s < 12 * alone_s


def test_serving_goes_on_until_the_last_has_ended_and_a_lull_is_over() -> None:
    """Between two requests of one pull nobody is in anybody's way."""
    clock = Clock()
    serving = Serving(clock)

    seen = [serving.active]
    with serving.one():
        with serving.one():
            seen.append(serving.active)
        seen.append(serving.active)
    seen.append(serving.active)
    clock.now_s += LULL_SECONDS
    seen.append(serving.active)

    assert seen == [False, True, True, True, False]
