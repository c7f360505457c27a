"""TLS both ways, and none older than TLS 1.3."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from placement.api.server import ServerSettings
from placement.client import ClientTls, PlacementCallError, PlacementClient
from placement.core.errors import InputError
from tests.authorized import settings_of
from tests.certificates import Papers
from tests.serving import Service, Stage, serving


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Certificates of one authority."""
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
async def mutual(papers: Papers) -> AsyncIterator[Service]:
    """A service that asks every client for a certificate."""
    async with serving(settings_of(papers)) as service:
        yield service


async def test_client_that_knows_the_authority_is_answered(papers: Papers) -> None:
    """TLS one way: the client knows who answers."""
    settings = ServerSettings(cert_file=papers.cert_file, key_file=papers.key_file)
    tls = ClientTls(ca_file=papers.ca_file)
    async with (
        serving(settings) as service,
        PlacementClient(service.target, tls=tls) as client,
    ):
        info = await client.get_service_info()

    assert info.version


async def test_client_with_a_certificate_is_answered(
    mutual: Service, papers: Papers
) -> None:
    """TLS both ways: the service knows who asks."""
    tls = papers.client("operator")
    async with PlacementClient(mutual.target, tls=tls) as client:
        info = await client.get_service_info()

    assert info.version


async def test_client_without_one_is_turned_away(
    mutual: Service, papers: Papers
) -> None:
    """So is one that speaks plain text; the remedy names TLS."""
    anonymous = ClientTls(ca_file=papers.ca_file)
    for tls in (anonymous, None):
        async with PlacementClient(mutual.target, timeout_s=0.5, tls=tls) as client:
            with pytest.raises(PlacementCallError) as raised:
                await client.get_service_info()
        assert raised.value.reason == "UNAVAILABLE"
        assert "TLS" in raised.value.remedy


async def test_certificate_that_is_none_is_an_error_of_its_setting(
    tmp_path: Path, papers: Papers
) -> None:
    """At the start: no certificate, another one's key, no authority."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    good, other = (papers.cert_file, papers.key_file), papers.client("operator")
    for settings, field in (
        (ServerSettings(cert_file=nonsense, key_file=nonsense), "tls.cert_file"),
        (
            ServerSettings(cert_file=good[0], key_file=other.key_file),
            "tls.cert_file",
        ),
        (
            replace(settings_of(papers), client_ca_file=nonsense),
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
