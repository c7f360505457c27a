"""How long a command takes before it does anything, beside a Python that does nothing.

What a command does before its call ends when a listener here hears it knock: nobody
answers it, and it is ended at once. So neither a service nor a network is measured.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket
from typing import Final

from placement.bench.measured import Measured
from placement.bench.rounds import QUICK_ROUNDS, ROUNDS, in_turn
from placement.bench.settings import Settings

SUITE: Final = "startup"
PATIENCE_S: Final = 60.0
"""What has not knocked by then never will."""
ENDS: Final = "ends"
"""The contestant that every other one is compared with: it starts, and ends."""

_IMAGE: Final = f"acme/web@sha256:{64 * 'a'}"
CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    "sources": (_IMAGE, "--region", "syd"),
    "estimate": (_IMAGE, "--in", "syd"),
    "plan-pull": (_IMAGE, "--region", "syd"),
    "push-targets": ("acme/web", "--from", "syd"),
    "wait": (_IMAGE, "--in", "syd"),
    "show": (_IMAGE,),
    "explain": (_IMAGE, "--region", "syd"),
    "routes": (),
    "replicas": (),
    "preview": (),
    "request": (_IMAGE, "--to", "syd"),
    "replications": (),
    "replication show": ("r-1",),
    "explain-start": ("m-1",),
    "report": (),
    "status": (),
    "watch": (),
    "orders": (),
    "pause": ("--actor", "bench", "--reason", "measured"),
    "policy show": (),
}
"""The commands that ask the service, each with the least that it has to be told."""
_QUICK: Final = ("sources",)
_WITHOUT_A_CALL: Final[Mapping[str, tuple[str, ...]]] = {
    ENDS: ("-c", "pass"),
    "import_rich_click": ("-c", "import rich_click"),
    "help": ("-m", "placement", "--help"),
    "import_client": ("-c", "import placement.client"),
    "import_local_placements": ("-c", "import placement.client.local"),
    "import_serve": ("-c", "import placement.cli.serve"),
    "import_agent": ("-c", "import placement.agent_app.running"),
}


@dataclass(frozen=True, slots=True)
class _Starter:
    """Starts Python in a directory where no configuration lies."""

    directory: Path
    listener: socket

    def until_end(self, arguments: tuple[str, ...]) -> float:
        """Return the milliseconds from the start to the end."""
        began = time.perf_counter()
        with self._started(arguments) as process:
            assert process.wait(PATIENCE_S) == 0, arguments
            return 1_000 * (time.perf_counter() - began)

    def until_call(self, arguments: tuple[str, ...]) -> float:
        """Return the milliseconds from the start to the connection of the call."""
        host, port = self.listener.getsockname()
        server = ("--server", f"{host}:{port}")
        began = time.perf_counter()
        with self._started(("-m", "placement", *arguments, *server)) as process:
            try:
                connection, _ = self.listener.accept()
                taken = time.perf_counter() - began
                connection.close()
            finally:
                process.kill()
                process.wait(PATIENCE_S)
        self._forget_the_rest()
        return 1_000 * taken

    def _started(self, arguments: tuple[str, ...]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - this very program
            (sys.executable, *arguments),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _forget_the_rest(self) -> None:
        """Let what a command that is gone knocked once more with not be another's."""
        self.listener.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                self.listener.accept()[0].close()
        self.listener.settimeout(PATIENCE_S)


def measure(settings: Settings) -> list[Measured]:
    """Return milliseconds until each command calls, beside a Python that does nothing.

    All take turns, so that each ratio is of one run. A command that knocks at a socket
    of the kernel is heard at once, whoever else runs here.
    """
    chosen = settings.pick(tuple(CALLS), _QUICK)
    with socket(AF_INET, SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(PATIENCE_S)
        starter = _Starter(settings.directory("nowhere"), listener)
        contestants: dict[str, Callable[[], float]] = {
            name: partial(starter.until_end, arguments)
            for name, arguments in _WITHOUT_A_CALL.items()
        }
        for name in chosen:
            words = (*name.split(), *CALLS[name])
            contestants[f"{name}_called"] = partial(starter.until_call, words)
        samples = in_turn(contestants, settings.pick(ROUNDS, QUICK_ROUNDS))
    nothing = samples.pop(ENDS)
    return [
        *(
            found.measured(SUITE, name, "ms", nothing)
            for name, found in samples.items()
        ),
        nothing.measured(SUITE, "python_that_does_nothing", "ms"),
    ]
