"""What the bench's suites are given, made from the concrete parts."""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from placement import stores
from placement.bench.settings import START_SECONDS_MAX, Service, Settings
from placement.cli.demo_service import running_service
from placement.config import Config, load_topology


@contextmanager
def bench_settings(
    config: Config,
    parent: Path | None,
    *,
    quick: bool,
    digests: int | None = None,
    events: int | None = None,
) -> Iterator[Settings]:
    """Give what a suite needs, with a directory in *parent* for as long as it runs."""
    with TemporaryDirectory(prefix="placement-bench-", dir=parent) as directory:
        yield Settings(
            quick=quick,
            topology=load_topology(config),
            scratch=Path(directory),
            open_log=stores.open_scratch,
            open_store=stores.scratch_store,
            broker_address=stores.broker_address,
            run_service=_run_service,
            digests=digests,
            events=events,
        )


@asynccontextmanager
async def _run_service(
    directory: Path,
    *,
    arguments: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    cores: Collection[int] = (),
    start_seconds: float = START_SECONDS_MAX,
) -> AsyncIterator[Service]:
    told = (directory, arguments, settings or {}, cores, start_seconds)
    running = running_service(*told)
    async with running as service:
        yield Service(service.target, service.data_dir, service.process_id)
