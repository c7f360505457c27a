"""The watchdog: a thread that ends the process once its event loop stands still.

A message that takes for ever to fold, a lock that nobody lets go of: no answer comes,
not even from health, and only a new process helps. Before the end every thread's stack
goes to standard error, and a last word to whoever needs it.

A machine that was suspended, or a process that was stopped or starved, is not to blame:
the watchdog counts how long it could have run itself, tick by tick, and a tick counts
no more than two however late it comes. What keeps the interpreter's lock for seconds,
which only foreign code can, stops the watchdog too.
"""

import asyncio
import faulthandler
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

BLOCKED_EXIT_CODE: Final = 71
LAST_WORD_SECONDS: Final = 1.0
"""What is to be done before the end may take so long."""
TICK_SECONDS_MAX: Final = 0.25
TICKS_A_LIMIT: Final = 10
_STANDARD_ERROR: Final = 2  # sys.stderr may be locked by what is blocked


@contextmanager
def watchdog(limit_seconds: float, last_word: Callable[[], None]) -> Iterator[None]:
    """End the process if the running loop stands still for longer within the block.

    *limit_seconds* 0 watches nothing. *last_word* is called in another thread; the
    process ends with BLOCKED_EXIT_CODE after LAST_WORD_SECONDS even if it hangs.
    """
    if not limit_seconds:
        yield
        return
    pulse = _Pulse(min(TICK_SECONDS_MAX, limit_seconds / TICKS_A_LIMIT))
    stop = threading.Event()

    def watch() -> None:
        if _stands_still(pulse, stop, limit_seconds):
            _end(limit_seconds, last_word)

    pulse.beat()
    threading.Thread(target=watch, name="watchdog", daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        pulse.end()


class _Pulse:
    """Counts beats for as long as the loop runs what is due."""

    def __init__(self, tick_seconds: float) -> None:
        self.tick_seconds = tick_seconds
        self.beats = 0
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.TimerHandle | None = None

    def beat(self) -> None:
        self.beats += 1
        self._next = self._loop.call_later(self.tick_seconds, self.beat)

    def end(self) -> None:
        if self._next is not None:
            self._next.cancel()


def _stands_still(pulse: _Pulse, stop: threading.Event, limit_seconds: float) -> bool:
    """Return True once no beat came for *limit_seconds*; False if stopped before."""
    beats, silent_seconds, before = pulse.beats, 0.0, time.monotonic()
    while not stop.wait(pulse.tick_seconds):
        now = time.monotonic()
        silent_seconds += min(now - before, 2 * pulse.tick_seconds)
        before = now
        if beats != pulse.beats:
            beats, silent_seconds = pulse.beats, 0.0
        if silent_seconds > limit_seconds:
            return True
    return False


def _end(limit_seconds: float, last_word: Callable[[], None]) -> None:
    """Tell why, dump every stack, say the last word, and end the process."""
    threading.Thread(target=_end_anyway, name="end", daemon=True).start()
    line = {
        "event": "loop_blocked",
        "level": "critical",
        "limit_seconds": limit_seconds,
        "exit_code": BLOCKED_EXIT_CODE,
    }
    try:
        os.write(_STANDARD_ERROR, f"{json.dumps(line)}\n".encode())
        faulthandler.dump_traceback(file=_STANDARD_ERROR, all_threads=True)
        last_word()
    finally:
        os._exit(BLOCKED_EXIT_CODE)


def _end_anyway() -> None:
    time.sleep(LAST_WORD_SECONDS)
    os._exit(BLOCKED_EXIT_CODE)
