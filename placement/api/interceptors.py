"""Around every call of ours: expected failures become rich statuses, and log lines.

Streams of health and reflection are left as they are. Cancellation passes through
untouched: it is no Exception.
"""

import secrets
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import Any, Final, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError

from placement.api.status import REASONS, crash_status, status_of
from placement.api.streaming import send_all
from placement.core.errors import InputError, PlacementError

SLOW_CALL_MS: Final = 100.0
SAMPLE_EVERY: Final = 1_000
"""A line for each call costs a tenth of the throughput, so one in so many gets one."""

OURS: Final = "/placement.v1."

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[Any]]

log = structlog.get_logger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in its stubs only
Continuation: TypeAlias = (
    "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"
)


class AnswerInterceptor(grpc.aio.ServerInterceptor):
    """Answers a unary call, or says why not, in the one way that is documented."""

    def __init__(self, sample_every: int = SAMPLE_EVERY) -> None:
        """Log one in *sample_every* of the calls that are neither slow nor failed."""
        self._sample_every = sample_every
        self._calls = 0

    async def intercept_service(
        self,
        continuation: "Continuation",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the handler of the call, with this interceptor around it."""
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            return None
        parse, streams = handler.request_deserializer, handler.unary_stream
        if streams is not None and method.startswith(OURS):

            async def stream(request: Any, context: Context) -> None:  # noqa: ANN401 - any
                await send_all(streams(request, context), context)

            behaviour, handle = stream, grpc.unary_stream_rpc_method_handler
        elif handler.unary_unary is not None:
            behaviour, handle = handler.unary_unary, grpc.unary_unary_rpc_method_handler
        else:
            return handler  # type: ignore[no-any-return]  # of another's stream

        async def answer(body: bytes, context: Context) -> Any:  # noqa: ANN401 - any response
            return await self._answer(method, parse, behaviour, body, context)

        # No deserializer: a request that cannot be read is answered like any other.
        return handle(answer, None, unless_written(handler.response_serializer))

    async def _answer(
        self,
        method: str,
        parse: Callable[[bytes], Any],
        behaviour: Behaviour,
        body: bytes,
        context: Context,
    ) -> Any:  # noqa: ANN401 - any response
        began_ns = perf_counter_ns()
        try:
            response = await behaviour(parsed(parse, body), context)
        except PlacementError as error:
            status = status_of(error)
            failed(method, error, began_ns)
        except grpc.aio.AbortError:
            raise  # it is answered already
        except Exception:
            error_id = secrets.token_hex(8)
            status = crash_status(error_id)
            log.exception("call_failed", method=method, error_id=error_id)
        else:
            if response is not None:  # how long a stream took says nothing
                self._answered(method, began_ns)
            return response
        return await context.abort_with_status(status)

    def _answered(self, method: str, began_ns: int) -> None:
        self._calls += 1
        duration_ms = (perf_counter_ns() - began_ns) / 1e6
        slow = duration_ms >= SLOW_CALL_MS
        if slow or self._calls % self._sample_every == 0:
            log.info(
                "call_answered",
                method=method,
                duration_ms=round(duration_ms, 3),
                slow=slow,
                calls=self._calls,
            )


def unless_written(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return what serializes messages, and leaves those that are written already."""

    def serialized(response: Any) -> bytes:  # noqa: ANN401 - any response
        return response if isinstance(response, bytes) else serialize(response)

    return serialized


def parsed(parse: Callable[[bytes], Any], body: bytes) -> Any:  # noqa: ANN401 - any request
    """Return the request; raises InputError for bytes that are none."""
    try:
        return parse(body)
    except DecodeError:
        remedy = "send the method's own message, with texts in UTF-8"
        raise InputError("request", f"{len(body)} bytes", remedy) from None


def failed(method: str, error: PlacementError, began_ns: int) -> None:
    """Log a call that was answered with an expected failure."""
    reason = REASONS.get(error.reason)
    ours = reason is None or reason.private
    write = log.warning if ours else log.info
    write(
        "call_failed",
        method=method,
        reason=error.reason,
        message=str(error),
        duration_ms=round((perf_counter_ns() - began_ns) / 1e6, 3),
    )
