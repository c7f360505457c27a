"""Old logs fold to what they once folded to: the promise that replay rests on."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import get_args

import pytest

from placement.adapters.log_message import matches
from placement.core.event import Fact, Recorded
from placement.core.fold import FOLD_VERSION
from placement.ports import Appended, Expected, LogStatus, Message
from placement.runtime.replay import replay
from placement.wire.events import decode_message
from tests.golden_logs import FOLDER, folded_messages, read_log, summary

ROOT = Path(__file__).parents[2]
LOGS = sorted(FOLDER.glob("*.jsonl"))
NEWEST = [path for path in LOGS if read_log(path)[0].fold_version == FOLD_VERSION]


def fingerprint_now(path: Path) -> str:
    """Return what a log folds to: of this version, what its own first line says."""
    expected, messages = read_log(path)
    if expected.fold_version == FOLD_VERSION:
        return expected.fingerprint
    return summary(folded_messages(messages)).fingerprint


class ReadLog:
    """A log that is read in batches of a size of the test's choice."""

    def __init__(self, messages: Sequence[Message], batch_count: int) -> None:
        """Hold *messages*, which may not be added to."""
        self._messages = messages
        self._batch_count = batch_count

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Refuse: the log is of old."""
        raise AssertionError((subject, body, message_id, expected))

    async def read(
        self, after_sequence: int, epoch: str = ""
    ) -> AsyncIterator[Sequence[Message]]:
        """Yield batches of the size of the test's choice, and then empty ones."""
        del epoch  # it never becomes another log
        rest = [m for m in self._messages if m.sequence > after_sequence]
        for first in range(0, len(rest), self._batch_count):
            yield rest[first : first + self._batch_count]
        while True:
            yield []

    async def message(self, sequence: int, subject: str = "") -> Message | None:
        """Return one message, or the first of *subject* from there on."""
        for message in self._messages:
            if subject:
                wanted = message.sequence >= sequence and matches(
                    subject, message.subject
                )
            else:
                wanted = message.sequence == sequence
            if wanted:
                return message
        return None

    async def status(self) -> LogStatus:
        """Say how far the log reaches."""
        return LogStatus("golden", 1, self._messages[-1].sequence)

    async def close(self) -> None:
        """Do nothing."""


def test_there_is_a_golden_log_of_this_fold() -> None:
    """Whoever raises FOLD_VERSION adds a log, and leaves the old ones as they are."""
    assert NEWEST


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_golden_log_folds_as_ever(path: Path) -> None:
    """Same bytes, same fold version: same fingerprint, position and counts, for ever.

    A log of an older fold version must still fold, to whatever it means now.
    """
    expected, messages = read_log(path)

    found = summary(folded_messages(messages))

    assert found.sequence == expected.sequence
    if expected.fold_version == FOLD_VERSION:
        assert found == expected


def test_golden_logs_of_this_fold_hold_every_fact() -> None:
    """What no golden log holds would be free to change its meaning unseen."""
    messages = [message for path in NEWEST for message in read_log(path)[1]]

    items = [item for m in messages for item in decode_message(m).items]
    kinds = {type(i.event.fact) for i in items if isinstance(i, Recorded)}
    assert kinds == set(get_args(Fact))


@pytest.mark.parametrize("batch_count", [1, 7, 512])
@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
async def test_batches_of_reading_change_nothing(path: Path, batch_count: int) -> None:
    """A log read one by one, or hundreds at once, folds to the same state."""
    expected, messages = read_log(path)

    replayed = await replay(ReadLog(messages, batch_count))

    assert replayed.sequence == expected.sequence
    assert replayed.fingerprint == fingerprint_now(path)
    if expected.fold_version == FOLD_VERSION:
        assert replayed.counts == expected.counters


@pytest.mark.parametrize("seed", ["0", "1", "4294967295"])
@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_hash_seed_changes_nothing(path: Path, seed: str) -> None:
    """The state does not depend on how this process happens to hash strings."""
    said = subprocess.run(
        [sys.executable, "-m", "tests.fold_log", str(path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert json.loads(said.stdout)["fingerprint"] == fingerprint_now(path)
