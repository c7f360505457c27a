"""Certificates: taken up while streams go on, and watched until they run out."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from placement.api.authority.gate import Gate, OneTls, TlsOutdatedError
from placement.api.certificates import CertificateFiles, Certificates
from placement.client import ClientTls, PlacementCallError, PlacementClient
from placement.client.channels import open_channel
from placement.core.errors import InputError
from placement.v1.placement_service_pb2 import WatchPlacementsRequest
from placement.v1.placement_service_pb2_grpc import PlacementServiceStub
from tests.authorized import Guarded, guarded
from tests.builders import AMS, SECOND_NS, pushed
from tests.certificates import Authority, Papers, now
from tests.figures import tell

STREAMS = 50
DAY_S = 86_400
DEADLINE_S = 20.0
NS = 1_000_000_000


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    """Certificates of one authority, for one test."""
    return Papers(tmp_path)


@pytest.fixture
async def service(papers: Papers) -> AsyncIterator[Guarded]:
    """A service that looks at its files all the time."""
    async with guarded(papers, look_interval_s=0.05) as served:
        yield served


@pytest.fixture
async def calm(papers: Papers) -> AsyncIterator[Guarded]:
    """A service that looks at its files when a test says so."""
    async with guarded(papers, look_interval_s=3_600) as served:
        yield served


def seconds() -> int:
    """Return the time of this machine."""
    return int(now().timestamp())


async def until(met: Callable[[], bool]) -> None:
    """Return once that is so."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if met():
                return
            await asyncio.sleep(0.02)


def shown(target: str, tls: ClientTls) -> bytes:
    """Return the certificate that a new connection is shown."""
    host, port = target.split(":")
    context = ssl.create_default_context(cafile=tls.ca_file)
    assert tls.cert_file is not None
    context.load_cert_chain(tls.cert_file, tls.key_file)
    context.set_alpn_protocols(["h2"])
    address = (host, int(port))
    with (
        socket.create_connection(address) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True) or b""


