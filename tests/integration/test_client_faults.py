"""The client where services go, hang, move, and certificates are renewed."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message as ProtoMessage

from placement.client import (
    ClientTls,
    LocalPlacements,
    PlacementCallError,
    PlacementClient,
)
from placement.client.channels import LOOK_AGAIN_S
from placement.core.errors import InputError
from placement.runtime.tokens import make_token
from placement.v1 import placement_service_pb2 as pb
from tests.authorized import guarded
from tests.builders import AMS, FRA, IAD, WEB, A, B, pushed, replicated
from tests.certificates import Authority, Papers, uri
from tests.figures import tell
from tests.freezing_link import FreezingLink
from tests.link_proxy import LinkProxy
from tests.ports import free_port
from tests.serving import EPOCH, Service, serving

PATIENCE_S = 10.0


@dataclass
class Pair:
    """Two services that know the same, the first one behind a link."""

    first: Service
    second: Service
    link: LinkProxy

    @property
    def targets(self) -> list[str]:
        """Where they answer, the first one by its link."""
        return [f"127.0.0.1:{self.link.port}", self.second.target]

    async def happen(self, *events: object) -> None:
        """Let both services know *events*."""
        for service in (self.first, self.second):
            await service.stage.happen(*events)  # type: ignore[arg-type]  # events


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """Two services that know an image in two regions."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(serving())
        second = await stack.enter_async_context(serving())
        link = await stack.enter_async_context(LinkProxy(first.target))
        found = Pair(first, second, link)
        await found.happen(pushed("a", IAD), replicated("a", FRA))
        yield found


async def test_call_that_a_stopping_service_cancelled_is_repeated() -> None:
    """Nobody here gave it up: the service is away for a moment."""
    asked = 0

    async def rank(_: object, context: Any) -> ProtoMessage:  # noqa: ANN401 - of grpc
        nonlocal asked
        asked += 1
        if asked == 1:
            await context.abort(grpc.StatusCode.CANCELLED)
        return pb.RankSourcesResponse(sources=[pb.Source(region=FRA)])

    server = grpc.aio.server()
    kinds = pb.RankSourcesRequest.FromString, pb.RankSourcesResponse.SerializeToString
    answers = {"RankSources": grpc.unary_unary_rpc_method_handler(rank, *kinds)}
    server.add_registered_method_handlers("placement.v1.PlacementService", answers)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with PlacementClient(f"127.0.0.1:{port}") as client:
            ranking = await client.rank_sources(WEB, A, AMS)
    finally:
        await server.stop(0)

    assert [each.region for each in ranking.sources] == [FRA]
    assert asked == 2


async def test_first_target_is_asked_while_it_answers(pair: Pair) -> None:
    """The order is the caller's preference."""
    await pair.second.server.stop(0)

    async with PlacementClient(pair.targets) as client:
        assert (await client.rank_sources(WEB, A, AMS)).sources

    assert pair.link.connections == 1


async def test_next_target_answers_when_one_is_gone(pair: Pair) -> None:
    """Within the same call, and the one that is gone is not asked first again."""
    pair.link.refuses = True

    async with PlacementClient(pair.targets) as client:
        assert (await client.rank_sources(WEB, A, AMS)).sources
        knocked = pair.link.connections
        for _ in range(5):
            assert (await client.rank_sources(WEB, A, AMS)).sources

    assert 1 <= knocked <= pair.link.connections <= knocked + 1


async def test_target_that_hangs_leaves_time_for_the_next(pair: Pair) -> None:
    """Half of the time at most, since nobody knows that it hangs."""
    async with PlacementClient(pair.targets, timeout_s=2.0) as client:
        await client.rank_sources(WEB, A, AMS)
        pair.link.block()
        began_s = monotonic()

        assert (await client.rank_sources(WEB, A, AMS)).sources

        assert 0.9 < monotonic() - began_s < 2.0
        pair.link.unblock()


async def test_target_that_comes_back_is_asked_when_the_other_goes(pair: Pair) -> None:
    """Targets are asked in a circle."""
    pair.link.refuses = True
    async with PlacementClient(pair.targets, timeout_s=PATIENCE_S) as client:
        await client.get_service_info()
        pair.link.refuses = False
        await pair.second.server.stop(0)

        assert (await client.rank_sources(WEB, A, AMS)).sources


async def test_cut_connection_is_made_again_within_the_call(pair: Pair) -> None:
    """One service alone: the call is repeated over another connection."""
    async with PlacementClient(pair.targets[0], timeout_s=PATIENCE_S) as client:
        await client.get_service_info()
        pair.link.cuts.append(pair.link.received + 1)

        assert (await client.rank_sources(WEB, A, AMS)).sources

    assert pair.link.connections == 2


