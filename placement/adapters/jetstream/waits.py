"""Requests that wait for answers, and what ends the wait early.

A server that does not permit a request never answers it. Its word comes apart from any
answer, and names the subject, in lower case once nats-py has read it.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

DENIED: Final = re.compile(
    r'permissions violation for publish to "([^"]+)"', re.IGNORECASE
)


class Wait:
    """One request on *subject*; ``denial`` is the server's word against it, if any."""

    def __init__(self, subject: str) -> None:
        """Wait for nothing yet."""
        self.subject = subject
        self.denial = ""


class Waits:
    """All that wait on one connection."""

    def __init__(self) -> None:
        """Hold none."""
        self._limits: dict[Wait, asyncio.Timeout] = {}

    @contextmanager
    def until(self, wait: Wait, limit: asyncio.Timeout) -> Iterator[None]:
        """Let *limit* run out at once, within the block, where no answer can come."""
        self._limits[wait] = limit
        try:
            yield
        finally:
            del self._limits[wait]

    def lost(self) -> None:
        """End all: the connection is gone."""
        for limit in self._limits.values():
            _end(limit)

    def denied(self, word: str) -> None:
        """End those that *word* of the server denies, if it denies any."""
        found = DENIED.search(word)
        if found is None:
            return
        for wait, limit in self._limits.items():
            if wait.subject.lower() == found[1].lower():
                wait.denial = f"{wait.subject}: {word}"
                _end(limit)


def _end(limit: asyncio.Timeout) -> None:
    if not limit.expired():
        limit.reschedule(asyncio.get_running_loop().time())
