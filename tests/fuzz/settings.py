"""Targets that read what operators write: configuration, catalogues, policies."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from placement.config.catalogue import load_prices, load_topology
from placement.config.keys import Config
from placement.config.loading import load_config, unknown_variables
from placement.core.deciding.guardrails import parse_guardrails
from placement.core.policy import parse_policy
from tests.fuzz.target import Target, own_directory
from tests.fuzz.texts import ODD_TEXTS, spoiled_text, spoiled_toml

CONFIGURATION = """\
data_dir = "data"
listen = "127.0.0.1:7450"
log_format = "json"
watchdog_seconds = 5.0
[nats]
url = "nats://127.0.0.1:4222"
port = 0
max_bytes = 1000
[checkpoint]
interval_seconds = 5.0
message_count = 100
[agent]
region = "iad"
listen = "127.0.0.1:7451"
[agent.registry]
url = "https://registry.example"
user = "alice"
[agent.receiver]
zot_subject = "zot"
[agent.receiver.peer_regions]
us-east-1 = "iad"
[agent.router]
listen = "127.0.0.1:5000"
source_seconds = 0.4
[agent.replicator.bytes_per_second]
iad = 1000
"""
CATALOGUE = """\
home = "iad"
[aliases]
us = ["iad"]
[regions.iad]
latitude = 39.02
longitude = -77.54
area = "na"
endpoint = "https://registry.iad.example"
[regions.fra]
latitude = 50.03
longitude = 8.57
stores = false
serving_order = ["iad"]
egress_bytes_per_second = 1e9
"""
PRICES = """\
currency = "USD"
transfer_per_gb = 0.02
storage_per_gb_month = 0.023
[areas]
"eu:apac" = 0.05
[regions]
"iad:syd" = 0.09
[storage]
syd = 0.025
"""
POLICY = """\
name = "mine"
store_bytes_per_copy = 1.0
app_decay = 0.9
mode = "shadow"
holdout_fraction = 0.1
[limits]
retry_seconds = 10
[keep]
storage_bytes = {iad = 1000}
[[residency]]
repositories = ["acme/*"]
allow = ["iad"]
"""
VARIABLES = {
    "PLACEMENT_LISTEN": "127.0.0.1:7450",
    "PLACEMENT_NATS__URL": "nats://127.0.0.1:4222",
    "PLACEMENT_NATS__PORT": "4222",
    "PLACEMENT_AGENT__REGISTRY__URL": "http://127.0.0.1:5000",
    "PLACEMENT_AGENT__RECEIVER": '{"zot_subject": "zot"}',
    "PLACEMENT_AGENT__SOURCES": '{"iad": {"url": "http://r"}}',
    "PLACEMENT_WATCHDOG_SECONDS": "5",
    "PLACEMENT_TLS__CERT_FILE": "/tmp/cert.pem",  # noqa: S108 - never made
    "PLACEMENT_FAULT_POINTS": "after_spooled=kill:1",
}


def of_file(
    name: str, text: str, count: int, load: Callable[[Path], object]
) -> Callable[[], Target]:
    """Return the target of one kind of TOML file, written and read back."""

    def target() -> Target:
        directory = own_directory()
        file = directory / "given.toml"

        def make(chance: Random) -> bytes:
            body = spoiled_toml(chance, text).encode("utf-8", "surrogatepass")
            if chance.random() < 0.02:
                return body[:40] + b"\xff" + body[40:]
            return b"a = " + b"[" * 3_000 if chance.random() < 0.005 else body

        def read(body: bytes) -> object:
            file.write_bytes(body)
            return load(file)

        return Target(name, count, make, read)

    return target


def _catalogue(file: Path) -> object:
    return load_topology(Config(regions_file=file))


def _prices(file: Path) -> object:
    config = Config(prices_file=file)
    return load_prices(config, load_topology(config))


configuration = of_file("configuration files", CONFIGURATION, 1_500, load_config)
catalogue = of_file("catalogue files", CATALOGUE, 1_500, _catalogue)
prices = of_file("price files", PRICES, 200, _prices)


def environment() -> Target:
    """Environment variables: a configuration, or an error that names the variable."""

    def make(chance: Random) -> dict[str, str]:
        found = {}
        for name, value in VARIABLES.items():
            if chance.random() < 0.4:
                said = spoiled_text(chance, value)
                found[name] = said.replace("\x00", "").encode().decode("utf-8")
        if chance.random() < 0.1:
            found["PLACEMENT_" + chance.choice(("X", "NATS", "NATS__", "_"))] = "{}"
        return found

    def read(variables: dict[str, str]) -> object:
        with patch.dict(os.environ, variables):
            unknown_variables()
            return load_config()

    return Target("environment variables", 150, make, read)


def policies() -> Target:
    """Policies, as files and in requests, with their guardrails."""

    def make(chance: Random) -> str:
        if chance.random() < 0.01:
            return chance.choice(ODD_TEXTS)
        return spoiled_toml(chance, POLICY)

    def read(text: str) -> Any:  # noqa: ANN401 - both of it
        return parse_policy(text), parse_guardrails(text)

    return Target("policies", 5_000, make, read)
