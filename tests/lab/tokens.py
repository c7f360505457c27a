"""A region's token service: everybody who pulls there is somebody.

    python -m tests.lab.tokens HOST PORT DIRECTORY

DIRECTORY holds users.json, ``{name: {"password": …, "actions": […]}}``, and is given
a key and the certificate that registries trust, unless it has them.
"""

import json
import signal
import sys
import threading
from pathlib import Path

from tests.token_service import TokenService, User


def main() -> None:
    """Serve until a signal ends the process."""
    host, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    told = json.loads((folder / "users.json").read_text("utf-8"))
    users = {
        name: User(user["password"], tuple(user["actions"]))
        for name, user in told.items()
    }
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with TokenService(folder, users, address=(host, port)):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
