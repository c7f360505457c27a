"""The service behind the door: asked what the replica cannot, or must not, answer.

Requests and answers pass as the bytes that they are, with their metadata, deadlines,
status details and cancellations.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import grpc

from placement.api.reading import Context
from placement.client.channels import Channels
from placement.core.errors import PlacementError

DETAILS_KEY: Final = "grpc-status-details-bin"
"""The metadata in which a service says itself what went wrong."""
_SILENT: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL})
_OWN_KEYS: Final = frozenset({"user-agent", "content-type", "te"})
"""Metadata of one connection, which the next one has of its own."""

Metadata = tuple[tuple[str, str | bytes], ...]


class ServiceUnreachableError(PlacementError):
    """The service gave no answer, and the replica cannot give it."""

    reason = "SERVICE_UNREACHABLE"

    def __init__(self, said: str) -> None:
        """Keep what gRPC *said* for the log."""
        super().__init__(f"the service gave no answer: {said}")


class Service:
    """Calls of one service, by the names of its methods and in bytes."""

    def __init__(self, channels: Channels) -> None:
        """Ask over *channels*."""
        self._channels = channels

    async def unary(
        self, path: str, body: bytes, timeout_s: float | None, metadata: Metadata = ()
    ) -> bytes:
        """Return the answer to one request.

        Raises AioRpcError with what the service said, and ServiceUnreachableError when
        it said nothing.
        """
        method: Any = self._channels.unary_unary(path)
        call = method(body, timeout=timeout_s, metadata=metadata)
        try:
            return bytes(await call)
        except grpc.aio.AioRpcError as error:
            if is_silent(error.code(), error.trailing_metadata()):
                raise ServiceUnreachableError(error.details() or "") from None
            raise
        finally:
            call.cancel()  # grpc.aio never collects what is abandoned

    async def pass_on(
        self, path: str, requests: AsyncIterator[bytes], context: Context
    ) -> None:
        """Let the service answer a call of any kind, request by request.

        It is ended there when it is ended here. Raises ServiceUnreachableError.
        """
        method: Any = self._channels.stream_stream(path)
        call = method(
            requests,
            timeout=context.time_remaining(),
            metadata=passed_on(context.invocation_metadata() or ()),
        )
        try:
            async for response in call:
                await context.write(response)
            code, trailing = await call.code(), await call.trailing_metadata()
            details = await call.details() or ""
        except grpc.aio.AioRpcError as error:
            code, trailing = error.code(), error.trailing_metadata()
            details = error.details() or ""
        finally:
            call.cancel()
        if is_silent(code, trailing):
            raise ServiceUnreachableError(details)
        await end(context, code, details, trailing)


async def end(
    context: Context,
    code: grpc.StatusCode,
    said: str,
    trailing: Any,  # noqa: ANN401 - of any call
) -> None:
    """End a call here as it ended there."""
    if code is grpc.StatusCode.OK:
        context.set_trailing_metadata(passed_on(trailing or ()))
        return
    await context.abort(code, said, tuple(trailing or ()))


def is_silent(code: grpc.StatusCode, trailing: Any) -> bool:  # noqa: ANN401 - of any call
    """Say whether a call failed without a word of the service's own.

    gRPC's client says INTERNAL of a call that ends while it still sends a request, and
    forgets what the call ended with; what the service says has details.
    """
    keys = {key for key, _ in trailing or ()}
    return code in _SILENT and DETAILS_KEY not in keys


def passed_on(metadata: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Return what of a call's metadata belongs to its caller, not its connection."""
    return tuple(
        (key, value)
        for key, value in metadata
        if key not in _OWN_KEYS and not key.startswith((":", "grpc-"))
    )
