"""Who may call what: every method under every role, over TLS, as the table says."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from placement.api.authority.identity import REGIONAL, TENANT, Role
from placement.api.authority.table import FACTS, METHODS
from placement.client import PlacementCallError, PlacementClient
from placement.client.errors import call_error
from placement.runtime.limits import LimitSettings
from placement.v1 import (
    event_service_pb2,
    events_pb2,
    operations_service_pb2,
    placement_service_pb2,
    replication_service_pb2,
    report_service_pb2,
)
from tests.authority_page import PAGE, rewritten
from tests.authorized import Guarded, guarded
from tests.certificates import Papers
from tests.figures import tell

FILES = (
    placement_service_pb2,
    replication_service_pb2,
    operations_service_pb2,
    event_service_pb2,
    report_service_pb2,
    health_pb2,
    reflection_pb2,
)
QUESTION = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
OPERATION = events_pb2.Operation(actor="tests", reason="a test")
PATIENCE_S = 20.0
SPOOFS = 10_000 if os.environ.get("PLACEMENT_LONG") else 1_000
SPOOFS_AT_ONCE = 100


def methods() -> Iterator[tuple[str, Any]]:
    """Yield every method of every service that is served, and what it is."""
    for file in FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                yield f"/{service.full_name}/{method.name}", method


def names() -> dict[str, str]:
    """Return the path of an identity for every column of the table."""
    found = {
        role.value: f"region/ams/{role}" if role in REGIONAL else role.value
        for role in Role
    }
    return found | {f"tenant's {role}": f"tenant/acme/{role}" for role in TENANT}


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Certificates of one authority."""
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
async def service(papers: Papers) -> AsyncIterator[Guarded]:
    """A service that asks everybody who they are."""
    async with guarded(papers) as served:
        yield served


async def outcome(channel: Any, name: str, method: Any) -> str:  # noqa: ANN401 - of any method
    """Return the reason with which an empty call is refused; empty: it is answered.

    A stream of questions is asked one, sent along with the call: one that a refusal
    overtakes is INTERNAL to gRPC's client.
    """
    call: Any
    if method.server_streaming:
        body = QUESTION if method.client_streaming else b""
        call = channel.unary_stream(name)(body, timeout=PATIENCE_S)
    else:
        call = channel.unary_unary(name)(b"", timeout=PATIENCE_S)
    try:
        streams = method.server_streaming
        assert await (call.read() if streams else call) is not None
    except grpc.aio.AioRpcError as error:
        return call_error(error).reason
    finally:
        call.cancel()
    return ""


def test_table_has_every_method_that_is_served() -> None:
    """What is new has to be given its row: until then nobody may call it."""
    assert set(METHODS) == {name for name, _ in methods()}


def test_page_shows_the_table_that_is_enforced() -> None:
    """docs/authority.md; ``python -m tests.authority_page`` writes it anew."""
    text = PAGE.read_text()

    assert text == rewritten(text)


async def test_every_method_under_every_role_is_as_the_table_says(
    service: Guarded,
) -> None:
    """Let in, or METHOD_FORBIDDEN, over a real connection; the table is the page's."""
    allowed = denied = 0
    for column, path in names().items():
        async with service.channel(path) as channel:
            for name, method in methods():
                reason = await outcome(channel, name, method)
                everywhere, of_tenants = METHODS[name]
                role = Role(path.rpartition("/")[2])
                may = role in (of_tenants if path.startswith("tenant") else everywhere)
                assert (reason != "METHOD_FORBIDDEN") == may, (column, name, reason)
                assert reason not in {"UNIMPLEMENTED", "UNAVAILABLE", "INTERNAL"}
                allowed, denied = allowed + may, denied + (not may)
    tell("authority", methods=len(METHODS), allowed=allowed, denied=denied)
    assert sum(service.server.denials.by_role.values()) == denied


