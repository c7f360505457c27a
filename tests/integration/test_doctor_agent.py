"""The doctor beside a real docker-registry: credentials, deletes, scans, the mirror."""

import time
from pathlib import Path

import bcrypt
import pytest

from placement.agent.inventory.position import Position, PositionFile
from placement.doctor import registry
from placement.doctor.finding import Verdict
from placement.doctor.site import Site
from tests.docker_registry import DockerRegistry, needs_registry
from tests.doctoring import about, findings, site_of, worst
from tests.ports import free_port

HOUR_NS = 3_600 * 1_000_000_000
pytestmark = needs_registry


def beside(directory: Path, held: DockerRegistry, more: str = "") -> Site:
    """Return an agent's site beside *held*, whose removals are carried out."""
    state = directory / "state"
    state.mkdir(exist_ok=True)
    return site_of(
        directory,
        f'[agent]\nregion = "iad"\nstate_dir = "{state}"\n'
        "[agent.replicator]\nevict = true\n"
        f'[agent.registry]\nurl = "{held.url}"\n{more}',
        agent=True,
    )


def secured(directory: Path) -> dict[str, object]:
    """Return what makes a registry ask for a password."""
    directory.mkdir(exist_ok=True)
    file = directory / "htpasswd"
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(4, prefix=b"2b")).decode()
    file.write_text(f"placement:{hashed.replace('$2b$', '$2y$')}\n")
    return {"auth": {"htpasswd": {"realm": "r", "path": str(file)}}}


async def test_registry_that_lets_us_in_and_deletes_is_sound(tmp_path: Path) -> None:
    """By our password; nothing was there to be deleted, and nothing is."""
    with DockerRegistry(tmp_path / "r", sections=secured(tmp_path / "r")) as held:
        ours = 'user = "placement"\npassword = "right"\n'
        found = await findings(registry.registry, beside(tmp_path, held, ours))
        theirs = 'user = "placement"\npassword = "so-wrong"\n'
        refused = await findings(registry.registry, beside(tmp_path, held, theirs))
        nobody = await findings(registry.registry, beside(tmp_path, held))

    assert [one.verdict for one in found] == [Verdict.OK, Verdict.OK]
    about(found, "it deletes")
    for one in (refused[0], nobody[0]):
        assert one.verdict is Verdict.FAIL
        assert "password_file" in one.remedy
        assert "so-wrong" not in repr(one)


async def test_registry_that_does_not_delete_or_answer_is_told(tmp_path: Path) -> None:
    """405 has a remedy in the registry's configuration; a dead one has another."""
    storage = {
        "filesystem": {"rootdirectory": str(tmp_path / "store")},
        "delete": {"enabled": False},
    }
    with DockerRegistry(tmp_path / "r", sections={"storage": storage}) as held:
        found = await findings(registry.registry, beside(tmp_path, held))
        held.kill()
        gone = await findings(registry.registry, beside(tmp_path, held))

    one = about(found, "does not delete")
    assert one.verdict is Verdict.FAIL
    assert "storage.delete.enabled" in one.remedy
    assert worst(gone) is Verdict.FAIL
    assert "agent.registry.url" in gone[0].remedy


@pytest.mark.parametrize(
    ("age_ns", "failed", "verdict"),
    [(HOUR_NS // 2, 0, "OK"), (4 * HOUR_NS, 0, "WARN"), (1, 2, "WARN")],
)
async def test_scan_that_is_old_or_incomplete_is_told(
    tmp_path: Path, age_ns: int, failed: int, verdict: str
) -> None:
    """By what the agent keeps of the newest one."""
    held = DockerRegistry(tmp_path / "r")
    site = beside(tmp_path, held)
    none = await findings(registry.inventory, site)
    position = Position(time.time_ns() - age_ns, finished=True, failed_count=failed)
    file = PositionFile(site.config.agent.state_dir / "inventory.json", "iad")
    await file.keep(position)

    [one] = await findings(registry.inventory, site)

    assert worst(none) is Verdict.WARN
    assert one.verdict == verdict


async def test_mirror_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """By the key of its address; another program there is none of ours."""
    listen = f"127.0.0.1:{free_port()}"
    site = site_of(
        tmp_path,
        f'[agent]\nregion = "iad"\n[agent.router]\nlisten = "{listen}"\n',
        agent=True,
    )

    [one] = await findings(registry.router, site)

    assert one.verdict is Verdict.FAIL
    assert "agent.router.listen" in one.remedy
