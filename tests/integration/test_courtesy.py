"""Long work of a service rests while its server is called, and at no other time."""

import time
from collections.abc import Awaitable, Callable, Generator

import pytest

from placement.api.reading import SLICE_NS, Pace
from placement.runtime.slices import REST_SECONDS, in_slices, let_others_in
from placement.v1 import placement_service_pb2 as pb
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


@pytest.mark.parametrize("work", [paced, sliced, folded])
async def test_work_rests_while_the_server_is_called(
    monkeypatch: pytest.MonkeyPatch, work: Callable[[], Awaitable[None]]
) -> None:
    """So that calls are taken meanwhile, which other threads help with."""
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    async with serving() as service:
        await service.placement.GetServiceInfo(pb.GetServiceInfoRequest())
        with monkeypatch.context() as patch:
            patch.setattr("placement.runtime.slices.asyncio.sleep", sleep)
            await work()
    called, rests = rests, []
    with monkeypatch.context() as patch:
        patch.setattr("placement.runtime.slices.asyncio.sleep", sleep)
        await work()

    assert REST_SECONDS in called
    assert set(rests) == {0}