async def test_far_service_is_reached_at_the_first_attempt(pair: Pair) -> None:
    """A handshake takes some round trips, which are long across an ocean."""
    pair.link.there.delay_s = pair.link.back.delay_s = 0.15

    async with PlacementClient(pair.targets[0]) as client:
        assert (await client.rank_sources(WEB, A, AMS)).sources

    assert pair.link.connections == 1


async def test_call_ends_in_its_own_time(pair: Pair) -> None:
    """A link that lets nothing through costs what the caller allowed, and no more."""
    async with PlacementClient(pair.targets[0], timeout_s=PATIENCE_S) as client:
        await client.get_service_info()
        pair.link.block()
        began_s = monotonic()

        with pytest.raises(PlacementCallError) as raised:
            await client.within(0.2).rank_sources(WEB, A, AMS)

        assert 0.15 < monotonic() - began_s < 1.5
        pair.link.unblock()
        assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert not raised.value.retryable
        assert "more time" in raised.value.remedy
        assert (await client.rank_sources(WEB, A, AMS)).sources


async def test_client_that_is_closed_ends_what_is_under_way(pair: Pair) -> None:
    """With an error of its own: the task that waited was not cancelled."""
    client = PlacementClient(pair.first.target, timeout_s=PATIENCE_S)
    token = make_token(EPOCH, 99)
    asked = asyncio.ensure_future(client.rank_sources(WEB, A, AMS, token=token))
    watched = asyncio.ensure_future(anext(client.watch_replications(AMS)))
    await asyncio.sleep(0.2)
    assert not asked.done()

    await client.close()
    await client.close()

    with pytest.raises(PlacementCallError) as raised:
        await asked
    assert raised.value.reason == "CANCELLED"
    with pytest.raises(RuntimeError, match="is closed"):
        await client.rank_sources(WEB, A, AMS)
    watched.cancel()
    await asyncio.gather(watched, return_exceptions=True)


@pytest.mark.parametrize("targets", ["", [], ["127.0.0.1:1", ""], ["a:1"] * 17])
def test_targets_are_counted(targets: str | list[str]) -> None:
    """Of none there would be no answer."""
    with pytest.raises(InputError) as raised:
        PlacementClient(targets)

    assert raised.value.field == "target"


def test_repeats_print_nothing(tmp_path: Path) -> None:
    """Standard output is the program's own, whatever happens to its calls."""
    target = f"127.0.0.1:{free_port()}"
    program = tmp_path / "ask.py"
    program.write_text(
        "import asyncio, json\n"
        "from placement.client import PlacementCallError, PlacementClient\n"
        "async def main():\n"
        f"    async with PlacementClient({target!r}, timeout_s=1.0) as client:\n"
        "        try:\n"
        "            await client.get_service_info()\n"
        "        except PlacementCallError as error:\n"
        "            print(json.dumps(error.reason))\n"
        "asyncio.run(main())\n"
    )

    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == "UNAVAILABLE"


async def test_replica_goes_on_at_the_next_target(pair: Pair) -> None:
    """Another service on the same log tells what has changed since."""
    async with await LocalPlacements.start(pair.targets) as local:
        assert local.holds(WEB, A, FRA)
        pair.link.refuses = True
        pair.link.cuts.append(pair.link.received + 1)
        await pair.happen(pushed("b", IAD))

        async with asyncio.timeout(PATIENCE_S):
            while not local.holds(WEB, B, IAD) or not local.basis.live:
                await local.changed()


def renewed(tls: ClientTls, authority: Authority, path: str) -> None:
    """Write another certificate into the files of *tls*, as a renewal does."""
    assert tls.cert_file is not None
    authority.issue(uris=[uri(path)]).write(tls.cert_file.parent, tls.cert_file.stem)


async def test_renewed_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    """By calls that are made afterwards; files that do not fit change nothing."""
    papers = Papers(tmp_path)
    tls = papers.client("region/ams/node")
    assert tls.cert_file is not None
    async with (
        guarded(papers, look_interval_s=3_600) as service,
        PlacementClient(service.target, tls=tls) as client,
    ):
        with pytest.raises(PlacementCallError, match="may not") as raised:
            await client.check_policy(name="default")
        assert raised.value.reason == "METHOD_FORBIDDEN"

        tls.cert_file.write_bytes(papers.authority.issue().certificate)  # no such key
        await asyncio.sleep(LOOK_AGAIN_S + 0.1)
        await client.get_service_info()

        told = client.watch_placements()
        first = await anext(told)
        renewed(tls, papers.authority, "operator")
        await asyncio.sleep(LOOK_AGAIN_S + 0.1)
        await client.check_policy(name="default")
        assert first is not None  # over the old connection, which has not ended
        began_s = monotonic()
        await told.aclose()
    assert monotonic() - began_s < PATIENCE_S, "nobody waits for an old connection"


