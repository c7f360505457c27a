"""The program in the lab: a broker and the service in one region, an agent in each."""

import asyncio
import json
import sys
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from placement.adapters.broker.binary import find_server
from placement.client import PlacementCallError, PlacementClient
from placement.config import SHIPPED_REGIONS_FILE
from placement.v1 import basis_pb2
from tests.lab.children import Child, Children, LabError
from tests.lab.network import (
    AGENT_PORT,
    BROKER_PORT,
    REGISTRY_PORT,
    ROUTER_PORT,
    SERVICE_PORT,
    TOKENS_PORT,
    Network,
)
from tests.lab.places import IAD
from tests.lab.registries import DEPLOYER, Registries

HOME: Final = IAD
"""Where the service and the broker run, and what is pulled from when all else fails."""
WHOLE_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.1


@dataclass
class Product:
    """All of the program's processes, by region; registries are among them."""

    network: Network
    registries: Registries
    children: Children
    folder: Path
    broker: Child = field(init=False)
    service: Child = field(init=False)
    registry_of: dict[str, Child] = field(default_factory=dict)
    agent_of: dict[str, Child] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Where the service answers."""
        return f"{self.network.host(HOME)}:{SERVICE_PORT}"

    def registry(self, region: str, seen_from: str) -> str:
        """Return a registry's address as *seen_from* reaches it."""
        return f"{self.network.reached(region, seen_from)}:{REGISTRY_PORT}"

    def router(self, region: str) -> str:
        """Return the address of a region's router."""
        return f"{self.network.host(region)}:{ROUTER_PORT}"

    async def start(self) -> None:
        """Start everything, and return when all of it listens."""
        self.folder.mkdir(parents=True)
        for region in self.network.regions:
            self.registry_of[region] = await self.registries.registry(
                region, notifies=True
            )
        self._regions_file()
        self._start_broker()
        await self.broker.said("Server is ready")
        self._start_service()
        await self.service.said("server_started")
        for region in self.network.regions:
            self._start_agent(region)
        for child in self.agent_of.values():
            await child.said("receiver_listening")
            await child.said("router_listening")

    async def whole(self) -> None:
        """Return when everything runs again, and the service has caught up."""
        ends = time.monotonic() + WHOLE_SECONDS_MAX
        while not await self._serves():
            if time.monotonic() > ends:
                message = f"the service does not serve again: {self.service.end()}"
                raise LabError(message)
            await asyncio.sleep(LOOK_SECONDS)

    async def _serves(self) -> bool:
        async with PlacementClient(self.target, timeout_s=1.0) as client:
            try:
                answer = await client.get_service_info()
            except PlacementCallError:
                return False
        return answer.basis.state == basis_pb2.SERVING_STATE_LIVE

    def _start_broker(self) -> None:
        host = self.network.host(HOME)
        store = self.folder / "broker"
        command = [str(find_server()), "-a", host, "-p", str(BROKER_PORT), "-js"]
        self.broker = self._started(HOME, "broker", [*command, "-sd", str(store)])

    def _start_service(self) -> None:
        file = self._written(
            "service",
            {
                "data_dir": str(self.folder / "service"),
                "listen": self.target,
                "allow_plaintext": True,
                "console_listen": "off",
                "regions_file": str(self.folder / "regions.toml"),
                "log_format": "json",
                "nats": {"url": self._broker(HOME)},
            },
        )
        command = [sys.executable, "-m", "placement", "serve", "--config", str(file)]
        self.service = self._started(HOME, "service", command)

    def _start_agent(self, region: str) -> None:
        host = self.network.host(region)
        service = f"{self.network.reached(HOME, region)}:{SERVICE_PORT}"
        others = [other for other in self.network.regions if other != region]
        log = self.children.logs / f"registry-{region}.log"
        clients = {self.network.network(one): one for one in self.network.regions}
        file = self._written(
            f"agent-{region}",
            {
                "server": service,
                "regions_file": str(self.folder / "regions.toml"),
                "log_format": "json",
                "nats": {"url": self._broker(region)},
                "agent": {
                    "region": region,
                    "listen": f"{host}:{AGENT_PORT}",
                    "state_dir": str(self.folder / f"agent-{region}"),
                    "registry": self._registry_keys(region, region),
                    "sources": {
                        other: self._registry_keys(other, region) for other in others
                    },
                    "receiver": {"request_log": str(log), "client_regions": clients},
                    "inventory": {"interval_seconds": 60.0},
                    "replicator": {"source": "nats"},
                    "router": {"listen": self.router(region)},
                },
            },
        )
        command = [sys.executable, "-m", "placement", "agent", "--config", str(file)]
        self.agent_of[region] = self._started(region, "agent", command)

    def _registry_keys(self, region: str, seen_from: str) -> dict[str, object]:
        realm = f"http://{self.network.host(region)}:{TOKENS_PORT}/token"
        password = self.registries.users.password_file(self.folder, DEPLOYER)
        return {
            "url": f"http://{self.registry(region, seen_from)}",
            "user": DEPLOYER,
            "password_file": str(password),
            "token_realms": [realm],
        }

    def _broker(self, seen_from: str) -> str:
        return f"nats://{self.network.reached(HOME, seen_from)}:{BROKER_PORT}"

    def _started(self, region: str, name: str, command: list[str]) -> Child:
        inside = self.network.inside(region)
        return self.children.start(f"{name}-{region}", [*inside, *command])

    def _regions_file(self) -> None:
        """Write the catalogue: the shipped one's places, the lab's registries."""
        shipped = tomllib.loads(SHIPPED_REGIONS_FILE.read_text("utf-8"))["regions"]
        regions = {
            region: {
                **{
                    key: shipped[region][key]
                    for key in ("name", "area", "latitude", "longitude")
                },
                "endpoint": f"http://{self.registry(region, region)}",
            }
            for region in self.network.regions
        }
        told = {"home": HOME, "regions": regions}
        (self.folder / "regions.toml").write_text(toml_of(told), "utf-8")

    def _written(self, name: str, told: Mapping[str, object]) -> Path:
        file = self.folder / f"{name}.toml"
        file.write_text(toml_of(told), "utf-8")
        return file


def toml_of(told: Mapping[str, Any], table: str = "") -> str:
    """Return *told* as TOML: plain values, lists of texts, and tables within tables."""
    plain = {key: value for key, value in told.items() if not isinstance(value, dict)}
    lines = [f"[{table}]"] if table and plain else []
    # JSON's texts, numbers, booleans and lists are TOML's, too.
    lines += [f"{json.dumps(key)} = {json.dumps(plain[key])}" for key in plain]
    text = "\n".join([*lines, ""])
    for key, value in told.items():
        if isinstance(value, dict):
            inner = f"{table}.{json.dumps(key)}" if table else json.dumps(key)
            text += toml_of(value, inner)
    return text
