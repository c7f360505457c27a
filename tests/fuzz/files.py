"""Targets that read files which a disk, or somebody, changed: the agent's spool."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from placement.adapters.sqlite.spool import SqliteSpool
from placement.spooling import Note, SpoolLimits
from tests.fuzz.target import Target, own_directory

NOTES = 12
SECTOR = 512


def spool() -> Target:
    """A spool's file with bits flipped, sectors lost or its end cut off.

    It opens, whole or put aside, and hands out no body that is not as it was.
    """
    directory = own_directory()
    bodies = [bytes([number]) * 2_000 for number in range(NOTES)]
    limits = SpoolLimits(reserve_bytes=0)

    def file() -> bytes:
        path = directory / "whole.sqlite"

        async def fill() -> None:
            made = await SqliteSpool.open(path, limits, lambda: 1)
            await made.put([Note("harbor", body, 1, {}) for body in bodies])
            await made.close()

        with ThreadPoolExecutor(1) as beside:  # a loop may run here already
            beside.submit(lambda: asyncio.run(fill())).result()
        return path.read_bytes()

    whole = file()

    def make(chance: Random) -> bytes:
        spoiled = bytearray(whole)
        at = chance.randrange(len(spoiled))
        match chance.randrange(4):
            case 0:
                spoiled[at] ^= 1 << chance.randrange(8)
            case 1:
                sector = at - at % SECTOR
                spoiled[sector : sector + SECTOR] = bytes(SECTOR)
            case 2:
                del spoiled[at:]
            case _:
                spoiled[at : at + 64] = chance.randbytes(64)
        return bytes(spoiled)

    def fresh(body: bytes) -> Path:
        for old in directory.glob("given*"):
            old.unlink()
        path = directory / "given.sqlite"
        path.write_bytes(body)
        return path

    async def read(body: bytes) -> bool:
        path = fresh(body)
        opened = await SqliteSpool.open(path, limits, lambda: 1)
        try:
            waiting = await opened.waiting(NOTES, 0)
        finally:
            await opened.close()
        intact = [entry.note.body for entry in waiting if entry.intact]
        assert all(found in bodies for found in intact)
        return len(intact) == NOTES

    return Target("spool files", 60, make, read)