@pytest.mark.parametrize("path", ["", "region/ams/admin", "node"])
async def test_who_is_nobody_may_ask_for_health_alone(
    service: Guarded, path: str
) -> None:
    """A certificate of the right authority, and no name that is known."""
    paths = (path,) if path else ()
    async with service.channel(*paths) as channel:
        reasons = {
            name: await outcome(channel, name, method) for name, method in methods()
        }

    healthy = {name for name in reasons if name.startswith("/grpc.health.")}
    assert {reasons.pop(name) for name in healthy} == {""}
    assert set(reasons.values()) == {"IDENTITY_UNKNOWN"}


async def test_denied_calls_have_their_share_as_others_do(papers: Papers) -> None:
    """A flood of what is forbidden is counted among the calls, and then limited."""
    pause = "/placement.v1.OperationsService/PauseReplication"
    limits = LimitSettings(caller_weight_per_second=5 / 32)  # five at once, of all
    async with guarded(papers, limits=limits) as served:
        entered = served.server.pressure.entered
        async with served.channel("region/ams/node") as channel:
            reasons = [
                await outcome(channel, pause, dict(methods())[pause]) for _ in range(7)
            ]

        assert reasons[:5] == ["METHOD_FORBIDDEN"] * 5
        assert reasons[6] == "CALLER_LIMIT"
        assert served.server.pressure.entered == entered + 7


async def test_dns_name_is_an_identity_too(service: Guarded) -> None:
    """``ROLE.REGION.DOMAIN``, for authorities that sign no URIs."""
    rank = "/placement.v1.PlacementService/RankSources"
    order = "/placement.v1.OperationsService/PauseReplication"
    found = dict(methods())
    async with service.channel(names=("node.ams.placement.test",)) as channel:
        assert await outcome(channel, rank, found[rank]) == "NAME_INVALID"
        assert await outcome(channel, order, found[order]) == "METHOD_FORBIDDEN"


def event(region: str, fact: str, number: int = 0) -> events_pb2.Event:
    """Return an event that is whole enough for whoever may tell of it."""
    made = events_pb2.Event(
        event_id=f"{region}-{fact}-{number}", region=region, publisher="tests"
    )
    getattr(made, fact).SetInParent()
    if fact == "machine_stopped":
        made.machine_stopped.machine_id = f"machine-{number}"
    return made


async def published(
    channel: grpc.aio.Channel, *events: events_pb2.Event
) -> tuple[str, list[int]]:
    """Return the reason of a refusal, or what became of each event."""
    method: Any = channel.unary_unary(
        "/placement.v1.EventService/PublishEvents",
        event_service_pb2.PublishEventsRequest.SerializeToString,
        event_service_pb2.PublishEventsResponse.FromString,
    )
    request = event_service_pb2.PublishEventsRequest(events=events)
    try:
        answer = await method(request, timeout=PATIENCE_S)
    except grpc.aio.AioRpcError as error:
        found = call_error(error)
        if found.code is not grpc.StatusCode.PERMISSION_DENIED:
            raise
        return found.reason, []
    return "", [each.outcome for each in answer.results]


async def test_every_fact_under_every_role_is_as_the_table_says(
    service: Guarded,
) -> None:
    """Orders, decisions and requests are nobody's to publish."""
    facts = [field.name for field in events_pb2.Event.DESCRIPTOR.oneofs[0].fields]
    for role in (Role.WEBHOOK, Role.AGENT, Role.SCHEDULER, Role.OPERATOR):
        path = f"region/ams/{role}" if role in REGIONAL else role.value
        async with service.channel(path) as channel:
            for fact in facts:
                reason, _ = await published(channel, event("ams", fact))
                may = role in FACTS.get(fact, ())
                # Of a report the target is another matter: it is of no region here.
                assert (reason != "FACT_FORBIDDEN") == may, (role, fact, reason)


