"""The files of our nats-server child, under ``nats`` in the data directory.

All of them are for the service's user only: whoever can read the password can write to
the log. The password is never an argument, which every user of the machine could read.
"""

import json
import os
import secrets
import select
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from placement.adapters.data_directory import lock_data_directory
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.adapters.log_message import MESSAGE_BYTES_MAX
from placement.ports import LogConfigurationError
from placement.private_files import write_private

USER = "placement"
PASSWORD_BYTES = 32
STOP_TIMEOUT_SECONDS = 5
SERVER_LOG_BYTES_MAX = 16 << 20
OUTPUT_LINES_MAX = 5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NatsDirectory:
    """The files under *root*, which is absolute."""

    root: Path

    @classmethod
    def of(cls, data_directory: Path) -> "NatsDirectory":
        """Return the one that belongs to a service with this data directory."""
        return cls(data_directory.resolve() / "nats")

    @property
    def configuration_file(self) -> Path:
        """What the server is started with; its path tells our child from others."""
        return self.root / "server.conf"

    @property
    def process_file(self) -> Path:
        """The process id of the child."""
        return self.root / "server.pid"

    @property
    def address_file(self) -> Path:
        """Where the child listens and where its password is; gone when it stops."""
        return self.root / "url"

    @property
    def password_file(self) -> Path:
        """The password, made once."""
        return self.root / "password"

    @property
    def lock_file(self) -> Path:
        """Locked by the service that owns the data directory."""
        return self.root / "lock"

    @property
    def output_file(self) -> Path:
        """What the server says before its own log is open."""
        return self.root / "output.log"

    def lock(self) -> int:
        """Own the directory until the returned descriptor is closed, or we end.

        Raises LogConfigurationError when another service does, or it is unusable.
        """
        return lock_data_directory(self.root.parent, self.lock_file)

    def password(self) -> str:
        """Return the password, which is made at the first call."""
        if not self.password_file.exists():
            write_private(self.password_file, secrets.token_urlsafe(PASSWORD_BYTES))
        return self.password_file.read_text(encoding="ascii").strip()

    def write_configuration(self, port: int, *, synced: bool) -> None:
        """Write the server's configuration; *port* -1 lets the system choose one.

        What is *synced* is on the disk before the server says that it is stored.
        """
        sync = ", sync_interval: always" if synced else ""
        text = f"""# Written by placement at every start.
server_name: placement
listen: "127.0.0.1:{port}"
max_payload: {MESSAGE_BYTES_MAX}
authorization {{ user: {quoted(USER)}, password: {quoted(self.password())} }}
jetstream {{ store_dir: {quoted(self.root / "jetstream")}{sync} }}
ports_file_dir: {quoted(self.root)}
log_file: {quoted(self.root / "server.log")}
logfile_size_limit: {SERVER_LOG_BYTES_MAX}
logfile_max_num: 2
"""
        write_private(self.configuration_file, text)

    def chosen_port(self, process_id: int) -> int | None:
        """Return where the server listens, or None while it does not yet."""
        for file in self.root.glob(f"*_{process_id}.ports"):
            with suppress(ValueError, KeyError, IndexError):
                url = json.loads(file.read_text(encoding="utf-8"))["nats"][0]
                return int(url.rpartition(":")[2])
        return None

    def write_address(self, port: int) -> None:
        """Let ``attach`` find the server."""
        url = f"nats://127.0.0.1:{port}"
        address = {"url": url, "user": USER, "password_file": str(self.password_file)}
        write_private(self.address_file, json.dumps(address) + "\n")

    def forget_child(self) -> None:
        """Remove what says that a server runs."""
        for file in (self.address_file, self.process_file, *self.root.glob("*.ports")):
            file.unlink(missing_ok=True)

    def last_output(self) -> str:
        """Return the last lines that the server wrote, to explain why it ended."""
        lines: list[str] = []
        for file in (self.root / "server.log", self.output_file):
            with suppress(OSError):
                text = file.read_text(encoding="utf-8", errors="replace")
                lines += text.splitlines()[-OUTPUT_LINES_MAX:]
        return "; ".join(lines[-OUTPUT_LINES_MAX:]) or "it wrote nothing"

    def child(self) -> int | None:
        """Return the process id of our child if it runs, whoever's child it is now."""
        try:
            process_id = int(self.process_file.read_text(encoding="ascii"))
            command = Path(f"/proc/{process_id}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        ours = os.fsencode(self.configuration_file) in command.split(b"\0")
        return process_id if ours else None

    def stop_stale_child(self) -> None:
        """Stop a server of ours that outlived its service. Call with the lock held."""
        process_id = self.child()
        if process_id is None:
            return
        log.warning("nats_child_stale", process_id=process_id)
        try:
            handle = os.pidfd_open(process_id)
        except ProcessLookupError:
            return
        try:
            if self.child() == process_id:  # the handle is of the process we looked at
                end(handle)
        finally:
            os.close(handle)


def end(handle: int) -> None:
    """Ask a process to end, and make it after STOP_TIMEOUT_SECONDS."""
    for request in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, request)
        readable, _, _ = select.select([handle], [], [], STOP_TIMEOUT_SECONDS)
        if readable:
            return


def attach(data_directory: Path) -> JetStreamSettings | None:
    """Return how to reach the log of the service that runs on *data_directory*.

    None when none runs there with its own server. Raises LogConfigurationError when
    its files belong to another user.
    """
    directory = NatsDirectory.of(data_directory)
    try:
        if directory.child() is None:
            return None
        address = json.loads(directory.address_file.read_text(encoding="utf-8"))
        password = Path(address["password_file"]).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except PermissionError as error:
        message = f"{error.filename} cannot be read: run this as the service's user"
        raise LogConfigurationError(message, field="data_dir") from error
    return JetStreamSettings(
        servers=(address["url"],), user=address["user"], password=password
    )


def quoted(value: object) -> str:
    """Return *value* as a string of nats-server's configuration language."""
    return json.dumps(str(value), ensure_ascii=False)
