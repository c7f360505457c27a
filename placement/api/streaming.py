"""Streams of answers: each response is sent with patience, and not for ever.

``grpc.aio`` holds a response back while the reader's window is full. A handler that is
a generator would wait there without a limit and could say nothing, so generators are
run here, where sending has a deadline. Once it has passed, the generator is told at its
``yield``; what it raises becomes the call's status, which the reader finds behind the
responses that are still on their way.

The call's metadata goes ahead of the first response, by itself: one that is sent along
with a response that nobody took counts as not sent, and the status would be refused by
gRPC for sending it again (``grpc.aio`` notes it once the response is gone).
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import grpc

from placement.api.reading import Context
from placement.runtime.calls import MethodCalls

BEGIN_SECONDS_MAX: Final = 10.0
"""For the metadata; where not even they are taken, nobody hears of the status."""
SEND_SECONDS_MAX: Final = 10.0


class SendTimeoutError(Exception):
    """Raised at a generator's ``yield``: nobody took its response in time."""


async def send_all(
    responses: AsyncGenerator[Any, None], context: Context, calls: MethodCalls
) -> None:
    """Send what *responses* yields, counted in *calls*, and close it.

    Raises what it raises, and SendTimeoutError if it does not mind that one.
    """
    begun = False
    async with aclosing(responses):
        async for response in responses:
            try:
                if not begun:
                    async with asyncio.timeout(BEGIN_SECONDS_MAX):
                        await context.send_initial_metadata(())
                    begun = True
                async with asyncio.timeout(SEND_SECONDS_MAX):
                    await context.write(response)
            except TimeoutError:
                await responses.athrow(SendTimeoutError())
                raise SendTimeoutError from None
            except grpc.aio.InternalError:
                return  # the connection broke while the response was held back
            calls.messages += 1
