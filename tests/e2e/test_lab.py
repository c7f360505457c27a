"""``tools/lab --quick``: it measures, and leaves nothing, however it ends."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.__main__ import NEEDED, namespaces

ROOT = Path(__file__).parents[2]
MARK = "LAB_TEST_MARK"
RUN_SECONDS = 200.0
END_SECONDS = 20.0
POLL_SECONDS = 0.1
KEYS = {
    "scenario",
    "image",
    "first_or_second_version",
    "route",
    "seconds",
    "local",
}

needs_programs = pytest.mark.skipif(
    any(shutil.which(program) is None for program in NEEDED),
    reason=f"{', '.join(NEEDED)} are not all installed: tools/lab does it",
)


def needs_namespaces() -> None:
    """Skip where namespaces or TUN devices are refused."""
    ground = namespaces()
    if not ground.unshare:
        pytest.skip(ground.shortcoming)


def marked(mark: str) -> list[str]:
    """Return the commands of all processes that were started under *mark*."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@contextmanager
def lab(mark: str, temporary: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the lab, its temporary files under *temporary*."""
    environment = {**os.environ, MARK: mark, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.lab", "--quick", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(END_SECONDS)
        assert process.stdout is not None
        process.stdout.close()


def seconds_of(rows: list[Mapping[str, object]], route: str, version: str) -> float:
    """Return the seconds of the one pull without us by *route*."""
    found = [
        row["seconds"]
        for row in rows
        if (row["scenario"], row["route"]) == ("without us", route)
        and row["first_or_second_version"] == version
    ]
    (seconds,) = found
    assert isinstance(seconds, float)
    return seconds


@pytest.mark.long
@pytest.mark.alone
@needs_programs
@pytest.mark.timeout(300)
def test_quick_lab_measures_far_and_near(tmp_path: Path) -> None:
    """A pull across the ocean takes many times a local one; each row says which."""
    needs_namespaces()
    mark, written = secrets.token_hex(8), tmp_path / "rows.json"

    with lab(mark, tmp_path, "--json", str(written)) as process:
        output, _ = process.communicate(timeout=RUN_SECONDS)

    assert process.returncode == 0, output
    rows = json.loads(written.read_text())
    assert all(row.keys() >= KEYS for row in rows)
    for version in ("first", "second"):
        far = seconds_of(rows, "origin", version)
        assert far > 8 * seconds_of(rows, "local copy", version)
    for row in rows:
        if row["scenario"] == "without us":
            assert row["local"] == (row["route"] == "local copy"), row
    assert marked(mark) == []
    assert not list(tmp_path.glob("placement-lab-*"))


@needs_programs
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("ground", ["namespaces", "proxies"])
def test_interrupted_lab_leaves_nothing(
    ground: str, number: signal.Signals, tmp_path: Path
) -> None:
    """In the middle of a pull a signal ends all: processes, files, namespaces."""
    if ground == "namespaces":
        needs_namespaces()
    mark = secrets.token_hex(8)

    with lab(
        mark, tmp_path, *(["--proxies"] if ground == "proxies" else [])
    ) as process:
        assert process.stdout is not None
        while "without us" not in process.stdout.readline():
            assert process.poll() is None
        running = marked(mark)
        process.send_signal(number)
        process.wait(END_SECONDS)
        ends = time.monotonic() + END_SECONDS
        while (left := marked(mark)) and time.monotonic() < ends:
            time.sleep(POLL_SECONDS)

    assert any("docker-registry serve" in command for command in running)
    assert left == []
    assert not list(tmp_path.glob("placement-lab-*/*"))
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
