"""A region's registry and its token service, and the caches that are compared."""

import base64
import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.lab.children import Child, Children
from tests.lab.network import (
    AGENT_PORT,
    CACHE_PORT,
    REGISTRY_PORT,
    SINGLE_FETCH_PORT,
    TOKENS_PORT,
    Network,
)
from tests.token_service import EVERYTHING, ISSUER, SERVICE

DEPLOYER: Final = "deployer"
"""Pushes in one region; the agents and caches read as this user, too."""
MACHINE: Final = "machine"
"""Pulls; may do nothing else."""


@dataclass(frozen=True)
class Users:
    """The lab's users with passwords of this run."""

    passwords: Mapping[str, str] = field(
        default_factory=lambda: {
            name: secrets.token_urlsafe(12) for name in (DEPLOYER, MACHINE)
        },
        repr=False,
    )

    def written(self, folder: Path) -> None:
        """Write users.json for the token services, and one file a password."""
        folder.mkdir(parents=True, exist_ok=True)
        actions = {DEPLOYER: EVERYTHING, MACHINE: ("pull",)}
        told = {
            name: {"password": self.passwords[name], "actions": list(actions[name])}
            for name in self.passwords
        }
        (folder / "users.json").write_text(json.dumps(told), "utf-8")

    def password_file(self, folder: Path, name: str) -> Path:
        """Return a file that holds a password and nothing else."""
        file = folder / f"{name}.password"
        file.write_text(self.passwords[name], "utf-8")
        return file

    def auth_file(self, folder: Path, name: str, hosts: Sequence[str]) -> Path:
        """Return a file as skopeo and podman read it: *name* at each of *hosts*."""
        plain = f"{name}:{self.passwords[name]}".encode()
        entry = {"auth": base64.b64encode(plain).decode()}
        file = folder / f"{name}.auth.json"
        told = {"auths": dict.fromkeys(hosts, entry)}
        file.write_text(json.dumps(told), "utf-8")
        return file


class Registries:
    """Starts registries and caches in their regions."""

    def __init__(
        self, network: Network, children: Children, folder: Path, users: Users
    ) -> None:
        """Keep where everything goes; *folder* holds what they store."""
        self._network = network
        self._children = children
        self._folder = folder
        self._tokens = folder / "tokens"
        """One key for all token services: a token of one counts at every registry."""
        self.users = users

    async def registry(self, region: str, *, notifies: bool = False) -> Child:
        """Start *region*'s registry and token service; it may notify an agent."""
        folder = self._folder / f"registry-{region}"
        self.users.written(self._tokens)
        host = self._network.host(region)
        command = [sys.executable, "-m", "tests.lab.tokens"]
        command += [host, str(TOKENS_PORT), str(self._tokens)]
        tokens = self._start(region, "tokens", command)
        await tokens.said("ready")
        sections = self._notifications(region) if notifies else {}
        configuration = self._configuration(region, REGISTRY_PORT, folder, sections)
        child = self._start(
            region, "registry", ["docker-registry", "serve", str(configuration)]
        )
        await child.said("listening on")
        return child

    async def cache(self, region: str, origin: str) -> Child:
        """Start Distribution's own pull-through cache of *origin* in *region*."""
        folder = self._folder / f"cache-{region}"
        upstream = f"{self._network.reached(origin, region)}:{REGISTRY_PORT}"
        proxy = {
            "remoteurl": f"http://{upstream}",
            "username": MACHINE,
            "password": self.users.passwords[MACHINE],
        }
        configuration = self._configuration(
            region, CACHE_PORT, folder, {"proxy": proxy}
        )
        child = self._start(
            region, "cache", ["docker-registry", "serve", str(configuration)]
        )
        await child.said("listening on")
        return child

    async def single_fetch(self, region: str, origin: str) -> Child:
        """Start the cache that fetches once, of *origin*, in *region*."""
        folder = self._folder / f"single-fetch-{region}"
        folder.mkdir(parents=True)
        upstream = f"{self._network.reached(origin, region)}:{REGISTRY_PORT}"
        told = {
            "upstream": f"http://{upstream}",
            "realm": f"http://{self._network.host(origin)}:{TOKENS_PORT}/token",
            "user": MACHINE,
            "password": self.users.passwords[MACHINE],
            "folder": str(folder),
            "host": self._network.host(region),
            "port": SINGLE_FETCH_PORT,
        }
        configuration = folder / "configuration.json"
        configuration.write_text(json.dumps(told), "utf-8")
        command = [sys.executable, "-m", "tests.lab.single_fetch", str(configuration)]
        child = self._start(region, "single-fetch", command)
        await child.said("ready")
        return child

    def _start(self, region: str, name: str, command: list[str]) -> Child:
        whole = [*self._network.inside(region), *command]
        return self._children.start(f"{name}-{region}", whole)

    def _notifications(self, region: str) -> dict[str, Any]:
        agent = f"{self._network.host(region)}:{AGENT_PORT}"
        endpoint = {
            "name": "placement",
            "url": f"http://{agent}/v1/notifications/distribution",
            "headers": {"X-Placement-Region": [region]},
            "timeout": "1s",
            "threshold": 3,
            "backoff": "1s",
        }
        events = {"includereferences": True}
        return {"notifications": {"events": events, "endpoints": [endpoint]}}

    def _configuration(
        self,
        region: str,
        port: int,
        folder: Path,
        sections: dict[str, Any],
    ) -> Path:
        """Write a docker-registry's configuration; JSON is YAML."""
        host = self._network.host(region)
        store = {"rootdirectory": str(folder / "store")}
        token = {
            "realm": f"http://{host}:{TOKENS_PORT}/token",
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(self._tokens / "token.pem"),
        }
        told = {
            "version": 0.1,
            "log": {"level": "info", "formatter": "json"},
            "storage": {"filesystem": store, "delete": {"enabled": True}},
            "http": {"addr": f"{host}:{port}", "secret": "the lab's own"},
            "auth": {"token": token},
            **sections,
        }
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{port}.yml"
        file.write_text(json.dumps(told), "utf-8")
        return file
