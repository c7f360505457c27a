"""What a call failed with, in the words of the service where it said any."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from placement.core.errors import InputError, PlacementError

SPREAD: Final = 0.25
_REMEDIES: Final[Mapping[grpc.StatusCode, str]] = MappingProxyType(
    {
        grpc.StatusCode.UNAVAILABLE: (
            "check the address, that the service runs, and that both speak TLS or "
            "neither does"
        ),
        grpc.StatusCode.DEADLINE_EXCEEDED: "give the call more time, or repeat it",
        grpc.StatusCode.UNIMPLEMENTED: (
            "the service is older than this client, or is another program"
        ),
        grpc.StatusCode.RESOURCE_EXHAUSTED: "make the request smaller, or split it",
    }
)


class PlacementCallError(PlacementError):
    """A call failed. *reason* is from the documented list.

    Where the service itself gave no answer, *reason* is the name of the status code,
    such as UNAVAILABLE or DEADLINE_EXCEEDED.
    """

    def __init__(
        self, code: grpc.StatusCode, reason: str, message: str, **metadata: str
    ) -> None:
        """Keep all that a program may want to decide on."""
        super().__init__(message, **metadata)
        self.code = code
        self.reason = reason
        self.message = message
        self.field = metadata.get("field", "")
        """The request's field at fault; empty when none is."""
        self.remedy = metadata.get("remedy", "")
        """What to do about it, for people."""
        self.retryable = code is grpc.StatusCode.UNAVAILABLE
        """Whether the same call may succeed later."""


def unreadable_error(error: InputError) -> PlacementCallError:
    """Return what a call fails with whose certificates cannot be read now."""
    code = grpc.StatusCode.UNAVAILABLE
    return PlacementCallError(code, code.name, str(error), **error.metadata)


def silent_error(seconds: float) -> PlacementCallError:
    """Return what a watch fails with that hears nothing for so long."""
    code = grpc.StatusCode.DEADLINE_EXCEEDED
    message = f"the service said nothing for {seconds:g} seconds"
    remedy = "see whether it is overloaded, or ask another one"
    return PlacementCallError(code, code.name, message, remedy=remedy)


def patience_s(error: PlacementCallError, chance: float) -> float:
    """Return how long to wait at least before the same call; *chance* is 0 to 1.

    What the service said, and up to a quarter more: it cannot know who else waits.
    """
    return (error.retry_delay_ms or 0) / 1e3 * (1 + SPREAD * chance)


def call_error(error: grpc.aio.AioRpcError) -> PlacementCallError:
    """Return what *error* says, with the details that the service sent along.

    A service that stops cancels its calls: it is UNAVAILABLE. A call that ended here
    raises no such error.
    """
    code = error.code()
    if code is grpc.StatusCode.CANCELLED:
        code = grpc.StatusCode.UNAVAILABLE
    metadata = {"remedy": _REMEDIES.get(code, "")}
    reason, delay_ms = code.name, None
    status = rpc_status.from_call(cast("grpc.Call", error))
    for detail in () if status is None else status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            reason = info.reason
            metadata.update(info.metadata)
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            delay_ms = retry.retry_delay.ToMilliseconds()
    found = PlacementCallError(code, reason, error.details() or code.name, **metadata)
    found.retryable = found.retryable or delay_ms is not None
    found.retry_delay_ms = delay_ms
    return found
