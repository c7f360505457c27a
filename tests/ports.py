"""Loopback ports for tests, none of which the system lends to a client."""

import os
import socket
from itertools import count
from typing import Final

_LOWEST: Final = 10_240
_SPAN: Final = 20_480
"""Below what Linux lends to clients, 32,768 to 60,999: else a server that is down for
a while might not find its port again."""
_STRIDE: Final = 257
"""Processes of one test run, whose ids are neighbours, begin this far apart."""
_numbers = count(os.getpid() * _STRIDE)


def free_port() -> int:
    """Return a loopback port that nobody listens on, and each time another one."""
    for number in _numbers:
        port = _LOWEST + number % _SPAN
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError
