"""A fingerprint of a state that is being folded: what it holds up, and what not."""

import asyncio
from collections.abc import Iterator

import pytest

from placement.core.fingerprint import CanonicalRow, canonical_rows, fingerprint
from placement.core.state import State
from placement.runtime import fingerprints
from placement.runtime.fingerprints import Fingerprints
from placement.wire.events import encode_message
from tests.projecting import Host, pushes

EVENT_COUNT = 512


async def test_nothing_is_folded_and_others_are_let_in_meanwhile() -> None:
    """Of one state, whatever is stored meanwhile, which is folded right afterwards."""
    host = Host()
    await host.log.append(*encode_message(pushes(EVENT_COUNT)))
    async with host.running() as run:
        await run.until_live_at(1)
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(others())
        async with Fingerprints(run.view).taken() as found:
            passed = turns
            await host.store_each(pushes(3, EVENT_COUNT))
            for _ in range(20):
                await asyncio.sleep(0.01)
            assert run.view.state.sequence == 1
            assert found == fingerprint(run.view.state)
        beside.cancel()
        await run.until_live_at(4)

        assert passed > 3, "nobody was let in"
        assert run.fingerprint == await host.fingerprint()


async def test_whoever_asks_meanwhile_is_given_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rows of one position are read once, however many ask."""
    host, read = Host(), 0
    await host.store_each(pushes(3))
    async with host.running() as run:
        await run.until_live_at(3)
        shared = Fingerprints(run.view)

        async def asked() -> str:
            async with shared.taken() as found:
                return found

        def counted(state: State) -> Iterator[CanonicalRow]:
            nonlocal read
            read += 1
            return canonical_rows(state)

        monkeypatch.setattr(fingerprints, "canonical_rows", counted)
        first = set(await asyncio.gather(*(asked() for _ in range(5))))
        await host.store_each(pushes(1, 3))
        await run.until_live_at(4)
        later = await asked()

        assert len(first) == 1
        assert later == run.fingerprint
        assert later not in first
        assert read == 2


async def test_line_that_two_hold_goes_on_when_both_let_go() -> None:
    """A rebuild that holds it back, and a fingerprint: neither lets it go for both."""
    host = Host()
    await host.store_each(pushes(1))
    async with host.running() as run:
        await run.until_live_at(1)
        run.view.hold("other", held=True)
        with run.view.still():
            await host.store_each(pushes(1, 1))
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert run.view.state.sequence == 1

        run.view.hold("other", held=False)
        await run.until_live_at(2)
