"""What an agent set aside, looked at and sent again by commands."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from placement.adapters.data_directory import lock_data_directory
from placement.adapters.sqlite.inspection import read_spool
from placement.adapters.sqlite.spool import SqliteSpool
from placement.cli.main import main
from placement.spooling import Aside, Entry, Note, Settled, SpoolLimits

LIMITS = SpoolLimits(reserve_bytes=1 << 10)


def filled(state: Path) -> Path:
    """Return a spool in which three bodies are set aside, one of them damaged."""
    path = state / "spool.sqlite"

    async def fill() -> None:
        spool = await SqliteSpool.open(path, LIMITS, time.time_ns)
        await spool.settle(
            Settled(
                asides=[
                    Aside(
                        Note("harbor", b'{"a": 1}', 1_000, {"ce-id": "x"}),
                        "MALFORMED",
                        "0: type: no such",
                    ),
                    Aside(Note("zot", b"\xff\x00", 2_000), "SPOOL_DAMAGED", "zot"),
                    Aside(Note("harbor", b"late", 3_000), "REGION_INVALID", "iad"),
                ]
            )
        )
        await spool.close()

    asyncio.run(fill())
    return path


def waiting(path: Path) -> list[Entry]:
    """Return what an agent would send now, as its own spool has it."""

    async def read() -> list[Entry]:
        spool = await SqliteSpool.open(path, LIMITS, time.time_ns)
        found = await spool.waiting(10, 0.0)
        assert spool.figures.waiting_count == len(found)
        await spool.close()
        return list(found)

    return asyncio.run(read())


def spool(state: Path, *arguments: str) -> Result:
    """Return what ``placement spool`` says."""
    command = ("spool", *arguments, "--state-dir", str(state), "-o", "json")
    return CliRunner().invoke(main, command, catch_exceptions=False)


def answered(state: Path, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Return its answer, decoded."""
    result = spool(state, *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_what_is_sent_again_waits_as_it_came(tmp_path: Path) -> None:
    """Feed, headers, time and bytes: so it becomes the same events, by the same ids."""
    path = filled(tmp_path)
    listed = answered(tmp_path, "list", "--bodies")["asides"]

    resent = answered(tmp_path, "resend", "--all")

    assert [(one["number"], one["reason"]) for one in listed] == [
        (1, "MALFORMED"),
        (2, "SPOOL_DAMAGED"),
        (3, "REGION_INVALID"),
    ]
    assert listed[0]["body"] == '{"a": 1}'
    assert resent == {"resent": 2, "kept_damaged": [2]}
    entries = waiting(path)
    assert [entry.note for entry in entries] == [
        Note("harbor", b'{"a": 1}', 1_000, {"ce-id": "x"}),
        Note("harbor", b"late", 3_000),
    ]
    assert all(entry.intact for entry in entries)
    left = answered(tmp_path, "list")["asides"]
    assert [one["number"] for one in left] == [2]


def test_chosen_ones_are_dropped_and_no_others(tmp_path: Path) -> None:
    """By number or by reason; what is not there is an error, and nothing is done."""
    path = filled(tmp_path)

    wrong = spool(tmp_path, "drop", "1", "7")
    unclear = spool(tmp_path, "drop")
    by_number = answered(tmp_path, "drop", "2")
    by_reason = answered(tmp_path, "drop", "--reason", "MALFORMED")

    assert (wrong.exit_code, unclear.exit_code) == (2, 2)
    assert "placement spool list" in wrong.output
    assert (by_number, by_reason) == ({"dropped": 1}, {"dropped": 1})
    seen = read_spool(path)
    assert seen is not None
    assert (seen.asides, seen.set_aside_count) == ({"REGION_INVALID": 1}, 3)
    assert waiting(path) == []


def test_running_agent_is_left_alone_and_named(tmp_path: Path) -> None:
    """Whoever owns the directory writes alone; looking at it is for everybody."""
    filled(tmp_path)
    lock = lock_data_directory(tmp_path, tmp_path / "lock")

    refused = spool(tmp_path, "resend", "--all")
    listed = answered(tmp_path, "list")
    os.close(lock)

    assert refused.exit_code == 2
    assert f"process {os.getpid()}" in refused.output
    assert len(listed["asides"]) == 3


def test_full_spool_takes_none_of_them_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or none, within the limit that registries are held to."""
    path = tmp_path / "spool.sqlite"

    async def fill() -> None:
        opened = await SqliteSpool.open(path, LIMITS, time.time_ns)
        note = Note("zot", b"x" * 1_000_000, 1)
        await opened.put([note])
        await opened.settle(Settled(asides=[Aside(note, "MALFORMED", "")]))
        await opened.close()

    asyncio.run(fill())
    monkeypatch.setenv("PLACEMENT_AGENT__SPOOL__WAITING_BYTES_MAX", "1048576")

    refused = spool(tmp_path, "resend", "--all")

    assert refused.exit_code == 1
    assert "SPOOL_FULL" in refused.output
    assert len(answered(tmp_path, "list")["asides"]) == 1
