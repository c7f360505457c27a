"""Whatever is saved, fails and is restarted, a checkpoint is a fold of the log."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from placement.adapters.memory import MemoryCheckpointStore
from placement.core.event import RecordedMessage
from placement.core.fingerprint import fingerprint
from placement.core.fold import FOLD_VERSION, fold
from placement.core.state import State
from placement.ports import CheckpointHeader, CheckpointUnwritableError, Chunk
from placement.runtime import checkpoint
from placement.runtime.checkpoint import Saver
from tests.builders import folded_log, rows_of
from tests.small_pages import small_pages
from tests.strategies import examples, logs

FAILURE = "as told"


class FailingStore(MemoryCheckpointStore):
    """A store that fails as it is told to, before or after it kept what it got."""

    def __init__(self) -> None:
        """Begin with no failures."""
        super().__init__()
        self.fails = ""

    async def save(self, header: CheckpointHeader, chunks: Iterable[Chunk]) -> None:
        """Save, and say something else if told to."""
        if self.fails != "before":
            await super().save(header, chunks)
        if self.fails:
            raise CheckpointUnwritableError(FAILURE)


class Run:
    """A service's state, its log, and its checkpoint."""

    def __init__(self, log: list[RecordedMessage]) -> None:
        """Begin before *log*."""
        self.log = log
        self.state, self.store = State(), FailingStore()
        self.saver = Saver(self.store, FOLD_VERSION)

    def fold(self) -> None:
        """Fold the next message, if there is one."""
        for message in self.log[len(self.folded) :][:1]:
            fold(self.state, message)

    @property
    def folded(self) -> list[RecordedMessage]:
        """What of the log the state is a fold of."""
        return [each for each in self.log if each.sequence <= self.state.sequence]

    async def save(self, fails: str, meanwhile: int) -> None:
        """Save, folding some messages *meanwhile*."""
        self.store.fails = fails

        async def go_on() -> None:
            for _ in range(meanwhile):
                await asyncio.sleep(0)
                self.fold()

        with suppress(CheckpointUnwritableError):
            await asyncio.gather(self.saver.save(self.state, "epoch"), go_on())

    async def restart(self) -> None:
        """Go on from the checkpoint, which is the fold of a part of the log."""
        self.saver = Saver(self.store, FOLD_VERSION)
        loaded = await self.saver.load()
        self.state = State() if loaded is None else loaded[1].state()
        whole = folded_log(self.folded)
        assert rows_of(self.state) == rows_of(whole)
        assert fingerprint(self.state) == fingerprint(whole)

    def swap(self) -> None:
        """Fold the log anew, as a rebuild does, and go on with that."""
        again = State()
        for message in self.folded:
            fold(again, message)
        self.state = again


steps = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from(("", "", "", "before", "after")),
        st.integers(0, 3),
        st.sampled_from(("", "", "restart", "swap")),
    ),
    max_size=6,
)


@examples(40)
@given(logs(most=16), steps)
def test_checkpoint_is_a_fold_of_the_log(
    log: list[RecordedMessage], steps: list[tuple[int, str, int, str]]
) -> None:
    """Through saves that failed, or that only seemed to; restarts; another state."""

    async def go() -> None:
        run = Run(log)
        for count, fails, meanwhile, after in steps:
            for _ in range(count):
                run.fold()
            await run.save(fails, meanwhile)
            if after == "restart":
                await run.restart()
            elif after == "swap":
                run.swap()
        await run.save("", 0)
        sequence = run.state.sequence
        await run.restart()
        assert run.state.sequence == sequence

    with small_pages(), patch.object(checkpoint, "PACK_SECONDS", 0):
        asyncio.run(go())
