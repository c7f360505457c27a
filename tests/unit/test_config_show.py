"""``placement config show``: every key, its value, and where that was said."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from placement.cli.main import main
from placement.config import Config
from placement.config.errors import keys_of

FILE = """\
# ours
listen = "127.0.0.1:1"
regions_file = "x.toml"

[nats]
url = "nats://a:1"
password = "hush-hush"

[agent]
region = "syd"
receiver.own_accounts = [
  "a",
  "b",
]
replicator = { copies = 3 }
[agent.sources.fra]
url = "http://r.example"
password = "of-fra"
"""


def shown(file: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    """Return what the command says of each key."""
    command = ("config", "show", "--config", str(file), "-o", "json", *arguments)
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return {one["key"]: one for one in json.loads(result.stdout)["keys"]}


def test_each_key_tells_where_it_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line of the file, the variable, or the default; the highest one counts."""
    file = tmp_path / "placement.toml"
    file.write_text(FILE)
    monkeypatch.setenv("PLACEMENT_NATS__URL", "nats://b:2")
    monkeypatch.setenv("PLACEMENT_LOG_LEVEL", "")

    found = shown(file, "--origin")

    origins = {
        "listen": f"{file}:2",
        "nats.url": "PLACEMENT_NATS__URL",
        "nats.password": f"{file}:7",
        "agent.region": f"{file}:10",
        "agent.receiver.own_accounts": f"{file}:11",
        "agent.replicator.copies": f"{file}:15",
        "agent.sources.fra.url": f"{file}:17",
        "log_level": "default",
    }
    assert {key: found[key]["origin"] for key in origins} == origins
    assert found["nats.url"]["value"] == "nats://b:2"
    assert found["agent.replicator.copies"]["value"] == 3


def test_every_key_is_there_and_no_secret_is(tmp_path: Path) -> None:
    """Also those of tables by region; a secret that is empty is told as such."""
    file = tmp_path / "placement.toml"
    file.write_text(FILE)

    found = shown(file)

    plain = {key for key in keys_of(Config) if not _keyed(key)}
    assert plain <= found.keys()
    assert "origin" not in found["listen"]
    assert found["nats.password"]["value"] == "(secret)"
    assert found["agent.sources.fra.password"]["value"] == "(secret)"
    assert found["agent.registry.password"]["value"] == ""
    assert "hush" not in json.dumps(found)


def _keyed(key: str) -> bool:
    """Say whether a key holds a table by name, whose inner keys are shown instead."""
    tables = ("client_regions", "peer_regions", "regions", "images", "sources")
    return key.rpartition(".")[2] in {*tables, "bytes_per_second"}
