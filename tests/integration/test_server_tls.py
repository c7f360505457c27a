"""TLS both ways, with certificates that openssl makes on the spot."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from placement.api.server import ServerSettings
from placement.client import ClientTls, PlacementCallError, PlacementClient
from placement.core.errors import InputError
from tests.serving import Service, Stage, serving

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl makes the certificates"
)


def openssl(*arguments: object, folder: Path) -> None:
    """Run openssl in *folder*."""
    command = ["openssl", *map(str, arguments)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, and a key and certificate of server and client."""
    folder = tmp_path_factory.mktemp("certificates")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(
        *("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem"),
        *("-days", 2, "-subj", "/CN=test authority"),
        folder=folder,
    )
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl(
            *("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr"),
            *("-subj", f"/CN={name}"),
            folder=folder,
        )
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem"),
            *("-CAkey", "ca.key", "-CAcreateserial", "-days", 2),
            *("-extfile", "names", "-out", f"{name}.pem"),
            folder=folder,
        )
    return folder


@pytest.fixture
async def mutual(certificates: Path) -> AsyncIterator[Service]:
    """A service that asks every client for a certificate."""
    settings = ServerSettings(
        cert_file=certificates / "server.pem",
        key_file=certificates / "server.key",
        client_ca_file=certificates / "ca.pem",
    )
    async with serving(settings) as service:
        yield service


async def test_client_that_knows_the_authority_is_answered(certificates: Path) -> None:
    """TLS one way: the client knows who answers."""
    settings = ServerSettings(
        cert_file=certificates / "server.pem", key_file=certificates / "server.key"
    )
    tls = ClientTls(ca_file=certificates / "ca.pem")
    async with (
        serving(settings) as service,
        PlacementClient(service.target, tls=tls) as client,
    ):
        info = await client.get_service_info()

    assert info.version


async def test_client_with_a_certificate_is_answered(
    mutual: Service, certificates: Path
) -> None:
    """TLS both ways: the service knows who asks."""
    tls = ClientTls(
        ca_file=certificates / "ca.pem",
        cert_file=certificates / "client.pem",
        key_file=certificates / "client.key",
    )
    async with PlacementClient(mutual.target, tls=tls) as client:
        info = await client.get_service_info()

    assert info.version


async def test_client_without_one_is_turned_away(
    mutual: Service, certificates: Path
) -> None:
    """So is one that speaks plain text; the remedy names TLS."""
    anonymous = ClientTls(ca_file=certificates / "ca.pem")
    for tls in (anonymous, None):
        async with PlacementClient(mutual.target, timeout_s=0.5, tls=tls) as client:
            with pytest.raises(PlacementCallError) as raised:
                await client.get_service_info()
        assert raised.value.reason == "UNAVAILABLE"
        assert "TLS" in raised.value.remedy


async def test_certificate_that_is_none_is_an_error_of_its_setting(
    tmp_path: Path, certificates: Path
) -> None:
    """At the start: no certificate, another one's key, no authority."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    good = (certificates / "server.pem", certificates / "server.key")
    for settings, field in (
        (ServerSettings(cert_file=nonsense, key_file=nonsense), "tls.cert_file"),
        (
            ServerSettings(cert_file=good[0], key_file=certificates / "client.key"),
            "tls.cert_file",
        ),
        (
            ServerSettings(
                cert_file=good[0], key_file=good[1], client_ca_file=nonsense
            ),
            "tls.client_ca_file",
        ),
    ):
        with pytest.raises(InputError) as raised:
            await Stage().server(settings).start()
        assert raised.value.field == field


async def test_client_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Before any call is made."""
    client = PlacementClient("127.0.0.1:1", tls=ClientTls(ca_file=tmp_path / "absent"))

    with pytest.raises(InputError) as raised:
        await client.__aenter__()

    assert raised.value.field == "ca_file"
