"""The server around the services: health, reflection, its address, TLS and its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from structlog.testing import capture_logs

from placement.api.health import RETRY_MS, Health
from placement.api.server import ServerSettings
from placement.core.errors import InputError
from placement.runtime.tokens import make_token
from placement.v1 import placement_service_pb2 as pb
from placement.wire.service_answers import SERVICE_NAMES
from tests.builders import IAD, LATEST, WEB, pushed
from tests.serving import EPOCH, Service, Stage, refused, serving

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that has folded nothing yet."""
    async with serving() as found:
        yield found


def health(service: Service) -> Any:  # noqa: ANN401 - a stub of an aio channel
    """Return a stub of the standard health service."""
    return HealthStub(service.channel)


@pytest.mark.parametrize("name", ["", *SERVICE_NAMES])
async def test_health_is_serving_once_the_log_is_folded(
    service: Service, name: str
) -> None:
    """NOT_SERVING before; the whole server and each service by its name."""
    asked = health_pb2.HealthCheckRequest(service=name)

    before = await health(service).Check(asked)
    await service.stage.fold_all()
    after = await health(service).Check(asked)

    assert (before.status, after.status) == (NOT_SERVING, SERVING)


async def test_health_stays_serving_when_the_log_was_replaced(
    service: Service,
) -> None:
    """Answers go on from before, and say EPOCH_BROKEN themselves."""
    await service.stage.fold_all()

    service.stage.view.broken("the log was made anew")
    answer = await health(service).Check(health_pb2.HealthCheckRequest())

    assert answer.status == SERVING


async def test_health_of_another_service_is_not_found(service: Service) -> None:
    """As the health protocol says; a watcher is told SERVICE_UNKNOWN."""
    asked = health_pb2.HealthCheckRequest(service="other.Service")

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await health(service).Check(asked)
    watch = health(service).Watch(asked)
    first = await watch.read()
    watch.cancel()

    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert first.status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


async def test_every_watcher_hears_of_each_change_and_of_the_end(
    service: Service,
) -> None:
    """One that leaves takes nothing from the others; the end ends the watch."""
    asked = health_pb2.HealthCheckRequest()
    leaving, staying = health(service).Watch(asked), health(service).Watch(asked)
    heard = [(await watch.read()).status for watch in (leaving, staying)]
    leaving.cancel()

    await service.stage.fold_all()
    ready = (await staying.read()).status
    stopping = asyncio.create_task(service.server.stop(5))
    ended = (await staying.read()).status

    assert heard == [NOT_SERVING, NOT_SERVING]
    assert (ready, ended) == (SERVING, NOT_SERVING)
    assert await staying.read() is grpc.aio.EOF
    async with asyncio.timeout(1):
        await stopping


