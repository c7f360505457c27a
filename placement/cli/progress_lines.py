"""How far long work is: a bar on a terminal, else a line now and then, with what is left."""

import time
from typing import Final

import rich_click as click
from rich.progress import Progress, TaskID

EVERY_SECONDS: Final = 10.0
"""Between two lines about the same work."""


class ProgressLines:
    """Told how much is done of what, it shows that."""

    def __init__(self, bars: Progress, *, lines: bool) -> None:
        """Show *bars*, or print *lines* instead."""
        self._bars = bars
        self._lines = lines
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def __call__(self, work: str, done: int, total: int) -> None:
        """Take note that *done* of *total* of some *work* are done."""
        if self._lines:
            self._line(work, done, total)
            return
        task = self._tasks.get(work)
        if task is None:
            task = self._tasks[work] = self._bars.add_task(work, total=total)
        self._bars.update(task, completed=done, total=total)

    def _line(self, work: str, done: int, total: int) -> None:
        now = time.monotonic()
        began = self._began.setdefault(work, now)
        last = self._told.setdefault(work, began)
        if now - last < EVERY_SECONDS and done < total:
            return
        self._told[work] = now
        left = (now - began) / done * (total - done) if done else 0.0
        share = done / total if total else 1.0
        said = f"{work}: {done:,} of {total:,} messages, {share:.0%}"
        click.echo(said + (f", {left:,.0f} s left" if done < total else ""), err=True)
