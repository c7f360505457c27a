"""What a process and its disk may do to the agent's spool: end, fill up, fail, lie.

Functions that a test runs in a process of its own come first.
"""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from placement.adapters.sqlite.spool import SqliteSpool
from placement.spooling import (
    Aside,
    Note,
    Position,
    Settled,
    SpoolFsyncError,
    SpoolLimits,
    SpoolUnwritableError,
)

KILLS = 10
KILL_DELAY_MAX_S = 0.1
CHILD_SECONDS_MAX = 60
FLUSH_FAILED = 70
ROOT = Path(__file__).parents[2]


def opened(path: Path) -> "asyncio.Future[SqliteSpool]":
    """Return what opens the spool at *path*."""
    return asyncio.ensure_future(SqliteSpool.open(path, SpoolLimits(), time.time_ns))


def note(number: int, size: int = 600) -> Note:
    """Return a note that says its number."""
    return Note("distribution", f"{number}".encode().ljust(size), time.time_ns())


async def put_for_ever(path: Path) -> None:
    """Put one note after the other, eight at a time, and print each; until killed."""
    spool = await opened(path)
    number = spool.figures.waiting_count * 1_000_000

    async def put_some(first: int) -> None:
        current = first
        while True:
            await spool.put([note(current)])
            print(current, flush=True)  # noqa: T201  # the parent reads it
            current += 8

    await asyncio.gather(*(put_some(number + lane) for lane in range(8)))


async def fill_disk(path: Path) -> None:
    """On a disk of 64 MiB: put until it is full, send all, and so again.

    What was taken is there, also for a process that finds the disk full.
    """
    for size in (600, 200_000, 1_000_000):
        spool = await opened(path)
        taken = await put_until_full(spool, size)
        assert taken > 5
        assert spool.figures.waiting_count == taken
        await spool.close()

        spool = await opened(path)
        assert spool.figures.waiting_count == taken
        sent = await send_all(spool)
        assert sent == taken
        await spool.put([note(0, size)])  # there is room again
        await send_all(spool)
        await spool.close()


async def put_until_full(spool: SqliteSpool, size: int) -> int:
    """Return how many notes of *size* bytes were taken before one was refused."""
    for taken in range(100_000):
        try:
            await spool.put([note(taken, size)])
        except SpoolUnwritableError:
            return taken
    raise AssertionError


async def send_all(spool: SqliteSpool) -> int:
    """Settle all that waits, as a sender that tries again; return how many."""
    sent, failures = 0, 0
    while True:
        try:
            entries = await spool.waiting(256, 0)
            if not entries:
                return sent
            numbers = [entry.number for entry in entries]
            await spool.settle(Settled(numbers, Position("e", 1)))
            sent += len(numbers)
        except SpoolUnwritableError:
            failures += 1
            assert failures < 5


async def put_until_flush_fails(path: Path) -> None:
    """Put, and print each; end as the agent does. Afterwards nothing is taken."""
    spool = None
    try:
        spool = await opened(path)
        for number in range(1_000):
            await spool.put([note(number)])
            print(number, flush=True)  # noqa: T201  # the parent reads it
    except SpoolUnwritableError as error:
        if isinstance(error, SpoolFsyncError) and spool is not None:
            with pytest.raises(SpoolFsyncError):
                await spool.put([note(0)])
        os._exit(FLUSH_FAILED)


def child(function: str, path: Path, *prefix: str) -> list[str]:
    """Return the command that runs *function* of this module on *path*."""
    code = (
        "import asyncio, pathlib, sys\n"
        f"from tests.integration.test_spool import {function}\n"
        f"asyncio.run({function}(pathlib.Path(sys.argv[1])))\n"
    )
    return [*prefix, sys.executable, "-c", code, str(path)]


