"""Around every call of ours: expected failures become rich statuses, and log lines.

Services are added to an Answering as to a server, and it adds them to the real one with
this around each method: an interceptor would cost each call a tenth of what an echo
costs, and so do methods that are registered by their names, as generated code does.
Cancellation passes through untouched: it is no Exception.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any, Final, Protocol, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError

from placement.api.authority.caller import REASONS as DENIAL_REASONS
from placement.api.contents import TooSoonError
from placement.api.holding import Holding
from placement.api.measuring import measured
from placement.api.reasons import REASONS
from placement.api.status import crash_status, status_of
from placement.api.streaming import send_all
from placement.core.errors import InputError, PlacementError
from placement.runtime.calls import Calls, MethodCalls

SLOW_CALL_MS: Final = 100.0
COUNTED: Final = frozenset(
    {"OVERLOADED", "CALLER_LIMIT", "CONTENT_LIMIT", "DEADLINE_PASSED", "SNAPSHOT_LIMIT"}
)
"""Refusals that come in crowds: figures tell of them, and no line for each."""
DENIED: Final = frozenset(DENIAL_REASONS)
"""Figures tell of these, too; one has a line unless another just had it."""
DENIAL_LINE_NS: Final = 1_000_000_000
"""So long after a line about a denial there is none about another of its reason."""
SAMPLE_EVERY: Final = 1_000
"""A line for each call costs a tenth of the throughput, so one in so many gets one."""

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[Any]]

log = structlog.get_logger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in its stubs only


class Kept(Protocol):
    """Answers of one method that need not be computed again."""

    def find(self, body: bytes) -> bytes | None:
        """Return the answer to a request, both as they travel, or None."""

    def keep(self, body: bytes, request: Any, response: Any) -> None:  # noqa: ANN401 - of its method
        """Keep, for as long as it holds, what was just answered."""


class Guard(Protocol):
    """Somebody whom each call must pass before anything of it is read."""

    def enter(self, method: str, context: Context) -> None:
        """Let a call in; raises PlacementError that says why not."""

    def leave(self, method: str, context: Context) -> None:
        """Hear that a call that was let in has ended, however it did."""


class Answering:
    """Answers calls, or says why not, in the one way that is documented."""

    def __init__(
        self,
        server: grpc.aio.Server,
        sample_every: int = SAMPLE_EVERY,
        kept: Mapping[str, Kept] | None = None,
        guards: Sequence[Guard] = (),
        calls: Calls | None = None,
    ) -> None:
        """Add services to *server*; *kept* are answers by their method's whole name.

        A call passes all *guards*, in their order. One in *sample_every* of the calls
        that are neither slow nor failed is logged. *calls* counts all of them.
        """
        self._server = server
        self._counted = Calls() if calls is None else calls
        self._sample_every = sample_every
        self._kept = kept or {}
        self._guards = guards
        self._holding = Holding()
        self._calls = 0
        self._denial_told_ns: dict[str, int] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[object]) -> None:
        """Do nothing: generated code gives the same methods by name as well."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, Handler]
    ) -> None:
        """Add a service's methods to the server, each with this around it."""
        around = {
            name: self._around(f"/{service}/{name}", handler)
            for name, handler in handlers.items()
        }
        handler = grpc.method_handlers_generic_handler(service, around)
        self._server.add_generic_rpc_handlers((handler,))

    def _around(self, method: str, handler: Any) -> Any:  # noqa: ANN401 - of any request
        # No deserializer: a request that cannot be read is answered like any other.
        streams = handler.unary_stream is not None
        calls = self._counted.method(method, streams=streams)
        if streams:
            stream = self._guarded(method, self._streaming(method, handler, calls))
            encode = unless_written(handler.response_serializer)
            told = measured(method, stream, calls)
            return grpc.unary_stream_rpc_method_handler(told, None, encode)
        unary = self._unary(method, handler, self._kept.get(method))
        told = measured(method, self._guarded(method, unary), calls)
        return grpc.unary_unary_rpc_method_handler(told)

    def _guarded(self, method: str, behaviour: Behaviour) -> Behaviour:
        if not self._guards:
            return behaviour  # nobody pays for what is not there

        async def answer(body: bytes, context: Context) -> Any:  # noqa: ANN401 - of its method
            began_ns = perf_counter_ns()
            passed: list[Guard] = []
            try:
                for guard in self._guards:
                    guard.enter(method, context)
                    passed.append(guard)
                return await behaviour(body, context)
            except TooSoonError as error:
                await self._holding.hold(context.time_remaining())
                return await self._refuse(method, error, began_ns, context)
            except Exception as error:  # noqa: BLE001 - each becomes a status
                return await self._refuse(method, error, began_ns, context)
            finally:
                for guard in passed:
                    guard.leave(method, context)

        return answer

    def _unary(self, method: str, handler: Any, kept: Kept | None) -> Behaviour:  # noqa: ANN401
        parse, encode = handler.request_deserializer, handler.response_serializer
        behaviour = handler.unary_unary

        async def answer(body: bytes, context: Context) -> bytes:
            began_ns = perf_counter_ns()
            if kept is not None:
                found = kept.find(body)
                if found is not None:
                    self._answered(method, began_ns)
                    return found
            try:
                request = parsed(parse, body)
                response = await behaviour(request, context)
            except Exception as error:  # noqa: BLE001 - each becomes a status
                return await self._refuse(method, error, began_ns, context)
            if kept is not None:
                kept.keep(body, request, response)
            self._answered(method, began_ns)
            return bytes(encode(response))

        return answer

    def _streaming(self, method: str, handler: Any, calls: MethodCalls) -> Behaviour:  # noqa: ANN401
        parse, streams = handler.request_deserializer, handler.unary_stream

        async def answer(body: bytes, context: Context) -> None:
            began_ns = perf_counter_ns()
            calls.open_streams += 1
            try:
                await send_all(streams(parsed(parse, body), context), context, calls)
            except Exception as error:  # noqa: BLE001 - each becomes a status
                await self._refuse(method, error, began_ns, context)
            finally:
                calls.open_streams -= 1

        return answer

    async def _refuse(
        self, method: str, error: Exception, began_ns: int, context: Context
    ) -> bytes:
        """End the call with the status that *error* stands for."""
        if isinstance(error, grpc.aio.AbortError | grpc.aio.InternalError):
            raise error  # it is answered already, or the caller has left
        if isinstance(error, PlacementError):
            status = status_of(error)
            if self._has_line(error.reason, began_ns):
                failed(method, error, began_ns)
        else:
            error_id = secrets.token_hex(8)
            status = crash_status(error_id)
            log.error("call_failed", method=method, error_id=error_id, exc_info=error)
        await context.abort_with_status(status)
        raise AssertionError  # abort raises

    def _has_line(self, reason: str, began_ns: int) -> bool:
        """Say whether a refusal for *reason* is told by a line, or by figures alone."""
        if reason not in DENIED:
            return reason not in COUNTED
        told_ns = self._denial_told_ns.get(reason)
        if told_ns is not None and began_ns - told_ns < DENIAL_LINE_NS:
            return False
        self._denial_told_ns[reason] = began_ns
        return True

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


class Unregistered:
    """A server to which services are added as they are, but not registered by name."""

    def __init__(self, server: grpc.aio.Server) -> None:
        """Add services to *server*."""
        self._server = server

    def add_generic_rpc_handlers(
        self, handlers: Sequence[grpc.GenericRpcHandler]
    ) -> None:
        """Add a service's methods to the server."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, Handler]
    ) -> None:
        """Do nothing: generated code adds the same methods as generic ones, too."""


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
