"""A server that sends prepared bytes and does nothing else: what a watch can reach.

It runs in a process of its own, on the core that the service runs on in its turn.
"""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import grpc

from placement.bench.rounds import pinned

METHOD: Final = "/placement.bench.Raw/Stream"
LENGTH_BYTES: Final = 4
START_SECONDS_MAX: Final = 30.0
STOP_SECONDS_MAX: Final = 5.0


def write_messages(file: Path, messages: Collection[bytes]) -> None:
    """Keep *messages* for a server."""
    with file.open("wb") as out:
        for message in messages:
            out.write(len(message).to_bytes(LENGTH_BYTES, "big") + message)


def read_messages(file: Path) -> Iterator[bytes]:
    """Yield the messages of a file."""
    body, at = file.read_bytes(), 0
    while at < len(body):
        begin = at + LENGTH_BYTES
        at = begin + int.from_bytes(body[at:begin], "big")
        yield body[begin:at]


@asynccontextmanager
async def raw_server(file: Path, cores: Collection[int]) -> AsyncIterator[str]:
    """Give the address of a server that sends the messages of *file* to who calls."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(file, theirs), daemon=True)
    with pinned(cores):
        process.start()
    try:
        started = await asyncio.to_thread(ours.poll, START_SECONDS_MAX)
        if not started:
            raise TimeoutError
        yield f"127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        await asyncio.to_thread(process.join, STOP_SECONDS_MAX)
        process.close()


def _serve(file: Path, started: Connection) -> None:
    asyncio.run(_serving(list(read_messages(file)), started))


async def _serving(messages: list[bytes], started: Connection) -> None:
    async def stream(request: bytes, context: Any) -> None:  # noqa: ANN401 - grpc.aio's
        del request  # whatever it is
        for message in messages:
            await context.write(message)

    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    _, service, method = METHOD.split("/")
    handler: Any = grpc.unary_stream_rpc_method_handler(stream)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    started.send(port)
    await server.wait_for_termination()
