"""Of the services that share a port, at most one has a broker of its own.

Each of two brokers would have a log of its own, and callers of the one port would be
answered from either, as the kernel deals out connections.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from placement.ports import LogConfigurationError


@contextmanager
def own_broker_on(listen: str) -> Iterator[None]:
    """Be the one service at *listen*, HOST:PORT, that has a broker of its own.

    The claim is a name of the kernel's, which ends with this process however that ends.
    Raises LogConfigurationError where another service has it.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0placement-broker-of-{listen}")
    except OSError as error:
        claim.close()
        message = (
            f"another service on {listen} has a broker of its own, and with a second "
            "one this service would fold another log: give it that broker's nats.url, "
            "nats.user and nats.password, which are in nats/ of the other's data_dir "
            "(there nats.port keeps the address), or one nats-server to all of them"
        )
        raise LogConfigurationError(message, field="nats.url") from error
    try:
        yield
    finally:
        claim.close()
