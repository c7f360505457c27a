"""The whole job under per-region permissions of NATS, and no secret anywhere after it.

`placement nats-config` writes the server's users. A push in iad becomes an event, a
request a decision, the work queue of syd hands it over, syd copies and reports.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from placement.agent.registry.opening import opened
from placement.cli.main import main
from placement.faults import FaultPoint
from tests.docker_registry import DockerRegistry, needs_registry
from tests.figures import tell
from tests.nats_server import NatsServer
from tests.nats_users import NEWEST, OLDEST, binary_of
from tests.ports import free_port
from tests.real_agent import RealAgent
from tests.real_service import RealService
from tests.registry_images import push_image
from tests.routing import until

pytestmark = needs_registry

TOKEN = "planted-token-of-the-receiver-4711"  # noqa: S105 - planted
REGISTRY_PASSWORD = "planted-password-of-a-registry-4712"  # noqa: S105 - planted
OPEN_SECONDS_MAX = 90.0
IN_ENVIRONMENT = "planted-in-the-environment-4713"


def placement(*arguments: str, **settings: str) -> Result:
    """Run a command to its end, with *settings* in its environment."""
    told = {f"PLACEMENT_{name}": value for name, value in settings.items()}
    return CliRunner().invoke(main, arguments, env=told)


@dataclass
class World:
    """A broker with users, a service, and registries of iad and syd with agents."""

    directory: Path
    broker: NatsServer
    service: RealService
    iad: RealAgent
    syd: RealAgent
    source: DockerRegistry
    target: DockerRegistry
    metrics: str
    secrets: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    """What commands printed."""


@pytest.fixture(
    scope="module",
    params=[NEWEST, pytest.param(OLDEST, marks=pytest.mark.long)],
)
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Run all of it."""
    directory = tmp_path_factory.mktemp("world")
    to = directory / "authority"
    made = placement("nats-config", "--to", str(to), "--auth", "password", "-o", "json")
    assert made.exit_code == 0, made.stderr
    users = json.loads(made.stdout)["users"]
    files = {user["user"]: user["secret_file"] for user in users}
    broker = NatsServer(
        binary_of(request.param),
        directory / "nats",
        'include "../authority/placement-accounts.conf"',
    )
    kept = directory / "kept"
    kept.mkdir()
    (kept / "token").write_text(TOKEN)
    with ExitStack() as stack:
        broker.start()
        stack.callback(broker.kill)
        found = _built(directory, broker, files)
        found.outputs.append(made.stdout + made.stderr)
        found.secrets |= {
            name: Path(file).read_text().strip() for name, file in files.items()
        }
        for registry in (found.source, found.target):
            registry.start()
            stack.callback(registry.kill)
        for process in (found.service, found.iad, found.syd):
            stack.callback(process.kill)
        found.service.start()
        found.service.wait_until_serving()
        found.iad.start()
        found.syd.start()
        yield found


def _built(directory: Path, broker: NatsServer, files: dict[str, str]) -> World:
    """Return the parts, none of which runs."""
    metrics, kept = f"127.0.0.1:{free_port()}", directory / "kept"
    service = RealService(
        directory / "service",
        plans=True,
        settings={
            "PLACEMENT_NATS__URL": broker.url,
            "PLACEMENT_NATS__USER": "service",
            "PLACEMENT_NATS__PASSWORD_FILE": files["service"],
            "PLACEMENT_LOG_LEVEL": "debug",
            "PLACEMENT_METRICS_LISTEN": metrics,
        },
        port=free_port(),
    )
    iad_port, token = free_port(), {"Authorization": [f"Bearer {TOKEN}"]}
    source = DockerRegistry(
        directory / "source",
        "iad",
        {
            "notifications": {
                "events": {"includereferences": True},
                "endpoints": [
                    {
                        "name": "placement",
                        "url": f"http://127.0.0.1:{iad_port}/v1/notifications/distribution",
                        "headers": token | {"X-Placement-Region": ["iad"]},
                        "timeout": "1s",
                        "threshold": 3,
                        "backoff": "1s",
                    }
                ],
            }
        },
    )
    target = DockerRegistry(directory / "target", "syd")
    shared = {"SERVER": service.target, "NATS__URL": broker.url, "LOG_LEVEL": "debug"}
    iad = RealAgent(
        directory / "iad",
        shared
        | {
            "NATS__USER": "agent-iad",
            "NATS__PASSWORD": Path(files["agent-iad"]).read_text().strip(),
            "AGENT__RECEIVER__TOKEN_FILE": str(kept / "token"),
            "AGENT__REGISTRY__PASSWORD": REGISTRY_PASSWORD,
        },
        port=iad_port,
        region="iad",
    )
    syd = RealAgent(directory / "syd", shared, region="syd")
    syd.directory.mkdir(parents=True)
    (syd.directory / "placement.toml").write_text(
        f"""
[nats]
user = "agent-syd"
password = "{Path(files["agent-syd"]).read_text().strip()}"
[agent.registry]
url = "{target.url}"
[agent.sources.iad]
url = "{source.url}"
user = "placement"
password = "{REGISTRY_PASSWORD}"
[agent.replicator]
source = "nats"
"""
    )
    return World(directory, broker, service, iad, syd, source, target, metrics)


