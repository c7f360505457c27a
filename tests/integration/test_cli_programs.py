"""The commands that run on: an agent beside a registry, and the demonstration."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.real_service import DEADLINE_SECONDS, POLL_SECONDS, RealService, running

NOTIFICATIONS = Path(__file__).parents[2] / "placement" / "data" / "notifications"


def test_agent_publishes_what_a_registry_posts(tmp_path: Path) -> None:
    """In the region that it was told, whoever posts with the token; a repeat once."""
    with running(RealService(tmp_path)) as service:
        refused, taken, again = posted(service)
        command = ["-m", "placement", "replicas", "--server", service.target]
        listed = subprocess.check_output([sys.executable, *command], text=True)

    assert refused.status_code == 401
    assert taken.json() == again.json() == {"spooled": 1}
    assert "team/app    sha256:21c99c79109d  ord" in listed


def posted(service: RealService) -> list[httpx.Response]:
    """Return what an agent answers: without its token, with it, and once more."""
    token_file = service.directory / "token"
    token_file.write_text("secret\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "placement", "agent", "--region", "ord"]
    command += ["--server", service.target, "--listen", f"127.0.0.1:{port}"]
    command += ["--state-dir", str(service.directory / "agent")]
    agent = subprocess.Popen([*command, "--token-file", str(token_file)])
    url = f"http://127.0.0.1:{port}/v1/notifications/distribution"
    document = json.loads((NOTIFICATIONS / "40-push-with-references.json").read_text())
    envelope = document["envelopes"][-1]["body"]
    headers = {"Authorization": "Bearer secret"}
    try:
        _wait_for(f"http://127.0.0.1:{port}/healthz", agent)
        answers = [
            httpx.post(url, json=envelope),
            httpx.post(url, json=envelope, headers=headers),
            httpx.post(url, json=envelope, headers=headers),
        ]
        _wait_until_sent(f"http://127.0.0.1:{port}/healthz", 2)
    finally:
        agent.terminate()
        agent.wait(DEADLINE_SECONDS)
    assert agent.returncode == 0
    return answers


def _wait_until_sent(url: str, count: int) -> None:
    ends = time.monotonic() + DEADLINE_SECONDS
    while httpx.get(url).json()["sent"] < count:
        assert time.monotonic() < ends
        time.sleep(POLL_SECONDS)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < ends:
        assert process.poll() is None
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(POLL_SECONDS)
    raise AssertionError(url)


def demonstration(tmp_path: Path) -> subprocess.Popen[str]:
    """Start the demonstration, with its directory below *tmp_path*."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment["PLACEMENT_NATS__URL"] = "nats://127.0.0.1:1"
    return subprocess.Popen(
        [sys.executable, "-m", "placement", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


def servers_in(directory: Path) -> list[str]:
    """Return the processes that work in, or name, *directory*."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode()
            place = str((process / "cwd").readlink())
        except OSError:
            continue
        if str(directory) in command + place:
            found.append(command.replace("\0", " "))
    return found


def test_demonstration_tells_the_story_and_leaves_nothing(tmp_path: Path) -> None:
    """Where, from where, what to copy, why; and it never finds another's log."""
    demo = demonstration(tmp_path)
    said, _ = demo.communicate(timeout=60)

    assert demo.returncode == 0, said
    for part in (
        "$ placement show team/app:v1",
        "$ placement sources team/app:v1 --region syd",
        "$ placement replications --repository team/multi",
        "fra -> syd",
        "runs-here",
        "a machine in lax: 53.4 s before, 0.33 s after",
        "before there was a manifest",
        "The image was in syd when the machine started.",
        "it cannot be measured what copies saved",
        "answered at sequence",
        "the same\n",
        "nothing keeps running",
    ):
        assert part in said, said
    assert "NOT" not in said
    assert list(tmp_path.iterdir()) == []
    assert servers_in(tmp_path) == []


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)],
)
def test_demonstration_cleans_up_when_interrupted(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Whenever it is stopped, its service, broker and directory go with it."""
    demo = demonstration(tmp_path)
    try:
        ends = time.monotonic() + DEADLINE_SECONDS
        while not any("nats-server" in one for one in servers_in(tmp_path)):
            assert demo.poll() is None
            assert time.monotonic() < ends
            time.sleep(POLL_SECONDS)
        demo.send_signal(number)
        said, _ = demo.communicate(timeout=DEADLINE_SECONDS)
    finally:
        demo.kill()

    assert demo.returncode == 130, said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
    ends = time.monotonic() + DEADLINE_SECONDS
    while servers_in(tmp_path) and time.monotonic() < ends:
        time.sleep(POLL_SECONDS)  # a broker that was just begun ends with its parent
    assert servers_in(tmp_path) == []


def test_output_that_cannot_be_written_is_told_in_a_line() -> None:
    """A full disk behind standard output is no bug: no traceback."""
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            [sys.executable, "-m", "placement", "config", "check", "-o", "json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert told.returncode == 1
    assert told.stderr == "error: [Errno 28] No space left on device  [INPUT_OUTPUT]\n"
