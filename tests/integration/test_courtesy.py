"""Long work of a service rests while its server is called, and at no other time."""

import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager

import pytest

from placement.adapters.memory import MemoryCheckpointStore
from placement.api.reading import SLICE_NS, Pace
from placement.bench.made_state import StateMaker
from placement.config import Config, load_topology
from placement.core.fold import FOLD_VERSION
from placement.ports import CheckpointHeader, Chunk
from placement.runtime.checkpoint import Saver
from placement.runtime.slices import (
    REST_SECONDS,
    STAND_BACK_SECONDS_MAX,
    Courtesy,
    hurrying,
    in_slices,
    let_others_in,
    rest_if_called,
    stand_back,
)
from placement.v1 import placement_service_pb2 as pb
from tests.projecting import Host, pushes
from tests.serving import serving

SLICE_SECONDS = 3 * SLICE_NS / 1e9


async def paced() -> None:
    """Answer at length, as a page of a listing is."""
    pace = Pace()
    time.sleep(SLICE_SECONDS)  # noqa: ASYNC251 - the slice
    await pace.step()


async def sliced() -> None:
    """Hash, or save."""

    def steps() -> Generator[None, None, None]:
        for _ in range(2):
            time.sleep(SLICE_SECONDS)
            yield

    await in_slices(steps())


async def folded() -> None:
    """Fold a block."""
    time.sleep(SLICE_SECONDS)  # noqa: ASYNC251 - the slice
    await let_others_in()


async def packed() -> None:
    """Begin to save."""
    time.sleep(SLICE_SECONDS)  # noqa: ASYNC251 - the slice
    with hurrying():
        await stand_back(SLICE_SECONDS)


@contextmanager
def noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Note for how long work would rest within the block, and let it go on at once."""
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    with monkeypatch.context() as patch:
        patch.setattr("placement.runtime.slices.asyncio.sleep", sleep)
        yield rests


@pytest.mark.parametrize("work", [paced, sliced, folded, packed])
async def test_work_rests_while_the_server_is_called(
    monkeypatch: pytest.MonkeyPatch, work: Callable[[], Awaitable[None]]
) -> None:
    """So that calls are taken meanwhile, which other threads help with."""
    async with serving() as service:
        await service.placement.GetServiceInfo(pb.GetServiceInfoRequest())
        with noted(monkeypatch) as called:
            await work()
    with noted(monkeypatch) as alone:
        await work()

    assert REST_SECONDS in called
    assert set(alone) == {0}


async def test_what_nobody_waits_for_stands_back_while_the_server_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four times as long as it worked, and no longer than need be."""
    monkeypatch.setattr("placement.runtime.checkpoint.PACK_SECONDS", -1.0)
    async with serving() as service:
        await service.placement.GetServiceInfo(pb.GetServiceInfoRequest())
        with noted(monkeypatch) as rests:
            await stand_back(0.003)
            await stand_back(60.0)
            with hurrying():
                in_haste = rest_if_called()
            called = rest_if_called()
            before, state = len(rests), StateMaker(load_topology(Config())).made(100)
            await Saver(MemoryCheckpointStore(), FOLD_VERSION).save(state, "epoch")
    packing, alone = rests[before:], rest_if_called()

    assert rests[:2] == [0.012, STAND_BACK_SECONDS_MAX]
    assert (in_haste, called, alone) == (None, stand_back, None)
    assert len(packing) > 4
    assert not {0, REST_SECONDS} & set(packing)


async def test_a_save_that_somebody_waits_for_does_not_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last one of a run, during which the server may still be called."""
    hurried: list[bool] = []

    class Noting(MemoryCheckpointStore):
        async def save(self, header: CheckpointHeader, chunks: Iterable[Chunk]) -> None:
            hurried.append(rest_if_called() is None)
            await super().save(header, chunks)

    monkeypatch.setattr(Courtesy, "expects", lambda _courtesy, _now: True)
    async with serving() as service:
        await service.placement.GetServiceInfo(pb.GetServiceInfoRequest())
        host = Host(store=Noting())
        async with host.running() as run:
            await run.publish(pushes(3))
            await run.until(lambda: bool(hurried))
            await run.publish(pushes(6))
            await run.until_live_at(2)

    assert hurried[0] is False
    assert hurried[-1] is True
