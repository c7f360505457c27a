"""Calls about the past: who is given what, what it weighs, and when it is let go."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner

from placement.api.admission import CallerLimitError, OverloadedError
from placement.api.server import ServerSettings
from placement.cli.main import main
from placement.client import PlacementCallError, PlacementClient
from placement.runtime.past import Past, PastSettings
from placement.runtime.past_folding import PastFold
from placement.runtime.pressure import Pressure
from placement.v1 import basis_pb2 as basis_pb
from placement.v1 import placement_service_pb2 as pb
from placement.v1.placement_service_pb2_grpc import PlacementServiceStub
from tests.authorized import settings_of
from tests.builders import AMS, FRA, IAD, SECOND_NS, WEB, A, B, pushed, replicated
from tests.certificates import Papers
from tests.doors import door_of
from tests.integration.test_admission import admission, call, crowded
from tests.past import older_files
from tests.serving import Service, Stage, refused
from tests.two_worlds import SHOP

PAST = basis_pb.SERVING_STATE_PAST
LIVE = basis_pb.SERVING_STATE_LIVE
RANK = pb.RankSourcesRequest(repository=WEB, digest=A, region=FRA)


def then(request: Any, sequence: int) -> Any:  # noqa: ANN401 - any request
    """Return *request* about the state after a message."""
    copy = type(request)()
    copy.CopyFrom(request)
    copy.as_of.sequence = sequence
    return copy


@asynccontextmanager
async def staged(
    directory: Path, settings: PastSettings, papers: Papers | None = None
) -> AsyncIterator[Service]:
    """Serve a new stage with a past; behind the gate, if there are *papers*."""
    stage = Stage()

    def clock() -> int:
        return stage.now_ns

    past = Past(stage.log, stage.view, older_files(directory), clock, settings)
    chosen = ServerSettings(past=past)
    if papers is not None:
        chosen = settings_of(papers, past=past)
    server = stage.server(chosen)
    target = f"127.0.0.1:{await server.start()}"
    try:
        async with grpc.aio.insecure_channel(target) as channel:
            yield Service(stage, server, target, channel)
    finally:
        await server.stop(0)
        await past.close()


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that keeps one past state, of an image that came to two regions."""
    async with staged(tmp_path, PastSettings(states_max=1)) as found:
        await found.stage.happen(pushed("a", AMS), replicated("a", IAD))
        yield found


async def test_past_and_present_are_not_taken_for_each_other(service: Service) -> None:
    """Neither is kept as an answer to the other; each says what it is."""
    for _ in range(2):
        for sequence, regions in ((1, {AMS}), (0, {AMS, IAD}), (2, {AMS, IAD})):
            asked = then(RANK, sequence) if sequence else RANK
            answer = await service.placement.RankSources(asked)
            assert {source.region for source in answer.sources} == regions
            assert answer.basis.sequence == (sequence or 2)
            assert answer.basis.state == (PAST if sequence else LIVE)
            assert bool(answer.basis.notes) == bool(sequence)


async def test_state_is_let_go_when_its_call_ends(service: Service) -> None:
    """However it ends: there is room for one, so that each would hinder the next."""
    absent = pb.GetPlacementRequest(repository=WEB, reference=B)
    for sequence in (1, 2, 1):
        refusal = await refused(service.placement.GetPlacement(then(absent, sequence)))
        assert refusal.info.reason == "BLOB_UNKNOWN"


