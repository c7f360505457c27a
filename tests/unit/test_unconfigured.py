"""The short way past the configuration: taken only where it leads to the same place."""

from pathlib import Path

import pytest

from placement.cli.session import Session
from placement.config import load_config
from placement.unconfigured import server_alone


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's placement.toml, nor what is said to the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PLACEMENT_LONG", raising=False)


def test_unconfigured_service_is_where_the_configuration_says() -> None:
    """The short way and the long one end at one address."""
    config = load_config()

    assert server_alone(None, {}) == (config.server or config.listen)
    assert (Session().target, Session().tls) == (config.listen, None)


@pytest.mark.parametrize("server", ["placement.example.com:7450", "10.0.0.1:59999"])
def test_server_in_the_environment_is_enough(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what most set, and needs no other key."""
    monkeypatch.setenv("PLACEMENT_SERVER", server)

    assert server_alone(None, {}) == server == load_config().server


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PLACEMENT_SERVER", "nowhere"),
        ("PLACEMENT_SERVER", "a:70000"),
        ("PLACEMENT_SERVER", "[::1]:7450"),
        ("placement_server", "a:1"),
        ("PLACEMENT_CLIENT__TLS", "true"),
        ("PLACEMENT_LISTEN", "127.0.0.1:1"),
    ],
)
def test_anything_else_is_the_configurations_to_judge(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be wrong, or may say that TLS is spoken, goes the long way."""
    monkeypatch.setenv(name, value)

    assert server_alone(None, {}) is None


def test_files_and_flags_are_the_configurations_too(tmp_path: Path) -> None:
    """An empty file is a configuration as well."""
    assert server_alone(Path("other.toml"), {}) is None
    assert server_alone(None, {"nats.url": "nats://a"}) is None

    (tmp_path / "placement.toml").touch()

    assert server_alone(None, {}) is None
