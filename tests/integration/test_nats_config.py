"""``placement nats-config``: what it writes, and what servers make of that."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from placement.adapters.jetstream.connection import Connection
from placement.adapters.jetstream.settings import JetStreamSettings, nkey_seed
from placement.cli.main import main
from placement.core.topology import Topology
from placement.nats_authority.credentials import Proof
from placement.ports import LogConfigurationError, LogUnavailableError
from tests.builders import IAD, SYD, TOPOLOGY
from tests.copiers import until
from tests.nats_users import VERSIONS, Guarded, logged_in, running

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl makes the certificates"
)
OWN, OTHERS = "placement.events.v1.syd.batch", "placement.events.v1.iad.batch"


def written(directory: Path, *arguments: str) -> Result:
    """Run the command into *directory*."""
    return CliRunner().invoke(
        main, ["nats-config", "--to", str(directory), *arguments], obj=None
    )


@pytest.mark.parametrize("proof", Proof)
def test_second_run_writes_the_same_and_keeps_every_secret(
    proof: Proof, tmp_path: Path
) -> None:
    """Byte for byte; secrets are for their owner only, and in their files alone."""
    first = written(tmp_path, "--auth", proof.value, "-o", "json")
    file = tmp_path / "placement-accounts.conf"
    before = file.read_bytes()

    second = written(tmp_path, "--auth", proof.value, "-o", "json")

    assert first.exit_code == second.exit_code == 0, first.output
    assert file.read_bytes() == before
    kept = sorted((tmp_path / "secrets").glob("*")) if proof != "certificate" else []
    assert [path for path in (file, *kept) if path.stat().st_mode & 0o077] == []
    secrets = [path.read_text().strip() for path in kept]
    told = first.output + second.output + before.decode()
    assert [secret for secret in secrets if secret in told] == []
    named = {user["secret_file"] for user in json.loads(second.stdout)["users"]}
    assert named - {None} == set(map(str, kept))
    assert len(set(secrets)) == len(kept)


def test_removed_region_leaves_a_secret_that_is_told(tmp_path: Path) -> None:
    """Nobody's any more: an operator may remove the file."""
    written(tmp_path)
    regions = tmp_path / "regions.toml"
    regions.write_text('home = "iad"\n[regions.iad]\nlatitude = 1\nlongitude = 1\n')

    again = written(tmp_path, "--regions", str(regions))

    assert f"{tmp_path}/secrets/agent-syd.nk" in again.output.replace("\n", "")
    assert "agent-syd" not in (tmp_path / "placement-accounts.conf").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--account", "lower"),
        ("--account", "A", "--account", "A"),
        ("--account", "A", "--account", "B", "--auth", "certificate"),
        ("--trust-domain", "no domain"),
        ("--zot-subject", "placement.events.v1.syd.x"),
        ("--zot-subject", ">"),
        ("--zot-subject", "$JS.API.>"),
    ],
)
def test_what_a_configuration_cannot_hold_is_refused(
    arguments: Sequence[str], tmp_path: Path
) -> None:
    """By the flag's name, and nothing is written."""
    refused = written(tmp_path / "to", *arguments)

    assert refused.exit_code == 2, refused.output
    assert arguments[0] in refused.output
    assert not (tmp_path / "to").exists()


def test_damaged_seed_is_named_and_never_shown(tmp_path: Path) -> None:
    """Neither by the command nor by who is to log in with it."""
    written(tmp_path)
    path = tmp_path / "secrets" / "agent-syd.nk"
    path.write_text("SUTHISISNOSEED")

    refused = written(tmp_path)
    with pytest.raises(LogConfigurationError, match="holds no seed") as raised:
        nkey_seed(path)

    assert refused.exit_code == 2
    assert "agent-syd.nk" in refused.output
    assert "SUTHISISNOSEED" not in refused.output + str(raised.value)


@pytest.mark.parametrize("version", VERSIONS)
async def test_reload_lets_a_new_region_in_and_drops_nobody(
    version: str, tmp_path: Path
) -> None:
    """The catalogue grows while everybody stays connected."""
    less = Topology(
        {code: region for code, region in TOPOLOGY.regions.items() if code != SYD}, IAD
    )
    guarded = Guarded(version, tmp_path, topology=less)
    with running(guarded):
        async with logged_in(guarded.settings("service")) as service:
            grown = Guarded(version, tmp_path)
            syd = replace(grown.settings("agent-syd"), servers=(guarded.server.url,))
            with pytest.raises(LogUnavailableError, match="Authorization"):
                await Connection(syd).api("INFO")
            configuration = guarded.server.directory / "server.conf"
            text = configuration.read_text()
            configuration.write_text(text.replace(guarded.written, grown.written))
            guarded.server.reload()
            await until(lambda: "Reloaded server" in guarded.server.output())
            async with logged_in(syd) as agent:
                assert await agent.publish(OWN)
                assert not await agent.publish(OTHERS)

            assert await service.publish(OTHERS)
            assert service.client.is_connected


def openssl(*arguments: object, folder: Path) -> None:
    """Run openssl in *folder*."""
    command = ["openssl", *map(str, arguments)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def certificates(folder: Path, names: dict[str, str]) -> None:
    """Make an authority, and a certificate for each of *names*."""
    folder.mkdir()
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(
        *("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem"),
        *("-days", 2, "-subj", "/CN=test authority"),
        folder=folder,
    )
    for name, alternative in names.items():
        (folder / "names").write_text(f"subjectAltName={alternative}\n")
        openssl(
            *("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr"),
            *("-subj", "/CN=anybody"),
            folder=folder,
        )
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem"),
            *("-CAkey", "ca.key", "-CAcreateserial", "-days", 2),
            *("-extfile", "names", "-out", f"{name}.pem"),
            folder=folder,
        )


@needs_openssl
@pytest.mark.parametrize("version", VERSIONS)
async def test_certificate_is_the_user_that_its_uri_names(
    version: str, tmp_path: Path
) -> None:
    """``verify_and_map``: no password; a certificate of nobody is not let in."""
    names = {
        "server": "IP:127.0.0.1",
        "syd": "URI:spiffe://placement/region/syd/agent",
        "stranger": "URI:spiffe://placement/region/atlantis/agent",
    }
    folder = tmp_path / "certificates"
    certificates(folder, names)
    tls = (
        f'tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key", '
        f'ca_file: "{folder}/ca.pem", verify_and_map: true }}'
    )
    guarded = Guarded(version, tmp_path, Proof.CERTIFICATE, extra=tls)
    with running(guarded):

        def settings(name: str) -> JetStreamSettings:
            return replace(
                guarded.server.settings,
                servers=(guarded.server.url.replace("nats:", "tls:"),),
                inbox_prefix="_INBOX_syd",
                tls_ca_file=folder / "ca.pem",
                tls_certificate_file=folder / f"{name}.pem",
                tls_key_file=folder / f"{name}.key",
            )

        async with logged_in(settings("syd")) as agent:
            own, others = await agent.publish(OWN), await agent.publish(OTHERS)
        with pytest.raises(LogUnavailableError, match=r"(?i)authorization"):
            await Connection(settings("stranger")).api("INFO")

    assert (own, others) == (True, False)
