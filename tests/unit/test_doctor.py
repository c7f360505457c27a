"""The doctor's looks at files, certificates and spools, and how it bears with hangs."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from placement.adapters.data_directory import lock_data_directory
from placement.adapters.sqlite.spool import SqliteSpool
from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.core.fold import FOLD_VERSION
from placement.doctor import certificates, configuration, disk, examination, spool
from placement.doctor.examination import Check, PatientLoop, examine, healthy
from placement.doctor.finding import Finding, Verdict, ok
from placement.doctor.site import Site
from placement.ports import CheckpointHeader
from placement.spooling import Aside, Note, Settled, SpoolLimits
from tests.certificates import Authority, Papers
from tests.doctoring import about, findings, site_of, worst
from tests.ports import free_port

HOUR_S = 3_600


def fixed(name: str, *found: Finding) -> Check:
    """Return a check that always finds the same."""

    async def look(_site: Site) -> Sequence[Finding]:
        return found

    return Check(name, look)


async def test_what_hangs_and_what_breaks_is_a_finding_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are told all the same, in their order."""
    monkeypatch.setattr(examination, "CHECK_SECONDS", 0.05)

    async def hangs(_site: Site) -> Sequence[Finding]:
        await asyncio.Event().wait()
        return ()

    async def breaks(_site: Site) -> Sequence[Finding]:
        message = "of a test"
        raise RuntimeError(message)

    checks = [Check("a", hangs), Check("b", breaks), fixed("c", ok("well"))]

    found = await examine(checks, site_of(tmp_path))

    assert [one.check for one in found] == ["a", "b", "c"]
    assert [one.finding.verdict for one in found] == ["FAIL", "FAIL", "OK"]
    assert "no answer within" in found[0].finding.found
    assert not healthy(found)


def test_thread_that_hangs_does_not_hold_the_answer() -> None:
    """Such as a look at a disk of which the server is gone."""
    began_s = time.monotonic()

    async def patient() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.to_thread(time.sleep, 5)

    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        runner.run(patient())

    assert time.monotonic() - began_s < 4


async def test_no_secret_is_told(tmp_path: Path) -> None:
    """Whatever a check quotes: passwords of the configuration, users in addresses."""
    site = site_of(
        tmp_path,
        '[nats]\npassword = "of-the-broker"\n[agent.sources.fra]\n'
        'url = "http://r.example"\npassword = "of-fra"\n',
    )
    told = ok("of-the-broker of-fra tls://me:so-secret@nats.example:4222")

    [one] = await examine([fixed("a", told)], site)

    assert one.finding.found == "(secret) (secret) tls://nats.example:4222"


async def test_named_file_that_is_not_there_is_told_by_its_key(tmp_path: Path) -> None:
    """So is a registry that cannot be reached, and a region without an address."""
    regions = tmp_path / "regions.toml"
    regions.write_text(
        'home = "iad"\n[regions.iad]\nlatitude = 39\nlongitude = -77\n'
        f'endpoint = "http://127.0.0.1:{free_port()}"\n'
        "[regions.fra]\nlatitude = 50\nlongitude = 8\n"
        'serving_order = ["iad"]\n'
    )
    site = site_of(
        tmp_path,
        f'regions_file = "{regions}"\n[nats]\npassword_file = "{tmp_path}/none"\n',
    )

    files = await findings(configuration.configuration, site)
    regional = await findings(configuration.catalogue, site)

    assert about(files, "nats.password_file").verdict is Verdict.FAIL
    gone = about(regional, "region iad")
    assert (gone.verdict, "regions.iad.endpoint" in gone.remedy) == ("WARN", True)
    assert "served from iad first" in about(regional, "region fra").found


async def test_directory_of_another_user_is_told(tmp_path: Path) -> None:
    """Its owner, its mode, that nobody runs there; and who does, if one does."""
    site = site_of(tmp_path)
    absent = await findings(disk.data_directory, site)
    directory = site.config.data_dir
    directory.mkdir(mode=0o700)
    sound = await findings(disk.data_directory, site)
    lock = lock_data_directory(directory, directory / "lock")
    owned = await findings(disk.data_directory, site)
    os.close(lock)
    directory.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(directory, 65_534, 65_534)

    strange = await findings(disk.data_directory, site)

    assert worst(absent) is Verdict.WARN
    assert about(sound, "no service runs").verdict is Verdict.WARN
    assert f"process {os.getpid()}" in about(owned, "locked by").found
    assert "chmod 700" in about(strange, "open to others").remedy
    if os.geteuid() == 0:
        assert about(strange, "belongs to user 65534").verdict is Verdict.FAIL


