"""What JetStreamLog asks of a server and its stream, and how it refuses others."""

import asyncio
import dataclasses
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.adapters.log_message import MESSAGE_BYTES_MAX
from placement.ports import (
    LogConfigurationError,
    LogFullError,
    LogUnavailableError,
)
from tests.contract.event_logs import (
    SUBJECT,
    fill,
)
from tests.nats_server import NatsServer, StartServer, jetstream


def good_stream() -> StreamConfig:
    """Return the configuration that the service asks for, as an operator would."""
    return StreamConfig(
        name="PLACEMENT_V1",
        subjects=["placement.events.v1.>", "placement.decisions.v1.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_msgs=-1,
        max_bytes=-1,
        max_age=0,
        max_msg_size=MESSAGE_BYTES_MAX,
        num_replicas=1,
        duplicate_window=120,
        deny_delete=True,
        deny_purge=True,
    )


async def test_stream_is_made_as_the_service_needs_it(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """The stream that the service makes keeps everything, and cannot be purged."""
    await nats_log.status()

    async with jetstream(nats) as manager:
        found = (await manager.stream_info("PLACEMENT_V1")).config

    assert (found.discard, found.max_age, found.max_bytes) == ("new", 0, -1)
    assert (found.deny_delete, found.deny_purge) == (True, True)
    assert found.max_msg_size == MESSAGE_BYTES_MAX


async def test_stream_made_by_an_operator_is_taken_as_it_is(nats: NatsServer) -> None:
    """A stream that fits is used, and not changed."""
    async with jetstream(nats) as manager:
        made = await manager.add_stream(good_stream())
        log = await JetStreamLog.connect(nats.settings)
        found = await manager.stream_info("PLACEMENT_V1")
        await log.close()

    assert found.config == made.config


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("subjects", ["placement.events.v1.>"], '["placement.events.v1.>"]'),
        ("retention", "workqueue", '"workqueue"'),
        ("storage", "memory", '"memory"'),
        ("discard", "old", '"old"'),
        ("max_age", 3600, "3600 s"),
        ("max_msgs", 10, "10"),
        ("max_msgs_per_subject", 1, "1"),
        ("max_bytes", 1 << 30, "1073741824"),
        ("max_msg_size", -1, "-1"),
        ("duplicate_window", 1, "1 s"),
        ("deny_delete", False, "false"),
        ("deny_purge", False, "false"),
        ("allow_msg_ttl", True, "true"),
    ],
)
async def test_unfit_stream_is_refused_by_field(
    nats: NatsServer, field: str, value: object, shown: str
) -> None:
    """The error names the field, the value found, the value needed and a remedy."""
    async with jetstream(nats) as manager:
        await manager.add_stream(good_stream().evolve(**{field: value}))

    with pytest.raises(LogConfigurationError) as refused:
        await JetStreamLog.connect(nats.settings)

    assert refused.value.metadata["field"] == field
    assert f"{field} is {shown}" in str(refused.value)
    assert "needs" in str(refused.value)
    assert refused.value.metadata["remedy"] in str(refused.value)


async def test_more_replicas_than_servers_is_a_configuration_error(
    nats: NatsServer,
) -> None:
    """A single server cannot keep three replicas; the error repeats what it says."""
    settings = dataclasses.replace(nats.settings, replicas=3)

    with pytest.raises(LogConfigurationError, match="replicas"):
        await JetStreamLog.connect(settings)


async def test_subjects_of_another_stream_are_a_configuration_error(
    nats: NatsServer,
) -> None:
    """Two streams cannot store the same subjects."""
    async with jetstream(nats) as manager:
        await manager.add_stream(good_stream().evolve(name="OTHER"))

    with pytest.raises(LogConfigurationError, match="overlap"):
        await JetStreamLog.connect(nats.settings)


async def test_small_max_payload_is_a_configuration_error(
    start_nats: StartServer,
) -> None:
    """A server that refuses our largest message is refused itself."""
    small = start_nats("max_payload: 65536")

    with pytest.raises(LogConfigurationError, match="max_payload"):
        await JetStreamLog.connect(small.settings)


async def test_server_without_jetstream_says_so(start_nats: StartServer) -> None:
    """A server that cannot store is no log."""
    plain = start_nats("jetstream: false")

    with pytest.raises(LogUnavailableError, match="no stream listens"):
        await JetStreamLog.connect(plain.settings)


async def test_full_log_refuses_and_keeps(nats: NatsServer) -> None:
    """What is stored stays; what does not fit is refused, with the remedy."""
    settings = dataclasses.replace(nats.settings, max_bytes=4_096)
    log = await JetStreamLog.connect(settings)

    with pytest.raises(LogFullError, match="max_bytes"):
        await fill(log, 100, size=256)

    status = await log.status()
    assert status.first_sequence == 1
    assert 1 < status.last_sequence < 100
    await log.close()


async def test_nobody_listening_is_reported_in_time() -> None:
    """A connect to a closed port ends with the address in the error."""
    began = time.monotonic()
    settings = JetStreamSettings(
        servers=("nats://someone:secret@127.0.0.1:1",), connect_timeout_seconds=0.5
    )

    with pytest.raises(LogUnavailableError, match=r"127\.0\.0\.1:1") as failed:
        await JetStreamLog.connect(settings)

    assert time.monotonic() - began < 2
    assert "secret" not in str(failed.value)


async def test_dead_server_among_several_does_no_harm(nats: NatsServer) -> None:
    """Any server of a cluster will do."""
    several = ("nats://127.0.0.1:1", nats.url, "nats://127.0.0.1:2")
    log = await JetStreamLog.connect(
        dataclasses.replace(nats.settings, servers=several)
    )

    assert (await log.status()).last_sequence == 0
    await log.close()


async def test_wrong_password_is_reported_without_it(start_nats: StartServer) -> None:
    """The error says at once that we were not let in, and not with which password."""
    guarded = start_nats("authorization { user: u, password: p }")
    wrong = "hunter2"
    settings = dataclasses.replace(
        guarded.settings, user="u", password=wrong, connect_timeout_seconds=60
    )

    with pytest.raises(LogUnavailableError, match="Authorization") as failed:
        await JetStreamLog.connect(settings)

    assert wrong not in str(failed.value) + repr(settings)


@pytest.mark.parametrize("field", ["credentials_file", "tls_ca_file"])
async def test_unreadable_file_is_named(field: str, tmp_path: Path) -> None:
    """A file that is not there is a matter of configuration."""
    named: dict[str, Any] = {field: tmp_path / "absent"}
    settings = JetStreamSettings(servers=("nats://127.0.0.1:1",), **named)

    with pytest.raises(LogConfigurationError, match=f"{field}: .*absent"):
        await JetStreamLog.connect(settings)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the keys")
async def test_log_over_tls(start_nats: StartServer, tmp_path: Path) -> None:
    """With the authority's file the log is reached over TLS, without it not."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
    make += ["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=t"]
    make += ["-addext", "subjectAltName=IP:127.0.0.1"]
    process = await asyncio.create_subprocess_exec(
        *(*make, "-keyout", str(key), "-out", str(certificate)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    secure = start_nats(f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}')
    trusting = dataclasses.replace(secure.settings, tls_ca_file=certificate)
    doubting = dataclasses.replace(secure.settings, connect_timeout_seconds=60)

    log = await JetStreamLog.connect(trusting)
    stored = await log.append(SUBJECT, b"x", "m0")
    await log.close()

    assert stored.sequence == 1
    with pytest.raises(LogUnavailableError, match="certificate verify failed"):
        await JetStreamLog.connect(doubting)
