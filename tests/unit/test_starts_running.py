"""Keeping readers running, asking a registry for tags, and the documents' examples."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from placement.agent.registry.client import Registry
from placement.agent.registry.settings import RegistrySettings
from placement.agent.starts import streams
from placement.agent.starts.catalogue import starts
from placement.agent.starts.counting import Machine
from placement.agent.starts.images import parse_image
from placement.agent.starts.opening import (
    kubernetes_settings,
    nomad_settings,
    opened,
)
from placement.agent.starts.running import Schedulers, tags_of
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import Found, Sighting, settled
from placement.agent.starts.streams import SchedulerError
from placement.agent.starts.telling import Teller
from placement.core.errors import InputError
from placement.core.event import Event, Identifier, MachinesCounted, Name
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from tests.scheduler_twins import KubernetesTwin, served

SETTINGS = StartSettings(region=Region("iad"), publisher=Name("agent/iad"))
DIGEST = Digest(f"sha256:{'d' * 64}")
FEEDS = Path(__file__).parents[2] / "docs/feeds.md"


async def find(_repository: Repository, _tag: Tag) -> Digest | None:
    """Every tag is the same image."""
    return DIGEST


class Steady:
    """A reader that runs on, and has one machine."""

    def __init__(self) -> None:
        """Begin."""
        self.runs = 0

    async def run(self) -> None:
        """Run until cancelled."""
        self.runs += 1
        await asyncio.Event().wait()

    async def machines(self) -> AsyncIterator[Machine]:
        """The machine."""
        yield Machine(Identifier("m"), Region("iad"), parse_image(f"a/b@{DIGEST}"))


class Falling(Steady):
    """A reader with a fault of ours."""

    async def run(self) -> None:
        """Fall over."""
        self.runs += 1
        message = "a bug"
        raise ValueError(message)


async def test_reader_that_falls_over_begins_anew_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other reader never stops, and machines are counted."""
    monkeypatch.setattr(streams, "BACKOFF_SECONDS", 0.001)
    told: list[Event] = []

    async def report(events: Sequence[Event]) -> None:
        told.extend(events)

    steady, falling = Steady(), Falling()
    teller = Teller(SETTINGS, report, find, lambda: 0.5)
    schedulers = Schedulers([steady, falling], teller, lambda: 1_000, 300.0)

    with capture_logs() as lines:
        task = asyncio.create_task(schedulers.run())
        async with asyncio.timeout(10):
            while falling.runs < 3:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0.001)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    assert steady.runs == 1
    assert {line["event"] for line in lines} == {"scheduler_reader_failed"}
    (event,) = told
    assert isinstance(event.fact, MachinesCounted)
    assert event.fact.complete


async def test_registry_is_asked_for_the_digest_of_a_tag() -> None:
    """By a HEAD; a tag that it does not have makes no start, nor does its silence."""

    def answer(request: httpx.Request) -> httpx.Response:
        if "/acme/web/" not in request.url.path:
            return httpx.Response(404 if "gone" in request.url.path else 500)
        headers = {"Docker-Content-Digest": DIGEST, "Content-Length": "5"}
        return httpx.Response(200, headers=headers)

    def seen(name: str) -> Sighting:
        return Sighting(
            event_id=Identifier(name),
            machine_id=Identifier(name),
            region=Region("iad"),
            image=parse_image(f"r.io/acme/{name}:v1"),
        )

    settings = RegistrySettings(region=Region("iad"), url="http://registry")
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        asked = tags_of(Registry(settings, http))
        found = Found((seen("web"), seen("gone"), seen("silent")))
        translation = await settled(found, asked, SETTINGS)

    assert [event.event_id for event in translation.events] == ["web"]
    assert [item.event_id for item in translation.ignored] == ["gone", "silent"]


async def test_documented_example_of_plain_json_is_understood() -> None:
    """What docs/feeds.md shows, a reader may post as it is."""
    blocks = re.findall(r"```json\n(.*?)```", FEEDS.read_text(), flags=re.DOTALL)
    (body,) = [block for block in blocks if '"counted"' in block]

    translation = await starts(SETTINGS, find)["machines"](body.encode(), {})

    assert len(translation.events) == len(json.loads(body)) == 4
    assert not translation.ignored + translation.malformed


async def test_token_is_read_anew_for_every_request_and_never_shown(
    tmp_path: Path,
) -> None:
    """A service account's token is renewed while the agent runs; a lost one is told."""
    twin, token_file = KubernetesTwin(), tmp_path / "token"
    token_file.write_text("first\n")

    async with served(twin.app) as url:
        settings = kubernetes_settings(url, token_file)
        async with opened(settings) as api:
            await api.get("/api/v1/nodes", {"limit": 1})
            token_file.write_text("second\n")
            await api.get("/api/v1/nodes", {"limit": 1})
            token_file.unlink()
            with pytest.raises(SchedulerError, match="token cannot be read"):
                await api.get("/api/v1/nodes", {"limit": 1})

    assert twin.tokens == {"Bearer first", "Bearer second"}
    assert "first" not in repr(settings)
    assert nomad_settings(url, None).header == "X-Nomad-Token"


async def test_file_that_holds_no_authorities_is_refused(tmp_path: Path) -> None:
    """At the start, by name."""
    (tmp_path / "ca.crt").write_text("none")

    with pytest.raises(InputError, match="PEM file"):
        async with opened(nomad_settings("https://x", None), tmp_path / "ca.crt"):
            pass