async def test_file_system_that_forgets_or_lies_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as its kind and its options tell."""
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(disk, "MOUNTS", mounts)
    site = site_of(tmp_path)
    site.config.data_dir.mkdir(mode=0o700)
    verdicts = []
    for kind, options in (
        ("ext4", "rw"),
        ("ext4", "rw,nobarrier"),
        ("tmpfs", "rw"),
        ("nfs4", "rw"),
        ("overlay", "rw"),
    ):
        mounts.write_text(f"1 1 8:1 / / rw - {kind} /dev/x {options}\n")
        found = await findings(disk.data_directory, site)
        [one] = [
            each for each in found if kind in each.found or "mounted" in each.found
        ]
        verdicts.append(str(one.verdict))

    assert verdicts == ["OK", "FAIL", "WARN", "WARN", "WARN"]


async def test_checkpoint_says_where_it_stands_and_by_which_rules(
    tmp_path: Path,
) -> None:
    """Read beside its owner; damaged, of older rules, or not there at all."""
    site = site_of(tmp_path)
    site.config.data_dir.mkdir(mode=0o700)
    path = site.config.data_dir / "checkpoint.sqlite"
    none = await findings(disk.checkpoint, site)
    header = CheckpointHeader("e-1", 7, 1, FOLD_VERSION, b"")
    store = SqliteCheckpointStore(path)
    await store.save(header, [])
    beside = await findings(disk.checkpoint, site)
    await store.save(replace(header, fold_version=FOLD_VERSION - 1), [])
    older = await findings(disk.checkpoint, site)
    await store.close()
    path.write_bytes(b"no database" * 20)

    [damaged] = await examine([Check("checkpoint", disk.checkpoint)], site)

    assert worst(none) is Verdict.SKIPPED
    assert about(beside, "sequence 7, epoch e-1").verdict is Verdict.OK
    assert about(older, f"by {FOLD_VERSION}").verdict is Verdict.WARN
    assert damaged.finding.verdict is Verdict.FAIL
    assert "CHECKPOINT_DAMAGED" in damaged.finding.found


def with_tls(papers: Papers, cert: Path, key: Path, ca: Path) -> str:
    """Return a configuration with a server's and a client's certificate."""
    return (
        f'[tls]\ncert_file = "{cert}"\nkey_file = "{key}"\n'
        f'client_ca_file = "{papers.ca_file}"\ntrust_domain = "placement.test"\n'
        f'[client]\nca_file = "{ca}"\n'
    )


async def test_certificates_that_fit_are_found_sound(tmp_path: Path) -> None:
    """Days left, chain, key, TLS 1.3, and who we are by its names."""
    papers = Papers(tmp_path)
    ours = papers.client("operator")
    settings = with_tls(papers, papers.cert_file, papers.key_file, papers.ca_file)
    settings += f'cert_file = "{ours.cert_file}"\nkey_file = "{ours.key_file}"\n'

    found = await findings(certificates.certificates, site_of(tmp_path, settings))

    assert Verdict.FAIL not in {one.verdict for one in found}
    assert "runs out in 0.0 days" in about(found, "server.pem runs out").found
    about(found, "server.pem: chain and key fit, TLSv1.3")
    about(found, "we are operator")


@pytest.mark.parametrize("fault", ["expired", "key", "chain", "role"])
async def test_certificate_that_will_not_do_is_told(tmp_path: Path, fault: str) -> None:
    """Each fault in its own words, with the file."""
    papers = Papers(tmp_path)
    cert, key, ca, who = papers.cert_file, papers.key_file, papers.ca_file, "operator"
    if fault == "expired":
        cert, key = papers.authority.issue(valid_s=-60.0).write(tmp_path, "late")
    elif fault == "key":
        _, key = papers.authority.issue().write(tmp_path, "another")
    elif fault == "chain":
        ca = tmp_path / "stranger.pem"
        ca.write_bytes(Authority("a stranger").certificate)
    else:
        who = "emperor"
    ours = papers.client(who)
    settings = with_tls(papers, cert, key, ca)
    settings += f'cert_file = "{ours.cert_file}"\nkey_file = "{ours.key_file}"\n'

    found = await findings(certificates.certificates, site_of(tmp_path, settings))

    words = {
        "expired": "ran out",
        "key": "KEY_VALUES_MISMATCH",
        "chain": "unable to get local issuer certificate",
        "role": "there is no role of that name",
    }
    one = about(found, words[fault])
    assert one.verdict is Verdict.FAIL


def agent_site(directory: Path, more: str = "") -> Site:
    """Return an agent's site with its state under *directory*."""
    state = directory / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    settings = (
        f'[agent]\nregion = "iad"\nlisten = "127.0.0.1:{free_port()}"\n'
        f'state_dir = "{state}"\n{more}'
    )
    return site_of(directory, settings, agent=True)


async def test_full_spool_and_what_is_set_aside_are_told(tmp_path: Path) -> None:
    """How full, how old, why set aside, and when each feed was last heard."""
    site = agent_site(tmp_path, "[agent.spool]\nwaiting_bytes_max = 1048576\n")
    path = site.config.agent.state_dir / "spool.sqlite"
    none = await findings(spool.spool, site)
    limits = SpoolLimits(waiting_bytes_max=1 << 20, reserve_bytes=1 << 10)
    kept = await SqliteSpool.open(path, limits, time.time_ns)
    hours_ago = time.time_ns() - HOUR_S * 1_000_000_000
    await kept.put([Note("harbor", b"x" * 1_000, hours_ago)])
    old = await findings(spool.spool, site)
    await kept.put([Note("zot", b"x" * 1_000_000, hours_ago // 2)])
    lost = Aside(Note("harbor", b"?", hours_ago), "INPUT_INVALID", "no JSON")
    await kept.settle(Settled(asides=[lost]))

    full = await findings(spool.spool, site)
    heard = await findings(spool.feeds, site)
    await kept.close()

    assert worst(none) is Verdict.SKIPPED
    assert about(old, "the oldest for 36").verdict is Verdict.WARN
    assert "waiting_bytes_max" in about(full, "answered 503").remedy
    assert "placement spool list" in about(full, "INPUT_INVALID").remedy
    assert about(heard, "harbor").verdict is Verdict.OK
    assert about(heard, "zot").verdict is Verdict.WARN


async def test_agent_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """By the address that registries post to."""
    [one] = await findings(spool.door, agent_site(tmp_path))

    assert one.verdict is Verdict.FAIL
    assert "placement agent" in one.remedy
