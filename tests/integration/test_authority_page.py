"""docs/authority.md: what it tells people to type does what it says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from placement.api.server import ServerSettings
from placement.client import ClientTls, PlacementCallError, PlacementClient
from placement.config import load_config
from tests.authority_page import PAGE
from tests.serving import serving

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl makes the certificates"
)


def blocks(language: str) -> list[str]:
    """Return the page's blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where all was typed that the page says."""
    monkeypatch.chdir(tmp_path)
    [script] = blocks("bash")
    command = ["bash", "-eu", "-o", "pipefail", "-c", script]
    subprocess.run(command, check=True, capture_output=True)
    ours, theirs = blocks("toml")
    (tmp_path / "ours.toml").write_text(ours)
    (tmp_path / "theirs.toml").write_text(theirs)
    return tmp_path


async def test_page_sets_up_a_service_that_knows_its_callers(typed: Path) -> None:
    """Its commands make files, its configuration loads, its roles are told apart."""
    config = load_config(typed / "ours.toml")
    settings = ServerSettings(
        cert_file=config.tls.cert_file,
        key_file=config.tls.key_file,
        client_ca_file=config.tls.client_ca_file,
        trust_domain=config.tls.trust_domain,
    )
    client = load_config(typed / "theirs.toml").client
    assert client.cert_file == Path("operator.pem")

    reasons = {}
    async with serving(settings) as service:
        for name in ("operator", "agent-iad", "acme-analyst", "service"):
            files = (Path(f"{name}.pem"), Path(f"{name}.key"))
            tls = ClientTls(client.ca_file, *files)
            async with PlacementClient(service.target, tls=tls) as asking:
                with pytest.raises(PlacementCallError) as raised:
                    await asking.get_replication("copy-1")
            reasons[name] = raised.value.reason

    assert reasons == {
        "operator": "REPLICATION_UNKNOWN",
        "agent-iad": "REPLICATION_UNKNOWN",
        "acme-analyst": "REPLICATION_UNKNOWN",
        "service": "IDENTITY_UNKNOWN",
    }
