"""Calls: within a deadline, and repeated while that may help.

Every call of the service may be repeated: questions change nothing, events and orders
carry ids of their own, and a decision that is called off twice is called off.
"""

import asyncio
import random
from typing import Final, TypeVar, cast

import grpc
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
)

from placement import tracing
from placement.client.channels import Channels, Method
from placement.client.errors import PlacementCallError, call_error, patience_s

Request = TypeVar("Request")
Response = TypeVar("Response")

ATTEMPTS_MAX: Final = 20
FIRST_WAIT_S: Final = 0.05
"""Before the second attempt: half of this to one and a half; then twice as long."""
LAST_WAIT_S: Final = 0.5
HANGS: Final = grpc.StatusCode.DEADLINE_EXCEEDED
ELSEWHERE: Final = frozenset(
    {
        HANGS,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
    }
)
"""After these, another target is asked, if there is one."""


async def call(
    method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
    request: Request,
    timeout_s: float,
) -> Response:
    """Return the answer of *method*, asked again while the service is UNAVAILABLE.

    A service that has no room, and says when it will have some, is asked again then.
    With several targets each attempt has half of the time that is left, so that one
    that hangs leaves time for another. Raises PlacementCallError, at the latest when
    *timeout_s* is over.
    """
    clock = asyncio.get_running_loop().time
    deadline_s = clock() + timeout_s
    channels = cast("Method", method).channels
    several = len(channels.targets) > 1

    def may_help(error: BaseException) -> bool:
        return (
            isinstance(error, PlacementCallError)
            and (error.retryable or (several and error.code is HANGS))
            and clock() + max(patience_s(error, 1), LAST_WAIT_S) < deadline_s
        )

    async for attempt in AsyncRetrying(
        retry=retry_if_exception(may_help),
        stop=stop_after_attempt(ATTEMPTS_MAX),
        wait=_pause_s,
        reraise=True,
    ):
        with attempt:
            left_s = max(0.0, deadline_s - clock())
            return await _once(method, request, left_s / 2 if several else left_s)
    raise AssertionError  # the last attempt returns or raises


def _pause_s(state: RetryCallState) -> float:
    """Return how long to wait before the next attempt, spread by chance."""
    chance = random.random()  # noqa: S311 - no secret
    wait_s = min(LAST_WAIT_S, FIRST_WAIT_S * 2.0 ** (state.attempt_number - 1))
    wait_s = min(LAST_WAIT_S, wait_s * (0.5 + chance))
    assert state.outcome is not None, "there was an attempt"
    error = state.outcome.exception()
    assert isinstance(error, PlacementCallError), "nothing else is repeated"
    return max(wait_s, patience_s(error, chance))


async def _once(
    method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
    request: Request,
    timeout_s: float,
) -> Response:
    channels = cast("Method", method).channels
    place = channels.place
    traced = tuple(tracing.headers().items()) or None
    started = method(request, timeout=max(0.0, timeout_s), metadata=traced)
    try:
        return await started
    except grpc.aio.AioRpcError as error:
        failure = call_error(error)
        leave(channels, place, failure.code)
        raise failure from None
    except asyncio.CancelledError:
        if told_to_end():
            raise
        raise closed_error() from None
    finally:
        started.cancel()  # grpc.aio never collects what is abandoned


def leave(channels: Channels, place: int, code: grpc.StatusCode) -> None:
    """Let another target be asked after *code*, where that is a target's fault."""
    if code in ELSEWHERE:
        channels.avoid(place)


def told_to_end() -> bool:
    """Say whether somebody cancelled this very task, or else the call alone."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def closed_error() -> PlacementCallError:
    """Return what a call fails with whose client was closed under it."""
    message, remedy = "the client was closed", "close it when nothing is under way"
    code = grpc.StatusCode.CANCELLED
    return PlacementCallError(code, code.name, message, remedy=remedy)
