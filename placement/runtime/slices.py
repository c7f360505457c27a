"""Long work in slices, so that it holds nobody up."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final, TypeVar

from placement.ports import Rest

SLICE_SECONDS: Final = 0.001
ASKED_SECONDS: Final = 1.0
"""For so long after a call more of them are expected."""
WORK_SECONDS: Final = 0.002
"""Where calls come, the loop rests after so much work, whoever did it."""
REST_SECONDS: Final = 0.001
RESTS_MAX: Final = 3
"""So many, where others worked so long in each that it was none for callers."""
PAUSE_SECONDS: Final = 0.002
"""What can wait lets others have so long after each slice."""
LATE_SECONDS: Final = 0.003
"""Whoever comes back so much later than it wanted has met others who are busy."""
LATE_TIMES: Final = 8
"""And leaves them so many times as long after its next slice."""
PAUSE_SECONDS_MAX: Final = 0.05
"""But comes on, whatever they do."""

STAND_BACK_TIMES: Final = 4
"""What nobody waits for rests so many times as long as it worked, where calls come."""
STAND_BACK_SECONDS_MAX: Final = 0.05
"""But no longer: it may have waited, for a disk or for others, more than worked."""

Result = TypeVar("Result")
Pause = Callable[[], Awaitable[None]]
"""Lets others in."""


class Courtesy:
    """Pauses between slices of work: of real time while there are callers.

    A call is taken in turns of the loop, and between them other threads pass it on. A
    turn that follows at once leaves those no time: while a backlog is folded so, calls
    are taken more slowly than they come. All of a process pause by one of these.
    """

    def __init__(self, entered: Callable[[], int]) -> None:
        """Expect callers while *entered*, how many calls came so far, rises."""
        self._entered = entered
        self._seen = entered()
        self._expected_until = 0.0
        self._rested = 0.0

    def expects(self, now: float) -> bool:
        """Say whether callers are expected *now*, by this clock."""
        entered = self._entered()
        if entered != self._seen:
            self._seen = entered
            self._expected_until = now + ASKED_SECONDS
        return now < self._expected_until

    async def pause(self) -> None:
        """Let others in."""
        now = perf_counter()
        if not self.expects(now) or now < self._rested + WORK_SECONDS:
            await asyncio.sleep(0)
            return
        for _ in range(RESTS_MAX):
            began = perf_counter()
            await asyncio.sleep(REST_SECONDS)
            self._rested = perf_counter()
            if self._rested - began < WORK_SECONDS:
                return


class _Here:
    """What is chosen in this process."""

    courtesy: Courtesy | None = None
    hurried = 0
    """How many wait for what else would stand back."""


def expect_callers(entered: Callable[[], int] | None) -> None:
    """Rest between slices while *entered*, how many calls came, rises; None: never."""
    _Here.courtesy = None if entered is None else Courtesy(entered)


async def let_others_in() -> None:
    """Pause between two slices, as ``Courtesy`` does where callers are expected."""
    courtesy = _Here.courtesy
    if courtesy is None:
        await asyncio.sleep(0)
    else:
        await courtesy.pause()


async def stand_back(worked_seconds: float) -> None:
    """Let others in after work that nobody waits for: for longer, where calls come."""
    if _stands_back():
        seconds = STAND_BACK_TIMES * worked_seconds
        await asyncio.sleep(min(seconds, STAND_BACK_SECONDS_MAX))
    else:
        await let_others_in()


def rest_if_called() -> Rest | None:
    """Return ``stand_back`` where calls have come of late; else None."""
    return stand_back if _stands_back() else None


@contextmanager
def hurrying() -> Iterator[None]:
    """Let nothing stand back meanwhile, what is under way neither: somebody waits."""
    _Here.hurried += 1
    try:
        yield
    finally:
        _Here.hurried -= 1


def _stands_back() -> bool:
    courtesy = None if _Here.hurried else _Here.courtesy
    return courtesy is not None and courtesy.expects(perf_counter())


async def in_slices(
    steps: Generator[None, None, Result], pause: Pause = let_others_in
) -> Result:
    """Return what *steps* come to, letting others in after each SLICE_SECONDS."""
    time = asyncio.get_running_loop().time
    ends = time() + SLICE_SECONDS
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
        if time() > ends:
            await pause()
            ends = time() + SLICE_SECONDS


class Patience:
    """Pauses of work that can wait: a third of the loop's time at most is its own.

    Where the loop, or the machine, is late, others need more of it, and get more.
    """

    def __init__(self) -> None:
        """Expect nobody to be busy."""
        self._seconds = PAUSE_SECONDS

    async def pause(self) -> None:
        """Let others have the loop for as long as they seem to need it."""
        time = asyncio.get_running_loop().time
        wanted = time() + self._seconds
        await asyncio.sleep(self._seconds)
        late = time() - wanted
        self._seconds = PAUSE_SECONDS
        if late > LATE_SECONDS:
            self._seconds = min(PAUSE_SECONDS_MAX, LATE_TIMES * late)
