"""What no service folds, listed, shown, and published again once it can be."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from placement.adapters.jetstream.log import JetStreamLog
from placement.api.server import ServerSettings, build_server
from placement.cli.main import main
from placement.core.event import Identifier
from placement.runtime import left_out as module
from placement.runtime.publisher import Publisher
from placement.runtime.quarantine import put_in_quarantine, read_quarantine
from placement.runtime.replay import replay
from placement.runtime.view import View
from placement.wire.events import encode_message
from tests.builders import IAD, TOPOLOGY, pushed
from tests.nats_server import NatsServer


@asynccontextmanager
async def serving(log: JetStreamLog) -> AsyncIterator[str]:
    """Give the address of a service that publishes into *log*."""
    view = View(time.time_ns)
    publisher = Publisher(log, view)
    server = build_server(ServerSettings(), view, TOPOLOGY, publisher, time.time_ns)
    port = await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def command(server: NatsServer, *arguments: str) -> Result:
    """Return what ``placement quarantine`` says, run beside this loop."""
    words = ["quarantine", *arguments, "--nats-url", server.url, "-o", "json"]
    return await asyncio.to_thread(CliRunner().invoke, main, words)


async def answered(server: NatsServer, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Return its answer, decoded."""
    result = await command(server, *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def filled(log: JetStreamLog) -> None:
    """Store three events in a message each, of which nobody folds the second."""
    for number in range(1, 4):
        event = pushed(f"layer-{number}", IAD)
        event = replace(event, event_id=Identifier(f"e-{number}"))
        subject, body, _ = encode_message([event])
        long_ago = f"id-{number}"  # which the stream has forgotten
        await log.append(subject, body, long_ago)
    await put_in_quarantine(log, 2, "it ended three runs", IAD)


@pytest.fixture(autouse=True)
def _inbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the commands be answered as by a server without permissions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLACEMENT_NATS__INBOX_PREFIX", "_INBOX")


async def test_what_is_left_out_counts_once_when_it_is_published_again(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """By its id, with the time that the log first had; a repeat changes nothing."""
    await filled(nats_log)
    before = await replay(nats_log)
    listed = await answered(nats, "list")
    shown = await answered(nats, "show", "2")
    async with serving(nats_log) as target:
        first = await answered(nats, "republish", "2", "--server", target)
        again = await answered(nats, "republish", "2", "--server", target)
    after = await replay(nats_log)

    [one] = listed["quarantined"]
    assert (one["sequence"], one["batch_index"]) == (2, 0)
    assert "it ended three runs" in one["reason"]
    assert [event["event_id"] for event in shown["events"]] == ["e-2"]
    assert shown["subject"] == "placement.events.v1.iad.content_pushed"
    assert [one["outcome"] for one in first["results"]] == ["stored"]
    assert [one["outcome"] for one in again["results"]] in (["stored"], ["duplicate"])
    folded = after.counts["folded"] - before.counts["folded"]
    assert folded == 1
    assert (await read_quarantine(nats_log)).skipped(2) == {0}, "that stays a fact"


async def test_what_still_cannot_be_folded_is_not_published(
    nats: NatsServer, nats_log: JetStreamLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would end every service three times again."""
    await filled(nats_log)
    status = await nats_log.status()

    def broken(*_arguments: object) -> None:
        message = "as ever"
        raise RuntimeError(message)

    monkeypatch.setattr(module, "fold", broken)

    refused = await command(nats, "republish", "2")
    unknown = await command(nats, "show", "1")

    assert (refused.exit_code, unknown.exit_code) == (2, 2)
    assert "as ever" in refused.output
    assert "placement quarantine list" in unknown.output
    assert await nats_log.status() == status
