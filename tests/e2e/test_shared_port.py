"""Two real services on one port: the same answers, from one log, by two processes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from placement.v1 import event_service_pb2 as event_pb
from placement.v1 import placement_service_pb2 as pb
from placement.v1.event_service_pb2_grpc import EventServiceStub
from placement.v1.placement_service_pb2_grpc import PlacementServiceStub
from placement.wire.events import encode_event
from tests.builders import AMS, FRA, WEB, A, pushed
from tests.ports import free_port
from tests.real_service import (
    DEADLINE_SECONDS,
    POLL_SECONDS,
    RealService,
    running,
)

EVENTS = 300
CHANNELS = 24
"""That one process gets all of them happens once in eight million times."""
ESTABLISHED, LISTENING = "01", "0A"
"""How the kernel writes a socket's state."""
ALONE = [("grpc.use_local_subchannel_pool", 1)]
"""Each channel has a connection of its own."""
SHARED = ("--reuse-port",)


@pytest.fixture
def first(tmp_path: Path) -> Iterator[RealService]:
    """A service that shares its port and has a broker of its own."""
    settings = {"PLACEMENT_NATS__PORT": str(free_port())}
    with running(RealService(tmp_path / "first", SHARED, settings)) as service:
        yield service


def beside(first: RealService, name: str, *, broker: bool = True) -> RealService:
    """Return a service on the port of *first*, by its broker or one of its own."""
    settings = {}
    if broker:
        address = json.loads((first.data_dir / "nats" / "url").read_text())
        settings = {
            "PLACEMENT_NATS__URL": address["url"],
            "PLACEMENT_NATS__USER": address["user"],
            "PLACEMENT_NATS__PASSWORD": Path(address["password_file"]).read_text(),
        }
    directory = first.directory.parent / name
    return RealService(directory, SHARED, settings, port=first.port)


def test_two_services_on_one_port_answer_alike(first: RealService) -> None:
    """At one sequence they have one fingerprint, whichever gets the call."""
    with running(beside(first, "second")) as second:
        wait_until_listening(second)
        channels = [grpc.insecure_channel(first.target, ALONE) for _ in range(CHANNELS)]
        token = publish(channels[0])
        request = pb.GetServiceInfoRequest(include_fingerprint=True)
        found = set()
        for channel in channels:
            stub = PlacementServiceStub(channel)
            ranked = pb.RankSourcesRequest(repository=WEB, digest=A, region=FRA)
            ranked.consistency.token, ranked.consistency.fail = token, True
            answer = stub.RankSources(ranked, timeout=20)
            info = stub.GetServiceInfo(request, timeout=20)
            found.add((info.basis.sequence, info.fingerprint, answer.sources[0].region))
        answering = {
            service.pid for service in (first, second) if sockets(service, ESTABLISHED)
        }

        assert len(found) == 1
        assert answering == {first.pid, second.pid}
        for channel in channels:
            channel.close()


@pytest.mark.parametrize(
    ("arguments", "broker", "said", "code"),
    [
        ((), True, "reuse_port = true", 2),
        (SHARED, False, "nats.url", 1),
    ],
    ids=["does not share", "has a second broker"],
)
def test_service_that_does_not_fit_in_says_what_to_do(
    first: RealService,
    arguments: tuple[str, ...],
    broker: bool,  # noqa: FBT001 - a parameter of pytest's
    said: str,
    code: int,
) -> None:
    """It ends at once, and the first one goes on."""
    other = beside(first, "other", broker=broker)
    other.arguments = arguments

    other.start()

    assert other.wait() == code
    assert said in other.output()
    assert first.runs


def publish(channel: grpc.Channel) -> str:
    """Store pushes in two regions, and return what stands for them."""
    events = [
        encode_event(pushed("a" if number < 2 else f"layer-{number}", region))
        for number, region in enumerate([AMS, FRA] * (EVENTS // 2))
    ]
    for number, event in enumerate(events):
        event.event_id = f"e-{number}"
    request = event_pb.PublishEventsRequest(events=events)
    response = EventServiceStub(channel).PublishEvents(request, timeout=20)
    stored = {result.outcome for result in response.results}
    assert stored == {event_pb.PublishOutcome.PUBLISH_OUTCOME_STORED}
    return str(response.token)


def sockets(service: RealService, state: str) -> int:
    """Return how many sockets in a *state* a service has on the port that it shares."""
    held = {
        str(descriptor.readlink())
        for descriptor in Path(f"/proc/{service.pid}/fd").iterdir()
        if descriptor.is_symlink()
    }
    network = Path(f"/proc/{service.pid}/net")
    found = 0
    for line in [*lines(network / "tcp"), *lines(network / "tcp6")]:
        _, local, _, now, *_, inode = line.split()[:10]
        here = local.endswith(f":{service.port:04X}") and now == state
        found += here and f"socket:[{inode}]" in held
    return found


def lines(table: Path) -> list[str]:
    """Return the lines of one of the kernel's tables, but for its head."""
    return table.read_text().splitlines()[1:]


def wait_until_listening(service: RealService) -> None:
    """Return once this very process listens: others may answer at its address."""
    ends = time.monotonic() + DEADLINE_SECONDS
    while not sockets(service, LISTENING):
        assert service.runs, service.output()
        assert time.monotonic() < ends, service.output()
        time.sleep(POLL_SECONDS)