def killed_writer(path: Path, delay_s: float) -> list[int]:
    """Run put_for_ever on *path*, kill it, and return what was surely taken."""
    with subprocess.Popen(
        child("put_for_ever", path), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        lines = [writer.stdout.readline()]
        time.sleep(delay_s)
        writer.kill()
        lines += writer.stdout.readlines()
    return [int(line) for line in lines if line.endswith("\n")]


async def held(path: Path) -> list[int]:
    """Return the numbers of all notes that wait at *path*, and forget them."""
    spool = await opened(path)
    found: list[int] = []
    while entries := await spool.waiting(1_000, 0):
        assert all(entry.intact for entry in entries)
        found += [int(entry.note.body) for entry in entries]
        await spool.settle(Settled(dropped=[entry.number for entry in entries]))
    await spool.close()
    return found


@pytest.mark.timeout(CHILD_SECONDS_MAX + 3 * KILLS)
async def test_killed_writer_loses_nothing_that_was_taken(tmp_path: Path) -> None:
    """Kill -9 at any moment: every note whose put returned is there, once."""
    random = Random(8)
    taken_count = 0

    for _ in range(KILLS):
        path = tmp_path / "spool.sqlite"
        taken = killed_writer(path, random.uniform(0, KILL_DELAY_MAX_S))

        found = await held(path)

        assert set(taken) <= set(found)
        assert len(found) == len(set(found))
        taken_count += len(taken)
    assert taken_count > KILLS


def test_full_disk_refuses_keeps_what_was_taken_and_recovers(tmp_path: Path) -> None:
    """A file system that the spool itself filled: only its reserve is left to write."""
    mount = f"mount -t tmpfs -o size=64m tmpfs {tmp_path} && exec "
    shell = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run(
        [*shell, f"{mount} true"], capture_output=True, check=False
    ).returncode:
        pytest.skip("a full disk is a small tmpfs, and this user may mount none here")

    command = child(
        "fill_disk", tmp_path / "spool.sqlite", *shell, f'{mount} "$0" "$@"'
    )
    done = subprocess.run(
        command,
        cwd=ROOT,
        timeout=CHILD_SECONDS_MAX,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


# SQLite flushes the new WAL's name second, and keeps to itself whether that failed;
# the spool then flushes the directory once more.
@pytest.mark.parametrize("when", [1, 3, 5, 8])
async def test_failed_flush_is_told_and_never_repeated(
    tmp_path: Path, when: int
) -> None:
    """What was answered before is there for the next process; nothing is after it."""
    fault = [
        *("strace", "-f", "-qq", "-o", "/dev/null"),
        *("-e", "trace=fdatasync,fsync", "-e"),
        f"inject=fdatasync,fsync:error=EIO:when={when}",
    ]
    path = tmp_path / "spool.sqlite"
    if (
        not shutil.which("strace")
        or subprocess.run([*fault, "true"], check=False).returncode  # noqa: ASYNC221 - nothing else is to be done
    ):
        pytest.skip("no strace that may trace here")

    ended = subprocess.run(  # noqa: ASYNC221 - nothing else is to be done
        child("put_until_flush_fails", path, *fault),
        cwd=ROOT,
        timeout=CHILD_SECONDS_MAX,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == FLUSH_FAILED, ended.stderr
    taken = [int(line) for line in ended.stdout.split()]
    assert set(taken) <= set(await held(path))


async def test_damaged_file_is_put_aside_and_the_agent_goes_on(tmp_path: Path) -> None:
    """It is there for people to look at; what comes is taken again."""
    path = tmp_path / "spool.sqlite"
    spool = await opened(path)
    await spool.put([note(1)])
    await spool.close()
    path.write_bytes(b"no database at all" * 1_000)
    path.with_name("spool.sqlite-wal").unlink(missing_ok=True)

    spool = await opened(path)
    await spool.put([note(2)])
    await spool.close()

    assert (tmp_path / "spool.sqlite.damaged-1").read_bytes().startswith(b"no data")
    assert await held(path) == [2]


async def test_damaged_text_of_the_schema_is_put_aside_too(tmp_path: Path) -> None:
    """SQLite then speaks of it in bytes that are no text."""
    path = tmp_path / "spool.sqlite"
    spool = await opened(path)
    await spool.close()
    body = path.read_bytes()
    path.write_bytes(body.replace(b"CREATE TABLE entry", b"CREATE TABL\xd5 entry"))

    spool = await opened(path)
    await spool.put([note(2)])
    await spool.close()

    assert await held(path) == [2]


@pytest.mark.parametrize("value", ["{", "[]", 1], ids=str)
async def test_damaged_headers_of_an_entry_are_noticed(
    tmp_path: Path, value: object
) -> None:
    """It is handed out as what it is, and those behind it are sent."""
    path = tmp_path / "spool.sqlite"
    spool = await opened(path)
    await spool.put([note(1), note(2)])
    await spool.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE entry SET headers = ? WHERE number = 1", (value,))
    connection.close()

    spool = await opened(path)
    entries = await spool.waiting(10, 0)
    await spool.close()

    assert [entry.intact for entry in entries] == [False, True]


async def test_flipped_bit_in_a_body_is_noticed(tmp_path: Path) -> None:
    """SQLite would not: the entry says so, and those around it are whole."""
    path = tmp_path / "spool.sqlite"
    spool = await opened(path)
    await spool.put([note(1), note(2), note(3)])
    await spool.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE entry SET body = ? WHERE number = 2", (b"22",))

    spool = await opened(path)
    entries = await spool.waiting(10, 0)
    await spool.close()

    assert [entry.intact for entry in entries] == [True, False, True]


async def test_what_is_set_aside_can_be_read_by_any_tool(tmp_path: Path) -> None:
    """The oldest give way; each row says what it was and why it could not be sent."""
    path = tmp_path / "spool.sqlite"
    limits = SpoolLimits(aside_count_max=2)
    spool = await SqliteSpool.open(path, limits, time.time_ns)
    for number in range(4):
        aside = Aside(note(number), "MALFORMED", f"events: {number}")
        await spool.settle(Settled(asides=[aside]))
    await spool.close()

    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT feed, body, reason, detail FROM aside")
        found = [(feed, int(body), *rest) for feed, body, *rest in rows]

    assert found == [
        ("distribution", 2, "MALFORMED", "events: 2"),
        ("distribution", 3, "MALFORMED", "events: 3"),
    ]


async def test_many_puts_share_a_flush(tmp_path: Path) -> None:
    """A thousand at once are taken in far fewer transactions."""
    path = tmp_path / "spool.sqlite"
    spool = await opened(path)
    before = path.with_name("spool.sqlite-wal").stat().st_size

    await asyncio.gather(*(spool.put([note(number)]) for number in range(1_000)))
    grown = path.with_name("spool.sqlite-wal").stat().st_size - before
    await spool.close()

    assert grown < 1_000 * 2 * 4_096, "each alone would have written several pages"


async def test_cancelled_put_and_settle_leave_the_spool_in_order(
    tmp_path: Path,
) -> None:
    """Whoever gives up in the middle harms nobody: figures and rows still agree."""
    path = tmp_path / "spool.sqlite"
    spool = await opened(path)
    random = Random(4)
    for number in range(40):
        putting = asyncio.create_task(spool.put([note(number)]))
        await asyncio.sleep(random.uniform(0, 0.002))
        putting.cancel()
        entries = await spool.waiting(1_000, 0)
        numbers = [entry.number for entry in entries[:1]]
        settled = Settled(numbers, Position("e", number + 1))
        settling = asyncio.create_task(spool.settle(settled))
        await asyncio.sleep(random.uniform(0, 0.002))
        settling.cancel()
        with suppress(asyncio.CancelledError):
            await settling
        with suppress(asyncio.CancelledError):
            await putting
    await spool.put([note(99)])
    figures = spool.figures
    await spool.close()

    spool = await opened(path)
    assert spool.figures == figures
    await spool.close()
