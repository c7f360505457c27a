"""Starts ``placement`` often: each start is a fork of a process that has loaded it.

Most of what the program costs until it serves, a second and a half of a processor, is
Python reading modules; and it costs half a second to throw them away in the end. The
tests start it some hundred times.

Run by ``tests.programs`` as ``python -m tests.fork_server FD``. Each message on that
socket says what to run, with the file that its output goes to; answers tell of each
start, and of each end.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
from importlib import import_module
from typing import Any, Final

LOADED: Final = ("placement.cli.main", "placement.cli.serve", "placement.cli.agent")
MESSAGE_BYTES: Final = 1 << 20


def serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork whenever asked to; return what to run, in the fork, and None at the end."""
    woken, wakes = socket.socketpair()
    for each in (woken, wakes):
        each.settimeout(0)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a whole terminal
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            woken.recv(MESSAGE_BYTES)
            tell_ended(control)
        if control not in ready:
            continue
        message, outputs, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 1)
        if not message:
            return None  # whoever asked has ended
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for each in (woken, wakes, control):
                each.close()
            asked: dict[str, Any] = json.loads(message)
            become(asked, outputs[0])
            return asked
        os.close(outputs[0])
        control.send(json.dumps({"started": pid}).encode())


def tell_ended(control: socket.socket) -> None:
    """Say of each program that has ended how it did."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        code = os.waitstatus_to_exitcode(status)
        control.send(json.dumps({"ended": pid, "code": code}).encode())


def become(asked: dict[str, Any], output: int) -> None:
    """Be like a process that was started as *asked*, from its very beginning."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    os.chdir(asked["directory"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["placement", *asked["arguments"]]


def main() -> None:
    """Load all, and fork; in a fork, run the program."""
    for name in LOADED:
        import_module(name)
    gc.collect()
    gc.freeze()  # what all forks share is not looked through by any
    if serve(socket.socket(fileno=int(sys.argv[1]))) is not None:
        from placement.cli.main import main as placement  # noqa: PLC0415 - is loaded

        placement()


if __name__ == "__main__":
    main()
