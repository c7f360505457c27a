"""Opens the log and the checkpoint that a configuration names."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from placement.adapters.broker.child import NatsChild, attach
from placement.adapters.data_directory import lock_data_directory, lock_holder
from placement.adapters.jetstream.inspection import inspecting
from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.adapters.jetstream.snapshots import StreamSnapshots
from placement.adapters.sqlite.asides import (
    drop_asides,
    list_asides,
    resend_asides,
)
from placement.adapters.sqlite.generations import (
    CheckpointGenerations,
    GenerationSettings,
)
from placement.adapters.sqlite.inspection import read_header, read_spool
from placement.backups import Snapshots
from placement.bench.settings import BrokerAddress
from placement.config import Config
from placement.inspections import Inspection
from placement.nats_authority.names import Role, role_inbox
from placement.nats_settings import nats_settings
from placement.ports import CheckpointStore, EventLog, LogUnavailableError
from placement.runtime.slices import rest_if_called

__all__ = [
    "broker_address",
    "checkpoint_path",
    "drop_asides",
    "inspecting_broker",
    "list_asides",
    "lock_data_directory",
    "lock_holder",
    "open_broker",
    "open_generations",
    "open_log",
    "open_scratch",
    "open_snapshots",
    "read_header",
    "read_spool",
    "resend_asides",
    "scratch_store",
    "spool_path",
]


@asynccontextmanager
async def open_log(config: Config, *, may_start: bool) -> AsyncIterator[EventLog]:
    """Give the log that the configuration names, for reading beside a service.

    Attaches to a running service's own broker; when none runs and *may_start*, starts
    one on the data directory for as long as the log is open. Raises
    LogUnavailableError when there is none.
    """
    async with AsyncExitStack() as stack:
        settings = attach(config.data_dir) if not config.nats.url else None
        if settings is None and not config.nats.url and not may_start:
            message = (
                f"no service runs on data directory {config.data_dir}: start it, or "
                "name the right one with data_dir or nats.url"
            )
            raise LogUnavailableError(message)
        log = JetStreamLog(settings or await open_broker(config, stack, Role.ANALYST))
        stack.push_async_callback(log.close)
        yield log


@asynccontextmanager
async def open_scratch(
    directory: Path, *, synced: bool = True
) -> AsyncIterator[tuple[EventLog, CheckpointStore]]:
    """Give an empty log, over a broker of its own, and a checkpoint in *directory*.

    What is *synced* is on the disk before the log says that it is stored.
    """
    async with AsyncExitStack() as stack:
        child = await NatsChild.start(directory, synced=synced)
        stack.push_async_callback(child.stop)
        log = JetStreamLog(child.settings)
        stack.push_async_callback(log.close)
        store = scratch_store(directory)
        stack.push_async_callback(store.close)
        yield log, store


def scratch_store(directory: Path) -> CheckpointStore:
    """Return the checkpoint in *directory*, as a service would keep it there."""
    return open_generations(Config(data_dir=directory))


def broker_address(directory: Path) -> BrokerAddress:
    """Return where the broker of the log in *directory* listens; it must be open."""
    settings = attach(directory)
    assert settings is not None, "its log is open"
    [server] = settings.servers
    user, password = settings.user or "", settings.password or ""
    return BrokerAddress(server, user, password, settings.stream)


async def open_broker(
    config: Config, stack: AsyncExitStack, role: Role
) -> JetStreamSettings:
    """Return how to reach the log; starts a broker of our own if none is named."""
    nats = config.nats
    if nats.url:
        return nats_settings(nats, role_inbox(role))
    child = await NatsChild.start(config.data_dir, nats.port or -1)
    stack.push_async_callback(child.stop)
    return replace(child.settings, max_bytes=nats.max_bytes or None)


def open_generations(config: Config) -> CheckpointGenerations:
    """Return the checkpoint of the service with *config*, with its older ones."""
    settings = GenerationSettings(
        copies=config.checkpoint.generation_count - 1,
        interval_seconds=config.checkpoint.generation_interval_seconds,
        older_bytes_max=config.past.checkpoint_bytes_max,
    )
    return CheckpointGenerations(checkpoint_path(config), settings, rest_if_called)


def checkpoint_path(config: Config) -> Path:
    """Return where the checkpoint is."""
    return config.data_dir / "checkpoint.sqlite"


@asynccontextmanager
async def open_snapshots(config: Config) -> AsyncIterator[Snapshots]:
    """Give what takes the log that *config* names as a file, and makes it anew.

    Where no service runs on the data directory, its broker is started meanwhile.
    """
    async with AsyncExitStack() as stack:
        settings = attach(config.data_dir) if not config.nats.url else None
        if settings is None:
            settings = await open_broker(config, stack, Role.OPERATOR)
        snapshots = StreamSnapshots(settings)
        stack.push_async_callback(snapshots.close)
        yield snapshots


def spool_path(config: Config) -> Path:
    """Return where the agent's spool is."""
    return config.agent.state_dir / "spool.sqlite"


@asynccontextmanager
async def inspecting_broker(config: Config, inbox: str) -> AsyncIterator[Inspection]:
    """Give what looks at the broker that *config* names, as the user it names.

    *inbox* is where that user is answered. Raises LogUnavailableError where no service
    runs that would bring its own, and InputError for secrets that are not there.
    """
    if config.nats.url:
        settings = nats_settings(config.nats, inbox)
    else:
        found = attach(config.data_dir)
        if found is None:
            message = (
                f"no service runs its own broker on data directory {config.data_dir}"
            )
            raise LogUnavailableError(message)
        settings = replace(found, max_bytes=config.nats.max_bytes or None)
    async with inspecting(settings) as inspection:
        yield inspection
