"""An upgrade as operators see it: an older release's checkpoint, today's code."""

import gzip
from dataclasses import dataclass, replace
from pathlib import Path

from placement.adapters.memory import MemoryEventLog
from placement.adapters.sqlite.inspection import read_header
from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.core.fold import FOLD_VERSION
from placement.doctor import disk
from placement.doctor.finding import Verdict
from placement.runtime.view import ServingState
from placement.wire.events import message_hash
from tests.doctoring import about, findings, site_of
from tests.golden_logs import FOLDER, read_log
from tests.loaded import loaded
from tests.projecting import Host, pushes

LOG = FOLDER / "2-every-decision.jsonl"
CHECKPOINT = FOLDER.parent / "checkpoints" / "1-every-decision.sqlite.gz"


@dataclass
class Clock:
    """Stands where it is set: messages of the golden log keep their times."""

    now_ns: int = 0

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ns


def unpack(path: Path) -> None:
    """Put what an older release had saved at *path*."""
    path.write_bytes(gzip.decompress(CHECKPOINT.read_bytes()))


async def left_by_an_older_release(path: Path) -> tuple[Host, int]:
    """Return a host with the golden log, and at *path* what that release had saved.

    And the fold version by which it had.
    """
    clock = Clock()
    log = MemoryEventLog(clock, idle_seconds=0.05)
    _, messages = read_log(LOG)
    for message in messages:
        clock.now_ns = message.store_time_ns
        await log.append(message.subject, message.body, f"id-{message.sequence}")
    unpack(path)
    store = SqliteCheckpointStore(path)
    before = await loaded(store)
    assert before is not None
    last = await log.message(before.header.sequence)
    assert last is not None
    assert message_hash(last) == before.header.message_hash, "it is of this very log"
    epoch = (await log.status()).epoch
    await store.save(replace(before.header, epoch=epoch), [])
    await store.close()
    host = Host(log=log)
    host.store = SqliteCheckpointStore(path)  # type: ignore[assignment] # the real one
    return host, before.header.fold_version


async def test_older_checkpoint_answers_until_the_log_is_folded_anew(
    tmp_path: Path,
) -> None:
    """No second without answers; afterwards the state and the file are today's."""
    site = site_of(tmp_path)
    (tmp_path / "data").mkdir(mode=0o700)
    path = site.config.data_dir / "checkpoint.sqlite"
    host, older = await left_by_an_older_release(path)
    assert older < FOLD_VERSION
    told = await findings(disk.checkpoint, site)

    async with host.running() as run:
        restored = run.view.state.sequence
        generation = run.view.generation
        await run.until(lambda: run.view.generation > generation)
        await run.until(lambda: run.serving is ServingState.LIVE)
        fingerprint = run.fingerprint
    await host.store.close()

    assert about(told, f"fold version {older}").verdict is Verdict.WARN
    assert restored > 0, "it answered from what the older release had saved"
    assert fingerprint == await host.fingerprint()
    header = read_header(path)
    assert header is not None
    assert header.fold_version == FOLD_VERSION


async def test_downgrade_folds_the_log_anew_by_the_older_rules() -> None:
    """A newer release's checkpoint is as good to go on from as an older one's."""
    host, newer = Host(), FOLD_VERSION + 1
    await host.store_each(pushes(50))
    host.settings = replace(host.settings, fold_version=newer)
    async with host.running() as run:
        await run.until_live_at(50)
    host.settings = replace(host.settings, fold_version=FOLD_VERSION)

    async with host.running() as run:
        generation = run.view.generation
        await run.until(lambda: run.view.generation > generation)
        await run.until_live_at(50)
        fingerprint = run.fingerprint

    assert fingerprint == await host.fingerprint()
