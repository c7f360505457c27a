"""An export beside a running service tells what that service's own answers tell."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import placement
from placement import stores
from placement.client import PlacementClient
from placement.config import Config
from placement.core.counts import DAY_NS
from placement.core.event import (
    CacheKind,
    DurationNs,
    Event,
    Identifier,
    MachineStarted,
)
from placement.core.oci import Repository, parse_digest
from placement.core.reporting.report import app_key
from placement.wire.events import encode_message
from placement.wire.json import plain
from tests.builders import IAD, SECOND_NS, SYD
from tests.decided import Decided
from tests.real_service import RealService

CAPTURED = Path(placement.__file__).parent / "data" / "notifications"
REGISTRIES = "a=iad,b=fra,c=ams"
IMAGE = "sha256:83695e86d2cdc2d2e2add2124d51494990f9b2118f35cb43aeadc28cf2a29290"
ENOUGH_SECONDS = 60


def program(*arguments: object) -> str:
    """Run ``placement`` and return what it printed."""
    command = [sys.executable, "-m", "placement", *map(str, arguments)]
    found = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=ENOUGH_SECONDS
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def told() -> list[Event]:
    """Return copies that came to several ends, and starts that had been promised."""
    story = Decided()
    for number in range(12):
        name = f"v{number}"
        story.release(name)
        if number % 4 == 0:
            story.withhold(name)
        elif number % 4 == 1:
            story.fail(story.plan(name))
        else:
            story.complete(story.plan(name))
        story.start(name, wait_s=0.33 if number % 4 > 1 else 9.0)
    for number in range(20):
        fact = MachineStarted(
            parse_digest(IMAGE),
            Repository("team/app"),
            Identifier(f"promised-{number}"),
            image_wait_ns=DurationNs((1 + number % 5) * SECOND_NS),
            source_region=IAD,
            transferred_bytes=1_000_000,
            cache=CacheKind.REMOTE,
            expected_wait_p50_ns=DurationNs(2 * SECOND_NS),
            expected_wait_p90_ns=DurationNs(4 * SECOND_NS),
        )
        story.tell(SYD, fact)
    return [
        Event(Identifier(f"told-{number}"), one.region, one.fact)
        for number, (_, one) in enumerate(story.told)
    ]


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_figures_are_those_of_the_running_service(tmp_path: Path) -> None:
    """GetReport, ListRoutes and queries agree, over captured and made events."""
    service = RealService(tmp_path)
    service.start()
    try:
        service.wait_until_serving()
        files = sorted(CAPTURED.glob("*.json"))
        given = ("--region-map", REGISTRIES, "--rebase-to-now")
        program("publish", *files, *given, "--server", service.target)
        last = await _store(service.data_dir)
        directory = tmp_path / "out"
        program("export", directory, "--data-dir", service.data_dir)
        async with PlacementClient(service.target) as client:
            await _until(client, last)
            start_ns = time.time_ns() - 7 * DAY_NS
            report = plain(await client.get_report(start_ns, by="app"))
            routes = plain(await client.list_routes())
    finally:
        service.stop()

    _check_report(directory, report)
    _check_routes(directory, routes)


async def _store(data_dir: Path) -> int:
    """Store the made events in the service's own broker; return the last sequence."""
    async with stores.open_log(Config(data_dir=data_dir), may_start=False) as log:
        for event in told():
            stored = await log.append(*encode_message([event]))
        return stored.sequence


async def _until(client: PlacementClient, last: int) -> None:
    ends = time.monotonic() + ENOUGH_SECONDS
    while time.monotonic() < ends:
        info = await client.get_service_info()
        if info.basis.sequence >= last:
            return
    raise AssertionError(last)


def _asked(directory: Path, name: str) -> list[dict[str, Any]]:
    said = program("query", name, "--directory", directory, "-o", "json")
    found: list[dict[str, Any]] = json.loads(said)
    return found


def _check_report(directory: Path, report: dict[str, Any]) -> None:
    groups = {
        group["key"]: sum(each["start_count"] for each in group["starts"]["outcomes"])
        for group in report["groups"]
        if group["starts"]["outcomes"]
    }
    found: dict[str, int] = {}
    for row in _asked(directory, "starts_local"):
        key = app_key(row["organization"] or "", row["app"])
        found[key] = found.get(key, 0) + row["starts"]
    assert found == groups
    assert sum(found.values()) == 32
    total = report["total"]
    [copies] = _asked(directory, "decisions_by_reason")
    for column in ("decided", "completed", "used", "late", "unused", "undecided"):
        assert copies[column] == total["copies"][f"{column}_count"], column
    regret = _asked(directory, "regret_by_miss_class")
    assert sum(row["regret_bytes"] for row in regret) == pytest.approx(
        total["starts"]["regret_bytes"]
    )
    saved = _asked(directory, "saved_by_organization")
    assert sum(row["measured_seconds"] for row in saved) == pytest.approx(
        total["measured"]["saved_seconds"]
    )


def _check_routes(directory: Path, routes: dict[str, Any]) -> None:
    kept = {
        (each["source_region"], each["target_region"]): each["calibration"]
        for each in routes["routes"]
        if each.get("calibration", {}).get("sample_count")
    }
    found = {
        (row["source"], row["target"]): row
        for row in _asked(directory, "estimate_calibration")
    }
    assert found.keys() == kept.keys() != set()
    for place, row in found.items():
        assert row["samples"] == kept[place]["sample_count"]
        assert row["below_p50"] == kept[place]["below_p50_count"]
        assert row["below_p90"] == kept[place]["below_p90_count"]
