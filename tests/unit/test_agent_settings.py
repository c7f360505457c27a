"""What an agent's configuration comes to: secrets from files, registries by region."""

from pathlib import Path

import pytest

from placement.agent_app.settings import (
    feed_settings,
    receiver_settings,
    registries,
    spool_limits,
)
from placement.config import AgentConfig, RegistryConfig, read_secret
from placement.config.agent_keys import ReceiverConfig, SpoolConfig
from placement.core.errors import InputError
from placement.core.topology import CatalogueRegion, Region, Topology

IAD, SYD, FRA = Region("iad"), Region("syd"), Region("fra")
ENDPOINTS = {IAD: "http://iad.catalogue", SYD: "http://syd.catalogue", FRA: ""}


def topology() -> Topology:
    """Return a catalogue that states two registries of three."""
    regions = {
        code: CatalogueRegion(code, code, 0.0, 0.0, endpoint=endpoint)
        for code, endpoint in ENDPOINTS.items()
    }
    return Topology(regions, IAD)


def test_secret_is_read_once_and_never_shown(tmp_path: Path) -> None:
    """Without the newline that editors add; errors name the key and the file."""
    file = tmp_path / "secret"
    file.write_text("hidden\n")
    empty = tmp_path / "empty"
    empty.write_text("\n")

    assert read_secret(file, "agent.registry.token_file") == "hidden"
    assert read_secret(None, "agent.registry.token_file") == ""
    for broken in (empty, tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError) as error:
            read_secret(broken, "agent.registry.token_file")
        assert error.value.field == "agent.registry.token_file"
        assert "hidden" not in str(error.value)


def test_receiver_takes_its_secrets_from_files(tmp_path: Path) -> None:
    """A token, a key, or both; neither is in what is printed."""
    file = tmp_path / "secret"
    file.write_text("hidden")
    chosen = ReceiverConfig(token_file=file, signature_key_file=file)

    found = receiver_settings(chosen, IAD, ("distribution",))

    assert (found.token, found.signature_key) == ("hidden", b"hidden")
    assert "hidden" not in repr(found)


def test_feed_knows_clients_by_their_networks() -> None:
    """A network that is none is refused by its key."""
    good = ReceiverConfig(client_regions={"10.1.0.0/16": "syd"}, proxy=True)
    bad = ReceiverConfig(client_regions={"10.1.0.0": "SYD!"})

    found = feed_settings(good, IAD)

    assert list(found.client_regions.values()) == [SYD]
    assert found.proxy
    with pytest.raises(InputError) as error:
        feed_settings(bad, IAD)
    assert error.value.field == "agent.receiver.client_regions"


def test_registries_are_the_catalogues_with_our_own_credentials() -> None:
    """Unless a section says otherwise; a region without an address has none."""
    agent = AgentConfig(
        region="iad",
        registry=RegistryConfig(url="http://127.0.0.1:5000", user="us"),
        sources={"fra": RegistryConfig(url="https://fra.example", user="them")},
    )

    found = {one.region: one for one in registries(agent, IAD, topology())}

    assert {code: one.url for code, one in found.items()} == {
        IAD: "http://127.0.0.1:5000",
        SYD: "http://syd.catalogue",
        FRA: "https://fra.example",
    }
    assert [found[code].user for code in (IAD, SYD, FRA)] == ["us", "us", "them"]


def test_region_outside_the_catalogue_may_have_a_registry() -> None:
    """Its own agent names it; others name it among the sources."""
    agent = AgentConfig(registry=RegistryConfig(url="http://here"))

    found = {one.region for one in registries(agent, Region("lab"), topology())}

    assert found == {Region("lab"), IAD, SYD}


def test_passwords_come_from_files_too(tmp_path: Path) -> None:
    """And are not shown; a file that is missing is named by its key."""
    file = tmp_path / "password"
    file.write_text("hidden\n")
    chosen = RegistryConfig(url="http://here", user="us", password_file=file)

    [own, *_] = registries(AgentConfig(registry=chosen), IAD, topology())

    assert own.password == "hidden"  # noqa: S105 - not one
    assert "hidden" not in repr(own)
    file.unlink()
    with pytest.raises(InputError) as error:
        list(registries(AgentConfig(registry=chosen), IAD, topology()))
    assert error.value.field == "agent.registry.password_file"


def test_spool_limits_are_the_configured_ones() -> None:
    """Seconds become nanoseconds."""
    found = spool_limits(SpoolConfig(kept_seconds=2, kept_bytes_max=5))

    assert (found.kept_ns_max, found.kept_bytes_max) == (2_000_000_000, 5)
