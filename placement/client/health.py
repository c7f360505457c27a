"""Asks a service by the standard health protocol: one call, nothing else."""

from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from placement.client.channels import open_channel
from placement.client.errors import call_error
from placement.client.tls import ClientTls

SERVING: Final = "SERVING"


async def service_health(
    target: str, *, timeout_s: float, tls: ClientTls | None = None
) -> str:
    """Return SERVING, NOT_SERVING or another state of the service at *target*.

    Raises PlacementCallError where none answers, and InputError for files that cannot
    be read. It is asked once.
    """
    async with open_channel(target, tls) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        try:
            answer = await stub.Check(request, timeout=timeout_s)  # type: ignore[attr-defined]  # its stubs lack it
        except grpc.aio.AioRpcError as error:
            raise call_error(error) from error
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
