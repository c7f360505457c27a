"""The doctor at a real nats-server: each thing that can be wrong with it, made so."""

import time
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from placement.adapters.jetstream.log import JetStreamLog
from placement.doctor import broker, clocks
from placement.doctor.finding import Verdict
from placement.doctor.site import Site
from placement.ports import LogStatus
from tests.doctoring import about, findings, site_of, worst
from tests.nats_server import NatsServer, StartServer, jetstream

SUBJECT = "placement.events.v1.iad.content_pushed"


def site(directory: Path, server: NatsServer, more: str = "", **fields: object) -> Site:
    """Return a site whose log is in *server*."""
    return site_of(directory, f'[nats]\nurl = "{server.url}"\n{more}', **fields)


async def make(stream: JetStreamContext, **more: object) -> None:
    """Make our stream as somebody might who does not know what we need."""
    wanted = StreamConfig(
        name="PLACEMENT_V1",
        subjects=["placement.decisions.v1.>", "placement.events.v1.>"],
        **more,  # type: ignore[arg-type] # fields of the stream
    )
    await stream.add_stream(wanted)


async def ended_at(server: NatsServer) -> LogStatus:
    """Return where a log of our own making stands."""
    log = await JetStreamLog.connect(server.settings)
    try:
        return await log.status()
    finally:
        await log.close()


async def test_sound_broker_is_found_sound_and_nothing_is_stored(
    tmp_path: Path, nats: NatsServer
) -> None:
    """Permissions are tried by appends that expect what no stream meets."""
    before = await ended_at(nats)

    found = [
        *await findings(broker.broker, site(tmp_path, nats)),
        *await findings(broker.stream, site(tmp_path, nats)),
        *await findings(broker.permissions, site(tmp_path, nats)),
        *await findings(clocks.clocks, site(tmp_path, nats)),
    ]

    assert {one.verdict for one in found} == {Verdict.OK, Verdict.SKIPPED}
    about(found, "nats-server 2.")
    about(found, "set up as it should be")
    about(found, "may append and read")
    assert about(found, "broker's clock agrees").verdict is Verdict.OK
    assert await ended_at(nats) == before


async def test_unfit_stream_is_told_field_by_field(
    tmp_path: Path, nats: NatsServer
) -> None:
    """All fields at once, each with what is needed and who can mend it."""
    async with jetstream(nats) as stream:
        await make(stream, max_age=60, max_msgs=10, duplicate_window=5)

    found = await findings(broker.stream, site(tmp_path, nats))

    for field in ("discard is", "max_age is 60 s", "max_msgs is 10", "window is 5 s"):
        one = about(found, field)
        assert one.verdict is Verdict.FAIL
        assert "nats stream edit PLACEMENT_V1" in one.remedy


async def test_trimmed_log_and_full_one_are_told(
    tmp_path: Path, nats: NatsServer
) -> None:
    """A purge is a fact for ever; room that runs out is told before."""
    async with jetstream(nats) as stream:
        await make(stream, max_bytes=1_000)
        for _ in range(4):
            await stream.publish(SUBJECT, b"x" * 180)
        await stream.purge_stream("PLACEMENT_V1", seq=2)
        await stream.publish(SUBJECT, b"x" * 180)

    found = await findings(broker.stream, site(tmp_path, nats))

    one = about(found, "the log begins at 2")
    assert one.verdict is Verdict.FAIL
    assert "bootstrap.peers" in one.remedy
    assert about(found, "% of its max_bytes").verdict is Verdict.WARN


async def test_no_stream_yet_is_told(tmp_path: Path, nats: NatsServer) -> None:
    """It is looked for, and not made."""
    found = await findings(broker.stream, site(tmp_path, nats))

    assert about(found, "there is no stream").verdict is Verdict.FAIL
    async with jetstream(nats) as stream:
        assert await stream.streams_info() == []


async def test_killed_broker_is_named_and_no_secret_is(
    tmp_path: Path, nats: NatsServer
) -> None:
    """Its address is told, our password is not; what rests on it is skipped."""
    nats.kill()
    who = 'user = "us"\npassword = "hush-hush"'
    here = site(tmp_path, nats, who)

    found = await findings(broker.broker, here)
    rest = await findings(broker.stream, site(tmp_path, nats, who))

    assert found[0].verdict is Verdict.FAIL
    assert str(nats.port) in found[0].found
    assert "nats.url" in found[0].remedy
    assert "hush" not in repr(found)
    assert worst(rest) is Verdict.SKIPPED


async def test_user_without_rights_is_told_which(
    tmp_path: Path, start_nats: StartServer
) -> None:
    """Each denied subject by its name, and what gives the right."""
    shared = "of-a-test"
    allowed = '"placement.events.v1.>", "$JS.API.STREAM.>"'
    server = start_nats(
        f'authorization {{ users: [ {{ user: "all", password: "{shared}" }}\n'
        f'{{ user: "few", password: "{shared}", permissions: {{'
        f' publish: [{allowed}], subscribe: ["_INBOX.>"] }} }} ] }}'
    )
    client = Client()
    await client.connect(server.url, user="all", password=shared)
    await make(client.jetstream())
    await client.close()
    who = f'user = "few"\npassword = "{shared}"\ninbox_prefix = "_INBOX"'

    found = await findings(broker.permissions, site(tmp_path, server, who))

    assert [one.verdict for one in found] == [Verdict.FAIL]
    assert "placement.decisions.v1.iad.replication_planned" in found[0].found
    assert "placement nats-config" in found[0].remedy


async def test_broker_without_jetstream_is_told(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It lets us in, and stores nothing."""
    from tests.nats_server import newest_server  # noqa: PLC0415 - a server of its own

    directory = tmp_path_factory.mktemp("plain")
    server = NatsServer(newest_server(), directory / "nats", stores=False)
    server.start()
    try:
        found = await findings(broker.broker, site(tmp_path, server))
    finally:
        server.kill()

    assert about(found, "JetStream does not answer").verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("skew_s", "verdict"), [(20, Verdict.FAIL), (-3, Verdict.WARN)]
)
async def test_clock_that_differs_is_told(
    tmp_path: Path, nats: NatsServer, skew_s: int, verdict: Verdict
) -> None:
    """By how much, which way, and against which limit."""
    await ended_at(nats)
    ours = site(tmp_path, nats, clock=lambda: time.time_ns() + skew_s * 1_000_000_000)

    one = about(await findings(clocks.clocks, ours), "the broker's clock")

    assert one.verdict is verdict
    assert ("behind" if skew_s > 0 else "ahead of") in one.found
    assert "the limit is 10 s" in one.found