async def told(stream: Any, what: str) -> None:  # noqa: ANN401 - a stream of responses
    """Return once the stream has told *what*."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            response = await stream.read()
            if any(item.HasField(what) for item in response.items):
                return


async def works(target: str, tls: ClientTls) -> bool:
    """Say whether a new client is answered."""
    async with PlacementClient(target, timeout_s=1, tls=tls) as client:
        try:
            await client.get_service_info()
        except PlacementCallError:
            return False
    return True


async def test_streams_go_on_while_certificates_change(
    service: Guarded, papers: Papers
) -> None:
    """A new pair, then a new authority of clients: who is connected notices nothing.

    New connections are shown the new pair, and need the new authority.
    """
    old, certificates = papers.client("region/ams/node"), service.server.certificates
    assert certificates is not None
    before = await asyncio.to_thread(shown, service.target, old)
    async with AsyncExitStack() as stack:
        streams = []
        for _ in range(STREAMS):
            channel = await stack.enter_async_context(open_channel(service.target, old))
            stub: Any = PlacementServiceStub(channel)
            stream = stub.WatchPlacements(WatchPlacementsRequest())
            await told(stream, "bookmark")
            streams.append(stream)

        papers.authority.issue(valid_s=2 * DAY_S).write(papers.folder, "server")
        await until(lambda: certificates.outcomes["reloaded"] == 1)
        after = await asyncio.to_thread(shown, service.target, old)
        assert after != before
        assert certificates.expiry()["server"] > seconds() + DAY_S

        another = Authority("another authority")
        papers.ca_file.write_bytes(another.certificate)
        await until(lambda: certificates.outcomes["reloaded"] == 2)
        pair = another.issue(uris=["spiffe://placement.test/region/ams/node"])
        files = pair.write(papers.folder, "new-client")
        server_ca = papers.folder / "server-ca.pem"
        server_ca.write_bytes(papers.authority.certificate)
        assert await works(service.target, ClientTls(server_ca, *files))
        old_files = (old.cert_file, old.key_file)
        assert not await works(service.target, ClientTls(server_ca, *old_files))

        await service.stage.happen(pushed("layer", AMS))
        kept = 0
        for stream in streams:
            await told(stream, "placement")
            kept += 1
    tell("certificate reloads", streams=STREAMS, kept=kept, reloads=2)


async def test_files_that_cannot_be_used_change_nothing(
    calm: Guarded, papers: Papers
) -> None:
    """Half written, of two pairs, run out, or gone: the old ones stay in use."""
    tls, certificates = papers.client("operator"), calm.server.certificates
    assert certificates is not None
    good = papers.cert_file.read_bytes(), papers.key_file.read_bytes()
    other = papers.authority.issue()
    expired = papers.authority.issue(valid_s=-60 * DAY_S)
    before = await asyncio.to_thread(shown, calm.target, tls)
    bad = [
        (good[0][:100], good[1]),
        (other.certificate, good[1]),
        (expired.certificate, expired.key),
    ]
    for failed, (certificate, key) in enumerate(bad, start=1):
        papers.key_file.write_bytes(key)
        papers.cert_file.write_bytes(certificate)
        for _ in "again":
            certificates.look()
        assert certificates.outcomes == {"failed": failed}
        assert await asyncio.to_thread(shown, calm.target, tls) == before
    papers.cert_file.unlink()
    certificates.look()
    assert certificates.outcomes == {"failed": 4}

    assert await works(calm.target, tls)
    other.write(papers.folder, "server")
    certificates.look()
    assert certificates.outcomes == {"failed": 4, "reloaded": 1}
    assert await asyncio.to_thread(shown, calm.target, tls) != before


def test_end_is_said_thirty_and_seven_days_before(papers: Papers) -> None:
    """Once each, and once more when it is over; a new certificate begins anew."""
    pair = papers.authority.issue(valid_s=40 * DAY_S)
    pair.write(papers.folder, "server")
    time_s = seconds()
    files = CertificateFiles(papers.cert_file, papers.key_file)
    certificates = Certificates(files, lambda: time_s * NS)
    said = []
    for _ in range(42):
        with capture_logs() as logs:
            certificates.look()
            certificates.look()
        said += [
            each["days"] for each in logs if each["event"] == "certificate_expires"
        ]
        time_s += DAY_S

    assert said == [30.0, 7.0, 0.0]
    papers.authority.issue(valid_s=100 * DAY_S).write(papers.folder, "server")
    with capture_logs() as logs:
        certificates.look()
    assert [each["event"] for each in logs] == ["certificates_reloaded"]


def test_certificate_that_runs_out_soon_is_said_at_the_start(papers: Papers) -> None:
    """Whoever starts it reads the log."""
    with capture_logs() as logs:
        Certificates(
            CertificateFiles(papers.cert_file, papers.key_file, papers.ca_file),
            lambda: seconds() * NS,
        )

    assert {each["role"] for each in logs} == {"server", "client_ca"}


def test_file_that_is_no_certificate_is_refused_at_the_start(papers: Papers) -> None:
    """By its setting."""
    papers.ca_file.write_text("nonsense")
    files = CertificateFiles(papers.cert_file, papers.key_file, papers.ca_file)
    with pytest.raises(InputError) as raised:
        Certificates(files, lambda: SECOND_NS)

    assert raised.value.field == "tls.client_ca_file"


class Handshake:
    """What a guard reads of a call."""

    def __init__(self, version: bytes) -> None:
        """Be of that version of TLS."""
        self.version = version

    def auth_context(self) -> dict[str, list[bytes]]:
        """Return what gRPC tells of a good client."""
        return {
            "ssl_tls_version": [self.version],
            "peer_uri": [b"spiffe://placement.test/operator"],
        }


async def test_call_over_an_older_tls_is_refused(service: Guarded) -> None:
    """Whatever the handshake let through; the program lets none through."""
    method = "/placement.v1.PlacementService/GetServiceInfo"
    denials = service.server.denials
    for guard in (OneTls(denials), Gate("placement.test", denials)):
        guard.enter(method, Handshake(b"TLSv1.3"))
        with pytest.raises(TlsOutdatedError):
            guard.enter(method, Handshake(b"TLSv1.2"))
    assert denials.by_role["unknown", "TLS_OUTDATED"] == 2
