"""Around every call: how it ended and how long it took, and a span where that is on."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import Any, Final

import grpc

from placement import tracing
from placement.runtime.calls import OK, MethodCalls

_UNKNOWN: Final = 2
"""gRPC's code of a call that ended otherwise than we said."""

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[Any]]


def measured(method: str, behaviour: Behaviour, calls: MethodCalls) -> Behaviour:
    """Return *behaviour* with each of its calls counted, and traced where that is on.

    However a call ends it is counted, by the code that its caller sees.
    """
    ended, answered = calls.ended, calls.took[OK].add
    name, active = method.removeprefix("/"), tracing.active

    async def answer(body: bytes, context: Context) -> Any:  # noqa: ANN401 - of its method
        began_ns = perf_counter_ns()
        try:
            if not active():
                response = await behaviour(body, context)
            else:
                with tracing.span(name, parent=trace_of(context)):
                    response = await behaviour(body, context)
        except BaseException as error:
            ended(code_of(error, context), perf_counter_ns() - began_ns)
            raise
        answered(perf_counter_ns() - began_ns)
        return response

    return answer


def trace_of(context: Context) -> str:
    """Return the context that a call came with; empty: none."""
    for key, value in context.invocation_metadata() or ():
        if key == tracing.HEADER:
            return tracing.parsed(str(value))
    return ""


def code_of(error: BaseException, context: Context) -> int:
    """Return the code with which a call ended that raised *error*."""
    if isinstance(error, asyncio.CancelledError):
        return int(grpc.StatusCode.CANCELLED.value[0])
    told: Any = context.code()  # its stub says that it is a number
    return int(told.value[0]) if isinstance(told, grpc.StatusCode) else _UNKNOWN