async def test_only_so_many_watch_health(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one address; one more is told to come again, and may once one has left."""
    monkeypatch.setattr("placement.api.health.ADDRESS_WATCHES_MAX", 2)
    asked = health_pb2.HealthCheckRequest()
    watches = [health(service).Watch(asked) for _ in range(2)]
    assert [(await watch.read()).status for watch in watches] == [NOT_SERVING] * 2

    found = await refused(health(service).Watch(asked).read())
    watches[0].cancel()

    assert found.info.reason == "CALLER_LIMIT"
    assert found.info.metadata["limit"] == "health_watches"
    assert found.retry_ms == RETRY_MS
    async with asyncio.timeout(10):
        while True:
            again = health(service).Watch(asked)
            with suppress(grpc.aio.AioRpcError):
                assert (await again.read()).status == NOT_SERVING
                break
    assert (await health(service).Check(asked)).status == NOT_SERVING
    await service.stage.fold_all()
    assert [(await each.read()).status for each in (watches[1], again)] == [SERVING] * 2


class Watcher:
    """What health sees of a call, and what it is told."""

    def __init__(self, number: int) -> None:
        """Be of an address of its own."""
        self._number = number
        self.ended_with = ""

    def peer(self) -> str:
        """Return where it comes from."""
        return f"ipv4:10.0.0.{self._number}:4711"

    async def abort_with_status(self, status: grpc.Status) -> None:
        """End the call."""
        self.ended_with = str(status.details)
        raise grpc.aio.AbortError


async def test_only_so_many_watch_health_from_all_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And all of them wait for one timer, which ends with the last of them."""
    monkeypatch.setattr("placement.api.health.WATCHES_MAX", 3)
    view, asked = Stage().view, health_pb2.HealthCheckRequest()
    found = Health(view)
    callers = [Watcher(number) for number in range(4)]
    watches: list[Any] = [found.Watch(asked, cast("Any", each)) for each in callers]
    for watch in watches[:3]:
        assert (await anext(watch)).status == NOT_SERVING
    with pytest.raises(grpc.aio.AbortError):
        await anext(watches[3])
    hearing = [asyncio.ensure_future(anext(watch)) for watch in watches[:3]]
    await asyncio.sleep(0)

    view.caught_up()
    heard = [(await each).status for each in hearing]
    for watch in watches:
        await watch.aclose()

    assert callers[3].ended_with == "the limit health_watches is reached"
    assert heard == [SERVING] * 3
    last: Any = found.Watch(asked, cast("Any", callers[3]))
    assert (await anext(last)).status == SERVING
    await last.aclose()


async def test_stop_lets_a_call_that_is_under_way_finish() -> None:
    """Within the grace; new calls are refused meanwhile."""
    async with serving(ServerSettings(default_deadline_ms=300)) as service:
        await service.stage.happen(pushed("a", IAD, tag=LATEST))
        request = pb.ResolveReferenceRequest(repository=WEB, reference=LATEST)
        request.consistency.token = make_token(EPOCH, 9)
        under_way = asyncio.ensure_future(service.placement.ResolveReference(request))
        await asyncio.sleep(0.05)

        await service.server.stop(5)

        assert (await under_way).basis.sequence == 1
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await service.placement.GetServiceInfo(pb.GetServiceInfoRequest())
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_stop_before_start_and_twice_is_no_error() -> None:
    """Whoever tears down need not know how far it came."""
    server = Stage().server()

    await server.stop(0)
    await server.start()
    await server.stop(0)
    await server.stop(0)


async def test_any_client_finds_and_asks_the_services_by_reflection(
    service: Service,
) -> None:
    """No stub of ours: the descriptors come over the wire."""
    await service.stage.happen(pushed("a", IAD, tag=LATEST))
    answer = await asyncio.to_thread(ask_by_reflection, service.target)

    assert answer["services"] >= {*SERVICE_NAMES, "grpc.health.v1.Health"}
    assert answer["region"] == IAD


def ask_by_reflection(target: str) -> dict[str, Any]:
    """List the services and resolve a tag, with nothing but the address."""
    with grpc.insecure_channel(target) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = set(database.get_services())
        pool = descriptor_pool.DescriptorPool(database)
        service = pool.FindServiceByName("placement.v1.PlacementService")
        method = service.methods_by_name["ResolveReference"]
        request_type = message_factory.GetMessageClass(method.input_type)
        response_type = message_factory.GetMessageClass(method.output_type)
        call: Any = channel.unary_unary(
            f"/{service.full_name}/{method.name}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        answer = call(request_type(repository=WEB, reference=LATEST), timeout=5)
        return {"services": services, "region": answer.set_region}


async def test_reflection_can_be_off() -> None:
    """A public listener need not describe itself."""
    async with serving(ServerSettings(reflection=False)) as service:
        with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
            await asyncio.to_thread(ask_by_reflection, service.target)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104 - refused
def test_plain_text_to_other_machines_is_refused(host: str) -> None:
    """The error names the setting, and each way out."""
    with pytest.raises(InputError) as raised:
        Stage().server(ServerSettings(host=host))

    assert raised.value.field == "listen"
    for way_out in ("tls.cert_file", "127.0.0.1", "allow_plaintext"):
        assert way_out in raised.value.remedy


def test_clients_without_a_name_are_refused_off_loopback() -> None:
    """TLS alone is not enough for other machines: whoever reached it could give orders.

    Unless the operator says so.
    """
    half = ServerSettings(
        host="0.0.0.0",  # noqa: S104 - refused
        cert_file=Path("a"),
        key_file=Path("a"),
    )
    with pytest.raises(InputError) as raised:
        Stage().server(half)

    assert raised.value.field == "listen"
    for way_out in ("tls.client_ca_file", "127.0.0.1", "allow_anonymous"):
        assert way_out in raised.value.remedy
    Stage().server(replace(half, allow_anonymous=True))  # raises nothing
    named = replace(half, client_ca_file=Path("a"), trust_domain="placement.test")
    Stage().server(named)  # raises nothing


async def test_plain_text_is_spoken_where_it_is_allowed() -> None:
    """For a network that is trusted, by the operator's own word."""
    server = Stage().server(ServerSettings(host="0.0.0.0", allow_plaintext=True))  # noqa: S104 - the point

    assert await server.start() > 0
    await server.stop(0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]"])
def test_this_machine_needs_no_tls(host: str) -> None:
    """Loopback in all its spellings."""
    Stage().server(ServerSettings(host=host))  # raises nothing


async def test_port_that_is_taken_is_an_error_and_no_lottery(service: Service) -> None:
    """Two servers on one port would share its calls at random."""
    port = int(service.target.rpartition(":")[2])
    server = Stage().server(ServerSettings(port=port))

    with pytest.raises(InputError) as raised:
        await server.start()

    assert raised.value.field == "listen"
    assert str(port) in str(raised.value)


async def test_services_that_agree_share_a_port() -> None:
    """The second one listens where the first does."""
    lone = Stage().server(ServerSettings())
    port = await lone.start()
    await lone.stop(0)
    servers = [Stage().server(ServerSettings(port=port, reuse_port=True)) for _ in "ab"]

    found = [await server.start() for server in servers]

    assert found == [port, port]
    for server in servers:
        await server.stop(0)


def test_port_that_is_shared_has_to_be_named() -> None:
    """Any free port would be another one for each."""
    with pytest.raises(InputError) as raised:
        Stage().server(ServerSettings(reuse_port=True))

    assert raised.value.field == "listen"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (ServerSettings(cert_file=Path("a")), "tls.key_file"),
        (ServerSettings(key_file=Path("a")), "tls.cert_file"),
        (ServerSettings(client_ca_file=Path("a")), "tls.client_ca_file"),
        (
            ServerSettings(
                cert_file=Path("a"), key_file=Path("a"), client_ca_file=Path("a")
            ),
            "tls.trust_domain",
        ),
        (ServerSettings(trust_domain="placement.test"), "tls.trust_domain"),
    ],
)
def test_half_of_a_tls_setting_is_refused(settings: ServerSettings, field: str) -> None:
    """It would look safe and not be."""
    with pytest.raises(InputError) as raised:
        Stage().server(settings)

    assert raised.value.field == field


async def test_tls_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """By its setting, when the server starts."""
    absent = tmp_path / "absent.pem"
    server = Stage().server(ServerSettings(cert_file=absent, key_file=absent))

    with pytest.raises(InputError) as raised:
        await server.start()

    assert raised.value.field == "tls.key_file"


async def test_slow_and_sampled_calls_have_a_line(service: Service) -> None:
    """One in so many of the ordinary calls; here every one."""
    async with serving(ServerSettings(sample_every=1)) as sampled:
        request = pb.GetServiceInfoRequest()
        with capture_logs() as lines:
            await sampled.placement.GetServiceInfo(request)
            await service.placement.GetServiceInfo(request)

    (line,) = [line for line in lines if line["event"] == "call_answered"]
    assert line["method"] == "/placement.v1.PlacementService/GetServiceInfo"
    assert (line["slow"], line["calls"]) == (False, 1)
    assert line["duration_ms"] > 0
