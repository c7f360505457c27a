"""Where a demonstration is shown: scenes with a title, a sentence, and commands."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.text import Text


class Stage:
    """Where the demonstration is shown, and where its files are."""

    def __init__(self, screen: Console, directory: Path) -> None:
        """Show on *screen*; write only into *directory*."""
        self.directory = directory
        self._screen = screen
        self._scene = 0

    def scene(self, title: str, sentence: str, *commands: str) -> None:
        """Announce what is seen next, and the commands that one would type for it.

        An interrupt that came while a call was ending may have been lost in it: no
        scene begins after one.
        """
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        self._scene += 1
        self._screen.print()
        self._screen.print(Rule(f"{self._scene}. {title}", align="left"))
        self._screen.print(sentence)
        for command in commands:
            self._screen.print(Text(f"$ {command}", style="bold cyan"))

    def show(self, parts: Iterable[RenderableType]) -> None:
        """Show an answer."""
        for part in parts:
            self._screen.print(part)
