"""Back-tests of several traces at once, in processes of their own."""

import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from threading import Thread
from typing import Any, Final, Protocol, TypeVar

from placement.core.topology import Region
from placement.simulation.backtest import Outcome, Setting, run, subject_of_trace
from placement.simulation.trace import read_trace

POLL_SECONDS: Final = 0.2
PROCESSES_MAX: Final = 8

Found_co = TypeVar("Found_co", covariant=True)
Told = tuple[int, float]
"""The number of a job, and how much of it is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Job:
    """One trace in one setting."""

    name: str
    file: Path
    setting: Setting
    home: Region | None = None
    upload_s: float = 0.0

    @property
    def size(self) -> int:
        """Return how long it takes, roughly, beside others."""
        return self.file.stat().st_size * (2 if self.setting.frontier_of else 1)

    def run(self, on_progress: Callable[[float], None]) -> Outcome:
        """Return what the trace comes to; raises InputError for what is wrong in it."""
        return run_job(self, on_progress)


class Task(Protocol[Found_co]):
    """Something that takes long."""

    @property
    def size(self) -> int:
        """Return how long it takes, roughly, beside others."""

    def run(self, on_progress: Callable[[float], None]) -> Found_co:
        """Return what it finds."""


def run_job(job: Job, on_progress: Callable[[float], None]) -> Outcome:
    """Return what one trace comes to; raises InputError for what is wrong with it."""
    setting = job.setting
    subject = subject_of_trace(
        job.name,
        read_trace(job.file),
        setting.assumptions,
        setting.topology,
        home=job.home,
        upload_s=job.upload_s,
    )
    gc.freeze()  # what was read stays: no need to look at it again and again
    return run(setting, subject, on_progress)


def run_jobs(
    jobs: Sequence[Task[Found_co]], on_progress: Callable[[int, float], None]
) -> list[Found_co]:
    """Return what *jobs* find, in their order; the longest one begins first.

    As many run at once as there are processors; with one of either, in this process.
    """
    processes = min(len(jobs), os.cpu_count() or 1, PROCESSES_MAX)
    if processes == 1:
        return [
            job.run(lambda done, number=number: on_progress(number, done))  # type: ignore[misc]  # its own number
            for number, job in enumerate(jobs)
        ]
    context = get_context("spawn")
    told: Queue[Told] = context.Queue()
    with ProcessPoolExecutor(processes, context, _told_by, (told,)) as pool:
        numbers = sorted(range(len(jobs)), key=lambda number: -jobs[number].size)
        futures = {
            number: pool.submit(_work, number, jobs[number]) for number in numbers
        }
        try:
            for number, done in _told(told, list(futures.values())):
                on_progress(number, done)
            return [futures[number].result() for number in range(len(jobs))]
        except BaseException:
            for future in futures.values():
                future.cancel()
            for worker in active_children():  # else its job would be waited for
                worker.terminate()  # and the pool, when it ends, joins it
            raise


def _told(told: "Queue[Told]", futures: Sequence[Future[Any]]) -> Iterator[Told]:
    """Yield what the workers tell until all have ended, or one has failed."""
    waiting = True
    while waiting:
        ended, open_ = wait(futures, timeout=POLL_SECONDS)
        waiting = bool(open_) and not any(future.exception() for future in ended)
        try:
            while True:
                yield told.get_nowait()
        except Empty:
            pass


_channel: "Queue[Told] | None" = None
"""In a worker: where progress is told."""


def _told_by(told: "Queue[Told]") -> None:
    global _channel  # noqa: PLW0603 - a worker has no other place to keep it
    _channel = told
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever began it ends it
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave no worker behind, however its parent ended."""
    parent = parent_process()
    assert parent is not None, "a worker has a parent"
    parent.join()
    os._exit(1)


def _work(number: int, job: Task[Found_co]) -> Found_co:
    channel = _channel
    assert channel is not None, "a worker begins with a channel"
    return job.run(lambda done: channel.put((number, done)))
