"""The real programs with mTLS: service, commands and agent, and TLS 1.3 alone."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from placement.client import ClientTls, PlacementCallError, PlacementClient
from tests.certificates import DOMAIN, Papers
from tests.e2e.test_agent import post_until_taken
from tests.real_agent import RealAgent
from tests.real_service import DEADLINE_SECONDS, POLL_SECONDS, RealService

IMAGE = "acme/web"


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Certificates of one authority."""
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def service(
    papers: Papers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealService]:
    """A service that other machines may reach, and that asks who they are."""
    settings = {
        "PLACEMENT_TLS__CERT_FILE": papers.cert_file,
        "PLACEMENT_TLS__KEY_FILE": papers.key_file,
        "PLACEMENT_TLS__CLIENT_CA_FILE": papers.ca_file,
        "PLACEMENT_TLS__TRUST_DOMAIN": DOMAIN,
    }
    directory = tmp_path_factory.mktemp("service")
    named = {name: str(value) for name, value in settings.items()}
    real = RealService(directory, settings=named)
    real.start()
    try:
        until_listening(real)
        yield real
    finally:
        real.kill()


def until_listening(service: RealService) -> None:
    """Return once somebody answers on its port."""
    ends = time.monotonic() + DEADLINE_SECONDS
    while True:
        assert service.runs, service.output()
        try:
            socket.create_connection(("127.0.0.1", service.port), 1).close()
        except OSError:
            assert time.monotonic() < ends, service.output()
            time.sleep(POLL_SECONDS)
        else:
            return


def handshake(service: RealService, tls: ClientTls, version: ssl.TLSVersion) -> str:
    """Return the version that was agreed on; raises OSError where none was."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    assert tls.cert_file is not None
    context.load_cert_chain(tls.cert_file, tls.key_file)
    context.set_ciphers("ALL:PSK")
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    address = ("127.0.0.1", service.port)
    with (
        socket.create_connection(address, 5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        assert wrapped.recv(9), "the server's settings come first"
        return wrapped.version() or ""


def test_only_tls_13_is_spoken(service: RealService, papers: Papers) -> None:
    """A client that offers every cipher of TLS 1.2, and no newer one, is refused."""
    tls = papers.client("operator")

    assert handshake(service, tls, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.raises(OSError, match=r"EOF|reset|alert|handshake"):
        handshake(service, tls, ssl.TLSVersion.TLSv1_2)


def command(
    service: RealService, tls: ClientTls, *arguments: str, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command that is configured by a file, as people do it."""
    file = service.directory / "client.toml"
    file.write_text(
        f'server = "{service.target}"\n[client]\nca_file = "{tls.ca_file}"\n'
        f'cert_file = "{tls.cert_file}"\nkey_file = "{tls.key_file}"\n'
    )
    return subprocess.run(
        [sys.executable, "-m", "placement", *arguments, "--config", str(file)],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_commands_say_who_they_are(service: RealService, papers: Papers) -> None:
    """An operator's orders are taken, an analyst's are not, and the error says why."""
    operator, analyst = papers.client("operator"), papers.client("analyst")
    event = {"region": "iad", "machine_stopped": {"machine_id": "m-1"}}

    published = command(service, operator, "publish", "-", text=json.dumps(event))
    status = command(service, analyst, "status")
    refused = command(
        service, analyst, "pause", "--actor", "me", "--reason", "a test", "--for", "1m"
    )

    assert published.returncode == 0, published.stderr
    assert status.returncode == 0, status.stderr
    assert refused.returncode != 0
    assert "METHOD_FORBIDDEN" in refused.stderr
    assert "analyst may not call" in refused.stderr


async def test_agent_says_who_it_is(
    service: RealService, papers: Papers, tmp_path: Path
) -> None:
    """What is pushed beside it reaches the log."""
    tls = papers.client("region/iad/agent")
    settings = {
        "SERVER": service.target,
        "CLIENT__CA_FILE": str(tls.ca_file),
        "CLIENT__CERT_FILE": str(tls.cert_file),
        "CLIENT__KEY_FILE": str(tls.key_file),
    }
    agent = RealAgent(tmp_path / "agent", settings)
    agent.start()
    try:
        await agent.ready()
        await post_until_taken(agent, 0)
        await agent.until(waiting=0, sent=1)
        operator = papers.client("operator")
        async with PlacementClient(service.target, tls=operator) as client:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while True:
                    try:
                        await client.resolve_reference(IMAGE, "v0")
                        break
                    except PlacementCallError as error:
                        if error.reason != "MANIFEST_UNKNOWN":
                            raise
                        await asyncio.sleep(POLL_SECONDS)
    finally:
        agent.kill()