async def test_decision_is_taken_and_carried_out_under_permissions(
    world: World,
) -> None:
    """From a push in one region to a copy in another; the broker denies nothing."""
    await until_open(world.iad)
    await until_open(world.syd)
    async with opened(world.source.settings()) as there:
        image = await push_image(there, (2_000, 1_000))
    digest = image.descriptor.digest
    await world.iad.until(waiting=0)

    asked = await asyncio.to_thread(
        placement,
        *(
            "request",
            f"acme/web@{digest}",
            "--to",
            "syd",
            "--actor",
            "a test",
            "--wait",
            "--by",
            "60s",
        ),
        SERVER=world.service.target,
    )

    world.outputs.append(asked.stdout + asked.stderr)
    assert asked.exit_code == 0, asked.stderr + world.syd.output()[-3000:]
    async with opened(world.target.settings()) as own:
        assert await own.manifest("acme/web", digest) == image  # type: ignore[arg-type]  # a plain name
    violations = [
        line for line in world.broker.output().splitlines() if "iolation" in line
    ]
    assert violations == []


async def until_open(agent: RealAgent) -> None:
    """Return once its door is open: several programs start at once here."""
    async with asyncio.timeout(OPEN_SECONDS_MAX):
        while True:
            assert agent.runs, agent.output()
            with suppress(TimeoutError):
                await agent.ready()
                return


async def test_no_secret_is_anywhere_it_should_not_be(world: World) -> None:
    """Not in arguments, logs at debug, pages, checkpoints, spools or what ends them."""
    secrets = world.secrets | {
        "receiver": TOKEN,
        "registry": REGISTRY_PASSWORD,
        "environment": IN_ENVIRONMENT,
    }
    seen = {
        "arguments": arguments(),
        "commands": "".join([*world.outputs, *await asyncio.to_thread(said, world)]),
    }
    async with httpx.AsyncClient() as client:
        for page in ("metrics", "healthz"):
            for at in (world.metrics, f"127.0.0.1:{world.iad.port}"):
                answer = await client.get(f"http://{at}/{page}")
                seen[f"{at}/{page}"] = answer.text + str(answer.headers)
    await until((world.service.data_dir / "checkpoint.sqlite").exists)
    os.kill(world.service.pid, signal.SIGABRT)
    world.service.wait()
    world.iad.stop()
    world.syd.stop()
    world.service.settings["PLACEMENT_FAULT_POINTS"] = (
        f"{FaultPoint.AFTER_DECODE}=raise:1"
    )
    del world.service.settings["PLACEMENT_METRICS_LISTEN"]
    world.service.data_dir.rename(world.service.directory / "data-before")
    world.service.start()
    assert world.service.wait() == 72, "a bug that is told with its stack"
    meant = {
        world.syd.directory / "placement.toml",
        world.source.configuration,
        world.source.directory / "log",  # Distribution logs the headers that it sends
    }
    for path in sorted(world.directory.rglob("*")):
        hidden = {"secrets", "kept"} & set(path.parts)
        if path.is_file() and path not in meant and not hidden:
            seen[str(path)] = path.read_bytes().decode("latin-1")

    found = {
        (name, place)
        for name, secret in secrets.items()
        for place, text in seen.items()
        if secret in text
    }

    tell("planted secrets", secrets=len(secrets), places=len(seen), found=len(found))
    assert found == set()
    assert any(place.endswith("spool.sqlite") for place in seen)
    assert any(place.endswith("checkpoint.sqlite") for place in seen)
    assert "fold_failed" in world.service.output()


def arguments() -> str:
    """Return the command lines of all processes of this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text(errors="replace"))
        except OSError:  # ended meanwhile
            continue
    return "\n".join(found)


def said(world: World) -> list[str]:
    """Return what commands say that know secrets, or are given them wrongly."""
    wrong = world.directory / "kept" / "wrong.toml"
    wrong.write_text(
        f'[nats]\npassword = ["{IN_ENVIRONMENT}"]\n'
        f'[agent.sources.iad]\npassword = ["{IN_ENVIRONMENT}"]\n'
        f'pasword = "{IN_ENVIRONMENT}"\n'
    )
    in_address = f"nats://user:{IN_ENVIRONMENT}@127.0.0.1:4222"
    given = {"NATS__PASSWORD": IN_ENVIRONMENT, "NATS__USER": "service"}
    done = [
        placement("config", "check", "--show", **given),
        placement("config", "check", "--show", "-o", "json", **given),
        placement("config", "check", "--config", str(wrong)),
        placement("config", "check", NATS__URL=in_address),
        placement(
            "config", "check", AGENT__REGISTRY__URL=f"https://u:{IN_ENVIRONMENT}@x"
        ),
        placement("status", SERVER=world.service.target, **given),
    ]
    assert [one.exit_code for one in done] == [0, 0, 2, 2, 2, 0], done
    refused = subprocess.run(
        [sys.executable, "-m", "placement", "tail", "--no-follow", "--from", "1"],
        capture_output=True,
        check=False,
        text=True,
        env={
            **os.environ,
            **{f"PLACEMENT_{name}": value for name, value in given.items()},
            "PLACEMENT_NATS__URL": world.broker.url,
        },
    )
    assert refused.returncode == 4, refused.stderr
    return [refused.stdout + refused.stderr, *(one.stdout + one.stderr for one in done)]
