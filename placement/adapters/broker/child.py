"""Our own nats-server: started, watched, started again, and ended with the service."""

import asyncio
import os
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

import structlog

from placement.adapters.broker import launcher
from placement.adapters.broker.binary import find_server
from placement.adapters.broker.directory import (
    STOP_TIMEOUT_SECONDS,
    USER,
    NatsDirectory,
    attach,
)
from placement.adapters.jetstream.connection import Connection
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.ports import LogConfigurationError, LogUnavailableError

__all__ = ["NatsChild", "attach"]

START_TIMEOUT_SECONDS = 120
"""A server with a large store reads it through before it listens."""

START_POLL_SECONDS = 0.02
RESTART_SECONDS_MIN = 0.1
RESTART_SECONDS_MAX = 2.0
STEADY_SECONDS = 5.0
"""A server that ran for so long is restarted at once again, without back-off."""

log = structlog.get_logger()


class NatsChild:
    """A nats-server on loopback that stores under a data directory.

    It keeps its port when it is restarted, so that clients find it again. It ends with
    ``stop``, and by the kernel's doing when this process ends in any other way.
    """

    def __init__(self, directory: NatsDirectory, binary: Path) -> None:
        """Belong to *directory*; ``start`` does the rest."""
        self._directory = directory
        self._binary = binary
        self._port = -1
        self._synced = True
        self._lock: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, data_directory: Path, port: int = -1, *, synced: bool = True
    ) -> Self:
        """Return a child that serves JetStream; *port* -1 lets the system choose one.

        What is not *synced* may be lost with the machine: for benchmarks of reading.
        Raises LogConfigurationError (no usable nats-server, the data directory belongs
        to another service, the server refuses to start) and LogUnavailableError.
        """
        binary = await asyncio.to_thread(find_server)
        child = cls(NatsDirectory.of(data_directory), binary)
        child._port = port
        child._synced = synced
        try:
            child._lock = child._directory.lock()
            await asyncio.to_thread(child._directory.stop_stale_child)
            await child._spawn()
            await child._wait_until_ready()
            child._directory.write_address(child._port)
        except BaseException:
            await child.stop()
            raise
        child._supervisor = asyncio.create_task(child._supervise())
        log.info("nats_child_started", port=child._port, process_id=child.process_id)
        return child

    @property
    def settings(self) -> JetStreamSettings:
        """How to reach it; the stream's settings are the defaults."""
        return JetStreamSettings(
            servers=(f"nats://127.0.0.1:{self._port}",),
            user=USER,
            password=self._directory.password(),
        )

    @property
    def process_id(self) -> int:
        """The process id of the server that runs now, or ran last."""
        assert self._process is not None
        return self._process.pid

    async def stop(self) -> None:
        """End the server, by force after STOP_TIMEOUT_SECONDS, and free the directory.

        Close the logs that use it first.
        """
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
            self._supervisor = None
        if self._process is not None:
            await ended(self._process)
        if self._lock is not None:
            self._directory.forget_child()
            os.close(self._lock)
            self._lock = None
            log.info("nats_child_stopped")

    async def _spawn(self) -> None:
        """Start the server, on the port that it had before."""
        directory = self._directory
        for leftover in directory.root.glob("*.ports"):
            leftover.unlink(missing_ok=True)
        directory.write_configuration(self._port, synced=self._synced)
        with directory.output_file.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", launcher.__file__),
                *(str(os.getpid()), self._binary, directory.configuration_file),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # an interrupt from a terminal is for us
            )
        directory.process_file.write_text(f"{self._process.pid}\n", encoding="ascii")

    async def _wait_until_ready(self) -> None:
        """Wait for JetStream, and learn the port on the way.

        Raises LogConfigurationError when the server ends, and LogUnavailableError.
        """
        assert self._process is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                while self._process.returncode is None:
                    port = self._directory.chosen_port(self._process.pid)
                    if port is not None:
                        self._port = port
                        if await answers(self.settings):
                            return
                    await asyncio.sleep(START_POLL_SECONDS)
        output = self._directory.last_output()
        if self._process.returncode is not None:
            message = f"{self._binary} ended at its start: {output}"
            raise LogConfigurationError(message)
        message = f"{self._binary} is not ready in {START_TIMEOUT_SECONDS} s: {output}"
        raise LogUnavailableError(message)

    async def _supervise(self) -> None:
        """Start the server again whenever it ends, later and later if at once."""
        assert self._process is not None
        clock = asyncio.get_running_loop().time
        wait_seconds = RESTART_SECONDS_MIN
        while True:
            began_seconds = clock()
            code = await self._process.wait()
            ran_seconds = clock() - began_seconds
            if ran_seconds >= STEADY_SECONDS:
                wait_seconds = RESTART_SECONDS_MIN
            output = self._directory.last_output()
            log.error("nats_child_died", code=code, ran_s=ran_seconds, output=output)
            await asyncio.sleep(wait_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
            wait_seconds = min(2 * wait_seconds, RESTART_SECONDS_MAX)
            try:
                await self._spawn()
            except OSError as error:
                log.exception("nats_child_not_started", error=str(error))
            else:
                log.info("nats_child_restarted", process_id=self._process.pid)


async def answers(settings: JetStreamSettings) -> bool:
    """Return whether JetStream answers there now."""
    connection = Connection(settings)
    try:
        await connection.api("INFO")
    except LogUnavailableError:
        return False
    finally:
        await connection.close()
    return True


async def ended(process: asyncio.subprocess.Process) -> None:
    """End *process*, by force after STOP_TIMEOUT_SECONDS."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
