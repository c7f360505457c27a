"""The growing file: many readers, one writer, and never a whole of what is damaged."""

import asyncio
from pathlib import Path

import pytest

from placement.agent.router.spool import Spool, SpoolBrokenError

BODY = bytes(range(256)) * 4096


def open_files() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def names_in(directory: Path) -> list[Path]:
    """Return what is in a directory."""
    return list(directory.iterdir())


async def read(spool: Spool) -> bytes:
    """Return all that a reader gets, and leave."""
    try:
        return b"".join([chunk async for chunk in spool.chunks()])
    finally:
        spool.leave()


async def test_readers_get_all_of_it_while_it_grows(tmp_path: Path) -> None:
    """Whenever they come: before, in the middle, at the end."""
    spool = Spool(tmp_path, len(BODY))
    readers = []
    for start in range(0, len(BODY), 100_000):
        spool.keep()
        readers.append(asyncio.create_task(read(spool)))
        await asyncio.sleep(0)
        spool.write(BODY[start : start + 100_000])
    spool.verified()

    assert await asyncio.gather(*readers) == [BODY] * len(readers)
    assert await spool.wait_settled()


async def test_last_byte_waits_until_all_are_verified(tmp_path: Path) -> None:
    """What turns out to be damaged is broken off, never completed."""
    spool = Spool(tmp_path, len(BODY))
    spool.keep()
    got = bytearray()

    async def reading() -> None:
        async for chunk in spool.chunks():
            got.extend(chunk)

    reader = asyncio.create_task(reading())
    spool.write(BODY)
    await asyncio.sleep(0.05)
    assert bytes(got) == BODY[:-1]
    spool.failed()

    with pytest.raises(SpoolBrokenError):
        await reader
    assert bytes(got) == BODY[:-1]


async def test_file_has_no_name_and_goes_with_its_last_user(tmp_path: Path) -> None:
    """Nothing is left behind, whatever ends the process."""
    before = open_files()
    spool = Spool(tmp_path, len(BODY))
    spool.keep()
    assert open_files() == before + 1
    assert names_in(tmp_path) == []

    spool.write(BODY)
    spool.verified()
    spool.leave()
    assert await read(spool) == BODY

    assert open_files() == before


async def test_nothing_at_all_is_whole_once_verified(tmp_path: Path) -> None:
    """The empty blob is a blob, too."""
    spool = Spool(tmp_path, 0)
    spool.verified()

    assert await read(spool) == b""


async def test_spool_that_all_have_left_is_nobody_s(tmp_path: Path) -> None:
    """Its descriptor may be another file's by then: joining it now is a bug."""
    spool = Spool(tmp_path, len(BODY))
    spool.leave()

    with pytest.raises(AssertionError, match="closed"):
        spool.keep()