async def test_files_that_are_away_for_a_moment_end_no_replica(tmp_path: Path) -> None:
    """It comes back with them, at the next target; calls say what is missing."""
    papers = Papers(tmp_path)
    tls = papers.client("analyst")
    async with guarded(papers) as first, guarded(papers) as second:
        await second.stage.happen(pushed("a", IAD))
        targets = [first.target, second.target]
        async with await LocalPlacements.start(targets, tls=tls) as local:
            kept = papers.ca_file.rename(tmp_path / "kept.pem")
            await first.server.stop(0)
            async with asyncio.timeout(PATIENCE_S):
                while is_live(local):
                    await local.changed()
                for _ in range(2):  # it asked again meanwhile
                    await local.changed()
            kept.rename(papers.ca_file)
            async with asyncio.timeout(PATIENCE_S):
                while not is_live(local) or not local.holds(WEB, A, IAD):
                    await local.changed()
        async with PlacementClient(targets, timeout_s=1.0, tls=tls) as client:
            kept = papers.ca_file.rename(tmp_path / "kept.pem")
            with pytest.raises(PlacementCallError) as raised:
                await client.get_service_info()
            assert raised.value.code is grpc.StatusCode.UNAVAILABLE
            client._channels._place = 1  # noqa: SLF001 - whose channel is not open
            with pytest.raises(PlacementCallError, match="ca_file"):
                await client.within(0.1).get_service_info()
            kept.rename(papers.ca_file)
            client._channels._place = 1  # noqa: SLF001 - as above
            await client.get_service_info()


def is_live(local: LocalPlacements) -> bool:
    """Say whether it follows a service."""
    return local.basis.live


async def test_replica_whose_files_cannot_be_read_is_not_begun(tmp_path: Path) -> None:
    """Which of them is said at once."""
    tls = ClientTls(ca_file=tmp_path / "absent")
    with pytest.raises(InputError, match="ca_file"):
        await LocalPlacements.start("127.0.0.1:1", tls=tls)


async def test_replica_that_cannot_begin_leaves_nothing_behind(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the first snapshot is not whole in time, nobody watches on."""
    monkeypatch.setattr(LocalPlacements, "_hear", lambda _local, _response: None)
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        await LocalPlacements.start(pair.targets, timeout_s=0.5)
    left = [
        str(task.get_coro())
        for task in asyncio.all_tasks() - before
        if not task.done() and not task.cancelling()
    ]
    assert not [each for each in left if "LocalPlacements" in each]


async def test_service_that_never_says_anything_is_given_up(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch fails once every target was silent; one that speaks is watched."""
    monkeypatch.setattr("placement.client.watching.SILENCE_S", 0.2)
    async with mute_service() as mute:
        async with PlacementClient([mute, mute], timeout_s=0.05) as client:
            with pytest.raises(PlacementCallError, match="said nothing") as raised:
                async with asyncio.timeout(PATIENCE_S):
                    await anext(client.watch_placements())
        assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        targets = [mute, pair.second.target]
        async with PlacementClient(targets, timeout_s=0.05) as client:
            told = client.watch_placements()
            assert (await anext(told)).WhichOneof("item") == "status"
            await told.aclose()


@asynccontextmanager
async def mute_service() -> AsyncIterator[str]:
    """Serve watches that say nothing; give the address."""

    async def mute(_request: bytes, _context: object) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "WatchPlacements": grpc.unary_stream_rpc_method_handler(mute)
    }
    service = "placement.v1.PlacementService"
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, methods),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


@pytest.mark.long
async def test_connection_that_died_without_a_word_is_given_up(pair: Pair) -> None:
    """Within half a minute: calls until then run out of time, later ones do not."""
    async with (
        FreezingLink(pair.first.target) as link,
        PlacementClient(link.target, timeout_s=1.0) as client,
    ):
        await client.rank_sources(WEB, A, AMS)
        link.frozen = True
        began_s, answered = monotonic(), False
        while not answered and monotonic() - began_s < 2 * PATIENCE_S:
            with suppress(PlacementCallError):
                await client.rank_sources(WEB, A, AMS)
                answered = True

        tell("dead connection given up", seconds=round(monotonic() - began_s, 1))
        assert answered
        assert link.connections == 2
