"""What the client repeats, and when: against a service that refuses as it is told."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from placement.client import PlacementCallError, PlacementClient
from placement.v1 import placement_service_pb2 as pb


@dataclass
class Moody:
    """Refuses so many calls, with a code and perhaps a delay, and answers the rest."""

    refusals: int
    code: grpc.StatusCode
    delay_ms: int | None = None
    calls: list[float] = field(default_factory=list)
    target: str = ""

    async def answer(self, request: Any, context: Any) -> Any:  # noqa: ANN401 - as gRPC's
        """Refuse, or answer."""
        del request
        self.calls.append(monotonic())
        if len(self.calls) <= self.refusals:
            status = status_pb2.Status(code=self.code.value[0], message="not now")
            if self.delay_ms is not None:
                told = error_details_pb2.RetryInfo()
                told.retry_delay.FromMilliseconds(self.delay_ms)
                packed = any_pb2.Any()
                packed.Pack(told)
                status.details.append(packed)
            await context.abort_with_status(rpc_status.to_status(status))
        return pb.GetServiceInfoResponse(version="1")

    @property
    def pauses(self) -> list[float]:
        """Return the seconds between calls."""
        return [
            later - earlier
            for earlier, later in zip(self.calls, self.calls[1:], strict=False)
        ]


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Moody], Any]]:
    """Yield what serves a service, each on a port of its own."""
    servers = []

    async def start(moody: Moody) -> str:
        server = grpc.aio.server()
        method = grpc.unary_unary_rpc_method_handler(
            moody.answer,
            request_deserializer=pb.GetServiceInfoRequest.FromString,
            response_serializer=pb.GetServiceInfoResponse.SerializeToString,
        )
        handler = grpc.method_handlers_generic_handler(
            "placement.v1.PlacementService", {"GetServiceInfo": method}
        )
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        await server.stop(0)


async def test_delay_of_the_service_is_kept(serve: Callable[[Moody], Any]) -> None:
    """It says when it has room; a quarter more at the most is ours, by chance."""
    moody = Moody(2, grpc.StatusCode.RESOURCE_EXHAUSTED, delay_ms=300)

    async with PlacementClient(await serve(moody), timeout_s=10) as client:
        assert (await client.get_service_info()).version == "1"

    assert len(moody.calls) == 3
    assert all(0.3 <= pause < 2 for pause in moody.pauses)


async def test_delay_that_does_not_fit_is_told_at_once(
    serve: Callable[[Moody], Any],
) -> None:
    """The caller knows better what to do with that time."""
    moody = Moody(2, grpc.StatusCode.RESOURCE_EXHAUSTED, delay_ms=60_000)

    async with PlacementClient(await serve(moody), timeout_s=5) as client:
        with pytest.raises(PlacementCallError) as raised:
            await client.get_service_info()

    assert len(moody.calls) == 1
    assert raised.value.retryable
    assert raised.value.retry_delay_ms == 60_000


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ABORTED,
    ],
)
async def test_what_will_fail_again_is_not_repeated(
    serve: Callable[[Moody], Any], code: grpc.StatusCode
) -> None:
    """Without a delay there is no reason to think that it would not."""
    moody = Moody(2, code)

    async with PlacementClient(await serve(moody)) as client:
        with pytest.raises(PlacementCallError) as raised:
            await client.get_service_info()

    assert raised.value.code is code
    assert not raised.value.retryable
    assert len(moody.calls) == 1


async def test_waits_grow_and_differ(serve: Callable[[Moody], Any]) -> None:
    """Half a second at the most; those who lost a service do not come back as one."""
    moody = Moody(5, grpc.StatusCode.UNAVAILABLE)

    async with PlacementClient(await serve(moody), timeout_s=20) as client:
        assert (await client.get_service_info()).version == "1"

    assert len(moody.calls) == 6
    assert all(0.02 <= pause < 3 for pause in moody.pauses)
    assert len({round(pause, 4) for pause in moody.pauses}) > 1


async def test_service_without_room_is_left_for_another(
    serve: Callable[[Moody], Any],
) -> None:
    """Where there is one, the same call goes there after the delay."""
    full = Moody(99, grpc.StatusCode.RESOURCE_EXHAUSTED, delay_ms=100)
    free = Moody(0, grpc.StatusCode.OK)
    targets = [await serve(full), await serve(free)]

    async with PlacementClient(targets, timeout_s=10) as client:
        assert (await client.get_service_info()).version == "1"

    assert (len(full.calls), len(free.calls)) == (1, 1)
