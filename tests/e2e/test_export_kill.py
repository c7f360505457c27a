"""``placement export``, killed anywhere: it goes on, and ends with the same files."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from random import Random

import pytest

from placement import stores
from placement.bench.made_use import MadeUse
from placement.export.manifest import NAME, load_manifest
from tests.builders import TOPOLOGY
from tests.exporting import files_of

LONG = bool(os.environ.get("PLACEMENT_LONG"))
KILLS = 20 if LONG else 1
ROUNDS = 4 if LONG else 1
EVENTS_PER_FILE = 500
ENOUGH_SECONDS = 100.0


def started(
    data: Path, directory: Path
) -> "asyncio.Future[asyncio.subprocess.Process]":
    """Begin an export of the log in *data*."""
    return asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "placement", "export", str(directory)),
            *("--data-dir", str(data), "--events-per-file", str(EVENTS_PER_FILE)),
            *("-o", "json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    )


async def finished(data: Path, directory: Path) -> dict[str, object]:
    """Export to the end, and return what was said."""
    process = await started(data, directory)
    out, said = await asyncio.wait_for(process.communicate(), ENOUGH_SECONDS)
    assert process.returncode == 0, said.decode()
    told: dict[str, object] = json.loads(out)
    return told


async def killed(data: Path, directory: Path, random: Random) -> None:
    """Export, and kill it at some moment after it made some more files."""
    before = load_manifest(directory)
    count = (len(before.files) if before else 0) + random.randrange(4)
    process = await started(data, directory)
    while process.returncode is None:
        known = load_manifest(directory) if (directory / NAME).exists() else None
        if known is not None and len(known.files) >= count:
            break
        await asyncio.sleep(0.002)
    await asyncio.sleep(random.random() / 20)
    if process.returncode is None:
        os.kill(process.pid, signal.SIGKILL)
    await process.communicate()


@pytest.mark.timeout(600)
async def test_killed_exports_end_with_the_same_files(tmp_path: Path) -> None:
    """Whatever was half written is gone, and what was whole stays as it is."""
    data, whole, resumed = (tmp_path / name for name in ("data", "whole", "resumed"))
    data.mkdir()
    random = Random(20261130)
    async with stores.open_scratch(data, synced=False) as (log, _):
        use = MadeUse(sorted(TOPOLOGY.regions))
        for number in range(ROUNDS):
            for encoded in use.round(number):
                await log.append(*encoded)
        told = await finished(data, whole)
        for _ in range(KILLS):
            await killed(data, resumed, random)
        await finished(data, resumed)

    assert told["last_sequence"] == told["new_messages"] != 0
    assert files_of(resumed) == files_of(whole)
    hidden = {path.name for path in resumed.iterdir() if path.name.startswith(".")}
    assert hidden <= {".lock"}