async def test_event_of_another_region_refuses_all_of_them(service: Guarded) -> None:
    """Nothing of the call is stored, and it is counted by the caller's region."""
    good = event("ams", "machine_stopped", 1)
    async with service.channel("region/ams/agent") as channel:
        bad = event("fra", "machine_stopped", 2)
        assert await published(channel, good, bad) == ("REGION_FORBIDDEN", [])
        report = event("ams", "replication_completed", 3)
        report.replication_completed.subject.target_region = "fra"
        assert await published(channel, good, report) == ("REGION_FORBIDDEN", [])
        starts = event("ams", "starts_requested", 4)
        starts.starts_requested.regions[:] = ["ams", "fra"]
        assert await published(channel, good, starts) == ("REGION_FORBIDDEN", [])
        stored = event_service_pb2.PUBLISH_OUTCOME_STORED
        assert await published(channel, good) == ("", [stored])

    denials = service.server.denials
    assert (denials.cross_region["ams"], denials.cross_region["fra"]) == (3, 0)
    assert denials.by_role["agent", "REGION_FORBIDDEN"] == 3


@pytest.mark.parametrize(
    ("service_name", "method", "request_"),
    [
        (
            "ReplicationService",
            "WatchReplications",
            replication_service_pb2.WatchReplicationsRequest(target_region="fra"),
        ),
        (
            "ReplicationService",
            "RequestReplication",
            replication_service_pb2.RequestReplicationRequest(
                request_id="r",
                repository="acme/web",
                reference="latest",
                target_region="fra",
                actor="tests",
            ),
        ),
        (
            "OperationsService",
            "SetRegionState",
            operations_service_pb2.SetRegionStateRequest(
                region="fra",
                state=events_pb2.REGION_STATE_DRAINING,
                operation=OPERATION,
            ),
        ),
        (
            "OperationsService",
            "PauseReplication",
            operations_service_pb2.PauseReplicationRequest(operation=OPERATION),
        ),
    ],
    ids=["duties", "request", "order", "order-for-all"],
)
async def test_whoever_is_of_a_region_speaks_of_no_other(
    service: Guarded,
    service_name: str,
    method: str,
    request_: Any,  # noqa: ANN401 - of its method
) -> None:
    """Schedulers and operators of one region, too; who has none speaks of all."""
    name = f"/placement.v1.{service_name}/{method}"
    roles = {"WatchReplications": "agent", "RequestReplication": "scheduler"}
    path = f"region/ams/{roles.get(method, 'operator')}"
    streams = method.startswith("Watch")
    async with service.channel(path) as channel:
        call: Any = (channel.unary_stream if streams else channel.unary_unary)(name)
        started = call(request_.SerializeToString(), timeout=PATIENCE_S)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await (started.read() if streams else started)

    assert call_error(raised.value).reason == "REGION_FORBIDDEN"
    assert (await service.stage.log.status()).last_sequence == 0


async def test_spoofs_are_all_denied(service: Guarded) -> None:
    """F10 and F23: events of other regions, with one region's certificate."""
    regions = ("fra", "iad", "lhr", "syd", "scl")
    async with service.channel("region/ams/webhook") as channel:

        async def spoof(number: int) -> tuple[str, list[int]]:
            region = regions[number % len(regions)]
            return await published(channel, event(region, "machine_stopped", number))

        reasons = []
        for first in range(0, SPOOFS, SPOOFS_AT_ONCE):
            some = range(first, first + SPOOFS_AT_ONCE)
            reasons += await asyncio.gather(*map(spoof, some))

    accepted = sum(reason != "REGION_FORBIDDEN" for reason, _ in reasons)
    counted = service.server.denials.cross_region["ams"]
    tell("region spoofs", spoofs=SPOOFS, accepted=accepted, counted=counted)
    assert (accepted, counted) == (0, SPOOFS)
    assert (await service.stage.log.status()).last_sequence == 0


async def test_client_of_another_authority_is_not_let_in(
    service: Guarded, tmp_path: Path
) -> None:
    """The handshake fails, whatever its names say."""
    stranger = Papers(tmp_path).client("operator")
    tls = replace(stranger, ca_file=service.papers.ca_file)
    async with PlacementClient(service.target, timeout_s=1, tls=tls) as client:
        with pytest.raises(PlacementCallError) as raised:
            await client.get_service_info()

    assert raised.value.reason in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
