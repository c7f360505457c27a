"""``placement watch`` as a program, against a real server in this process."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from placement.core.event import ContentEvicted, TagMoved
from tests.builders import API, FRA, IAD, LATEST, WEB, A, event, pushed, replicated
from tests.serving import Service, serving

PATIENCE_S = 30.0


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows an image in two regions and another one in one."""
    async with serving() as found:
        await found.stage.happen(
            pushed("a", IAD, tag=LATEST), replicated("a", FRA), pushed("b", IAD, API)
        )
        yield found


@asynccontextmanager
async def watching(
    service: Service, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the command; end it when done."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "placement", "watch", "--server", service.target),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def lines(process: asyncio.subprocess.Process, count: int) -> list[str]:
    """Return the next *count* lines that the command prints."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        return [(await process.stdout.readline()).decode() for _ in range(count)]


async def test_people_see_a_snapshot_and_then_the_changes(service: Service) -> None:
    """One line for each thing, as it comes."""
    async with watching(service, "--repository", WEB, "--tags") as process:
        first = await lines(process, 5)
        await service.stage.happen(
            event(FRA, ContentEvicted(WEB, (A,))), event(IAD, TagMoved(WEB, LATEST))
        )
        changes = await lines(process, 2)

    assert first[0].startswith("-- answered at sequence 3, LIVE")
    assert first[1] == "-- snapshot, requested:\n"
    assert first[2] == f"acme/web  {A[:19]}  10.0 MB  fra complete, iad complete\n"
    assert first[3] == f"acme/web:latest  {A[:19]}\n"
    assert first[4] == "-- from here on changes:\n"
    assert changes[0] == f"acme/web  {A[:19]}  10.0 MB  iad complete\n"
    assert changes[1] == "acme/web:latest  removed\n"


async def test_scripts_get_an_object_a_line_and_a_token_to_go_on(
    service: Service,
) -> None:
    """--once ends at the bookmark, and --resume begins there."""
    first = await answers(service, "--region", "fra")
    token = first[-1]["bookmark"]["resume_token"]
    await service.stage.happen(event(FRA, ContentEvicted(WEB, (A,))))
    second = await answers(service, "--region", "fra", "--resume", token)

    told = [answer["placement"] for answer in first if "placement" in answer]
    assert [(each["repository"], len(each["replicas"])) for each in told] == [(WEB, 2)]
    assert [next(iter(answer)) for answer in second] == [
        "status",
        "placement",
        "bookmark",
    ]
    assert second[1]["placement"]["replicas"] == []


async def answers(service: Service, *arguments: str) -> list[dict[str, Any]]:
    """Return what the command prints for scripts, up to the first bookmark."""
    async with watching(service, "-o", "json", "--once", *arguments) as process:
        async with asyncio.timeout(PATIENCE_S):
            printed, said = await process.communicate()
        assert process.returncode == 0, said
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--region", "no region"], 2, "--region"),
        (["--repository", "/"], 2, "--repository"),
        (["--resume", "x"], 2, "TOKEN_INVALID"),
        (["--server", "127.0.0.1:1"], 4, "placement serve"),
    ],
    ids=["region", "repository", "token", "nobody there"],
)
async def test_what_cannot_be_watched_is_said_with_its_exit_code(
    service: Service, arguments: list[str], code: int, said: str
) -> None:
    """As every command does."""
    async with watching(service, *arguments) as process:
        async with asyncio.timeout(PATIENCE_S):
            _, error = await process.communicate()

    assert process.returncode == code
    assert said in error.decode()
