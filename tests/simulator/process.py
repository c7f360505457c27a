"""A simulated process: what runs in it can be paused or killed from outside."""

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

Result = TypeVar("Result")

PROCESS: ContextVar["Process | None"] = ContextVar("process", default=None)
"""In which process the code runs; every task that it starts inherits it."""


class KilledError(BaseException):
    """The process is dead: nothing that its code does may reach the outside."""


class Process:
    """The tasks of one run of a program, and whether they may go on."""

    def __init__(self, name: str) -> None:
        """Be alive and without tasks."""
        self.name = name
        self.alive = True
        self.paused = False
        self.pause_count = 0
        self.tasks: list[asyncio.Task[Any]] = []

    def spawn(self, coroutine: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Run *coroutine* in this process."""
        context = copy_context()
        context.run(PROCESS.set, self)
        loop = asyncio.get_running_loop()
        return loop.create_task(coroutine, context=context)

    def kill(self) -> None:
        """End everything at once.

        The tasks are cancelled so that they unwind, but to no effect: every simulated
        disk, log and network refuses what a dead process asks (``require_alive``).
        """
        self.alive = False
        self.paused = False
        for task in self.tasks:
            if not task.done():
                task.cancel()

    def require_alive(self) -> None:
        """Raise KilledError once the process is dead."""
        if not self.alive:
            raise KilledError(self.name)


def require_alive() -> None:
    """Raise KilledError if the code runs in a process that is dead."""
    process = PROCESS.get()
    if process is not None:
        process.require_alive()
