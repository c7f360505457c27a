"""The bill of materials: all that is locked, by the schema, and always the same."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tools.bill_of_materials import (
    NAMED,
    READ,
    BillError,
    document,
    licence,
    moment_of,
)
from tools.locked import ROOT, pins
from tools.locking import PLATFORMS, RUN_LOCK

EPOCH = 1_795_428_000


def written(target: Path, **environment: str) -> bytes:
    """Return what the command writes in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.bill_of_materials", target],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target.read_bytes()


@cache
def bill() -> dict[str, Any]:
    """Return the document, which the tool has held against CycloneDX's schema."""
    parsed: dict[str, Any] = json.loads(document(datetime.fromtimestamp(EPOCH, UTC)))
    return parsed


def test_bill_lists_each_locked_package_with_its_hashes_and_licence() -> None:
    """No package of ours is missing, none is invented, and each has a licence."""
    locked = {
        (pin.name, pin.version): set(pin.hashes)
        for pin in pins(RUN_LOCK)
        if any(pin.on(place) for place in PLATFORMS)
    }

    listed = {
        (each["name"], each["version"]): {h["content"] for h in each["hashes"]}
        for each in bill()["components"]
    }

    assert listed == locked
    for each in bill()["components"]:
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"
        (said,) = each["licenses"]
        named = said.get("license", {}).get("name")
        assert said.get("expression") or named == NAMED[each["name"]]


def test_every_package_is_needed_by_something() -> None:
    """From placement itself, every component is reached through who needs whom."""
    needs = {
        each["ref"]: set(each.get("dependsOn", ())) for each in bill()["dependencies"]
    }
    reached: set[str] = set()
    waiting = ["placement"]
    while waiting:
        for ref in needs[waiting.pop()] - reached:
            reached.add(ref)
            waiting.append(ref)

    assert reached == {each["bom-ref"] for each in bill()["components"]}


@pytest.mark.long
def test_same_commit_gives_the_same_bytes(tmp_path: Path) -> None:
    """Neither the process nor its hash seed shows; the time that is named does."""
    seed = {"PYTHONHASHSEED": "2", "SOURCE_DATE_EPOCH": str(EPOCH)}

    other = written(tmp_path / "new" / "bill.json", **seed)

    assert other.decode() == document(datetime.fromtimestamp(EPOCH, UTC))
    later = json.loads(document(datetime.fromtimestamp(EPOCH + 1, UTC)))
    assert later["serialNumber"] != bill()["serialNumber"]
    assert bill()["metadata"]["timestamp"] == "2026-11-23T10:00:00+00:00"


def test_licences_that_were_read_are_of_packages_that_we_have() -> None:
    """Who drops a package drops what is said of it."""
    assert set(READ) | set(NAMED) <= {pin.name for pin in pins(RUN_LOCK)}


def test_unknown_licence_is_refused() -> None:
    """A package without one does not slip in."""
    with pytest.raises(BillError, match="no-such-package is not installed"):
        licence("no-such-package")


@pytest.mark.parametrize("text", ["-1", "soon", "٣"])
def test_time_that_is_none_is_refused(text: str) -> None:
    """SOURCE_DATE_EPOCH is a whole number of seconds."""
    with pytest.raises(BillError, match="SOURCE_DATE_EPOCH"):
        moment_of({"SOURCE_DATE_EPOCH": text})
