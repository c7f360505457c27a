"""Become a nats-server that ends with its parent, however that ends.

Run as a file, by itself: ``python launcher.py PARENT_PID NATS_SERVER CONFIG``. It
imports nothing of the project, so that it takes a few milliseconds.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
ARGUMENT_COUNT = 4


def main(arguments: list[str]) -> None:
    """Ask the kernel for SIGTERM at the parent's end, then become the server.

    Source: prctl(2). The request survives execve(2).
    """
    if len(arguments) != ARGUMENT_COUNT:
        sys.exit("usage: launcher.py PARENT_PID NATS_SERVER CONFIG")
    parent, binary, configuration = arguments[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit("the parent ended before the server began")
    os.execv(binary, [binary, "-c", configuration])  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    main(sys.argv)