async def test_call_that_has_too_little_time_is_told_to_ask_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its deadline comes, and with a delay; the fold goes on."""
    opened, run = asyncio.Event(), PastFold.run

    async def held(self: PastFold, *found: Any) -> object:  # noqa: ANN401 - passed on
        await opened.wait()
        return await run(self, *found)

    monkeypatch.setattr(PastFold, "run", held)
    asked = then(RANK, 1)

    refusal = await refused(service.placement.RankSources(asked, timeout=0.5))
    opened.set()
    answer = await service.placement.RankSources(asked)

    assert refusal.code is grpc.StatusCode.UNAVAILABLE
    assert refusal.info.reason == "AS_OF_FOLDING"
    assert refusal.retry_ms == 1_000
    assert answer.basis.sequence == 1


def test_question_about_the_past_weighs_as_much_as_a_preview() -> None:
    """Beside what it weighs itself; and it is the first to go in a crowd."""
    quiet = Pressure(clock_ns=lambda: 0, chance=lambda: 0.5)
    guard = admission(quiet, caller_weight_per_second=100.0)
    guard.charge(call())
    guard.charge(call())
    with pytest.raises(CallerLimitError, match="caller_weight_per_second"):
        guard.charge(call())
    guard.charge(call(peer="ipv4:10.0.0.2:1"))
    with pytest.raises(OverloadedError):
        admission(crowded()).charge(call())


async def test_tenant_sees_the_past_as_it_sees_the_present(tmp_path: Path) -> None:
    """What others had then is not there, either."""
    papers = Papers(tmp_path)
    async with staged(tmp_path, PastSettings(), papers) as service:
        await service.stage.happen(pushed("a", AMS), pushed("b", AMS, SHOP))
        tls = papers.client("tenant/acme/scheduler")
        async with PlacementClient(service.target, tls=tls) as client:
            own = await client.get_placement(WEB, A, as_of=2)
            listed = [each async for each in client.list_replicas(as_of=2)]
            with pytest.raises(PlacementCallError) as raised:
                await client.get_placement(SHOP, B, as_of=2)
        async with PlacementClient(
            service.target, tls=papers.client("analyst")
        ) as client:
            everything = [each async for each in client.list_replicas(as_of=2)]

    assert own.basis.state == PAST
    assert [each.repository for each in listed] == [WEB]
    assert [each.repository for each in everything] == [WEB, SHOP]
    assert raised.value.reason == "BLOB_UNKNOWN"


async def test_door_leaves_the_past_to_the_service(service: Service) -> None:
    """A replica has none; without the service it says so."""
    async with door_of(service) as door:
        stub = PlacementServiceStub(door.channel)
        answer: Any = await stub.RankSources(then(RANK, 1))
        await service.server.stop(0)
        refusal = await refused(stub.RankSources(then(RANK, 1)))

    assert (answer.basis.sequence, answer.basis.state) == (1, PAST)
    assert refusal.info.reason == "AS_OF_UNSUPPORTED"


async def command(service: Service, *arguments: str, exit_code: int = 0) -> str:
    """Return what a command prints that asks *service*, which logs here, too."""
    line = [*arguments, "--server", service.target]
    found = await asyncio.to_thread(CliRunner().invoke, main, line)
    assert found.exit_code == exit_code, found.output
    lines = found.output.splitlines()
    return "\n".join(line for line in lines if "past_folded" not in line)


async def test_commands_ask_as_of_a_point(service: Service) -> None:
    """By sequence and by time; what is no point is a bad argument."""
    image = f"{WEB}@{A}"
    stored = await service.stage.log.message(1)
    assert stored is not None
    moment = datetime.fromtimestamp(stored.store_time_ns // SECOND_NS, UTC)
    for name, *more in (
        ("show", image),
        ("sources", image, "--region", FRA),
        ("estimate", image, "--in", FRA),
        ("explain", image, "--region", FRA),
        ("plan-pull", image, "--region", FRA),
        ("routes",),
    ):
        found = await command(service, name, *more, "--as-of", "1", "-o", "json")
        assert json.loads(found)["basis"]["sequence"] == 1, (name, found)
    listed = await command(service, "replicas", "--as-of", "1", "-o", "json")
    assert [each["region"] for each in json.loads(listed)["replicas"]] == [AMS]
    shown = await command(service, "show", image, "--as-of", moment.isoformat())
    assert "as of sequence 1, stored" in shown
    assert "region catalogue" in shown
    wrong = await command(service, "show", image, "--as-of", "soon", exit_code=2)
    assert "--as-of" in wrong
