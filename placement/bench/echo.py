"""An echo server: what a call costs that answers nothing, on the service's own stack.

``python -m placement.bench.echo HOST:PORT LOOP`` serves until it is ended. It says
nothing about placement: no interceptor, no message is parsed, each request is answered
with itself.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final

import grpc

METHOD: Final = "/placement.bench.Echo/Echo"


async def serve(target: str) -> None:
    """Echo at *target*, beside others that do so there, until the process is ended."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 1)])
    service, method = METHOD.strip("/").split("/")
    handler: Any = grpc.unary_unary_rpc_method_handler(_echo)
    handlers = grpc.method_handlers_generic_handler(service, {method: handler})
    server.add_generic_rpc_handlers((handlers,))
    server.add_insecure_port(target)
    await server.start()
    await server.wait_for_termination()


async def _echo(body: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpc's
    del context
    return body


def main(target: str, loop: str) -> None:
    """Echo on the event loop that the service runs on, too."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if loop == "uvloop":
        import uvloop  # noqa: PLC0415 - an extra

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(target))


if __name__ == "__main__":
    main(*sys.argv[1:])
