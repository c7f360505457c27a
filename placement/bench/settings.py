"""What a suite of the bench is given: how much to measure, where, and with what.

Only ``app`` and the commands know the concrete parts: they hand in what makes them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

from placement.core.topology import Topology
from placement.ports import CheckpointStore, EventLog

Amount = TypeVar("Amount")

START_SECONDS_MAX: Final = 20.0


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker of our own listens, for those who speak to it themselves."""

    url: str
    user: str
    password: str = field(repr=False)
    stream: str


@dataclass(frozen=True, slots=True)
class Service:
    """A real ``placement serve`` in a process of its own."""

    target: str
    """Where it answers, HOST:PORT."""
    data_dir: Path
    process_id: int


class ServiceRunner(Protocol):
    """Starts a real service, with a broker of its own unless *settings* name one."""

    def __call__(
        self,
        directory: Path,
        *,
        arguments: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        cores: Collection[int] = (),
        start_seconds: float = START_SECONDS_MAX,
    ) -> AbstractAsyncContextManager[Service]:
        """Run it with its files under *directory*, until the block ends.

        *arguments* are further ones of ``placement serve``: the last of a kind counts.
        *settings* are PLACEMENT_ variables of its environment. *cores*: on these alone.
        It is live when the block begins, which is *start_seconds* later at the most.
        """


class LogOpener(Protocol):
    """Opens an empty log, over a broker of its own."""

    def __call__(
        self, directory: Path, *, synced: bool = True
    ) -> AbstractAsyncContextManager[tuple[EventLog, CheckpointStore]]:
        """Give a log and a checkpoint in *directory*, until the block ends.

        What is *synced* is on the disk before the log says that it is stored.
        """


@dataclass(frozen=True, slots=True)
class Settings:
    """What one suite is given."""

    quick: bool
    """Only enough to see that it works; its figures say nothing."""
    topology: Topology
    scratch: Path
    """An empty directory of the suite's own, on the disk that is measured."""
    open_log: LogOpener
    open_store: Callable[[Path], CheckpointStore]
    """Returns the checkpoint in a directory, as the service would open it."""
    broker_address: Callable[[Path], BrokerAddress]
    """Returns where the broker of an open log listens, by the log's directory."""
    run_service: ServiceRunner
    digests: int | None = None
    """How large a state, where a suite lets that be said; None: as it thinks best."""
    events: int | None = None
    """How long a log, where a suite lets that be said."""

    def pick(self, whole: Amount, quick: Amount) -> Amount:
        """Return how much of something is to be measured."""
        return quick if self.quick else whole

    def directory(self, name: str) -> Path:
        """Return a new, empty directory in ``scratch``."""
        made = self.scratch / name
        made.mkdir()
        return made
