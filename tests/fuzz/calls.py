"""Targets that read requests: gRPC bytes, JSON, questions in addresses, tokens."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any, NoReturn, cast
from urllib.parse import parse_qs

import grpc

from placement.agent.door.methods import METHODS
from placement.agent.door.queries import QUERIES, request_of, split_image
from placement.agent.feeds.cloud_events import decoded
from placement.api.answering import Answering
from placement.api.contents import NewContents
from placement.api.event_servicer import EventServicer
from placement.api.operations_servicer import OperationsServicer
from placement.api.placement_servicer import PlacementServicer
from placement.api.reading import Reader
from placement.api.replication_servicer import ReplicationServicer
from placement.api.report_servicer import ReportServicer
from placement.core.errors import InputError
from placement.core.oci import parse_digest, parse_repository, parse_tag
from placement.core.reporting.prices import Prices
from placement.core.topology import parse_region
from placement.runtime.limits import LimitSettings
from placement.runtime.publisher import Publisher
from placement.runtime.tokens import make_token, parse_token
from placement.runtime.watch import WatchHub
from placement.runtime.watcher import parse_watch_token
from placement.v1.event_service_pb2_grpc import add_EventServiceServicer_to_server
from placement.v1.operations_service_pb2_grpc import (
    add_OperationsServiceServicer_to_server,
)
from placement.v1.placement_service_pb2_grpc import (
    add_PlacementServiceServicer_to_server,
)
from placement.v1.replication_service_pb2_grpc import (
    add_ReplicationServiceServicer_to_server,
)
from placement.v1.report_service_pb2_grpc import add_ReportServiceServicer_to_server
from placement.wire.event_json import event_from_json, event_to_json
from placement.wire.events import decode_event, encode_event
from placement.wire.json import fill, plain
from placement.wire.page_tokens import make_page_token, parse_page_token
from tests.builders import AMS, FRA, TOPOLOGY, descriptor, pushed, tagged
from tests.fuzz.requests import DIGEST, filled
from tests.fuzz.target import Target
from tests.fuzz.texts import ODD_SHARE, spoiled_json, spoiled_text
from tests.fuzz.wires import crowded, deep, spoiled_message
from tests.golden_logs import every_fact
from tests.serving import Stage

Call = tuple[str, bytes]
WAIT_SECONDS = 0.001
STREAM_SECONDS = 0.002
FOLDED_EVERY = 64
DOCUMENTED = frozenset(grpc.StatusCode) - {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
}


class Registered:
    """A server that keeps the handlers it is given, as gRPC would find them."""

    def __init__(self) -> None:
        """Keep none yet."""
        self.handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(
        self, handlers: Sequence[grpc.GenericRpcHandler]
    ) -> None:
        """Keep *handlers*."""
        self.handlers += handlers

    def find(self, path: str) -> Any:  # noqa: ANN401 - of any request
        """Return the handler of a method."""
        details = cast("Any", Details(path))
        found = [handler.service(details) for handler in self.handlers]
        (handler,) = [each for each in found if each is not None]
        return handler


class Details(grpc.HandlerCallDetails):
    """Which method is called."""

    def __init__(self, method: str) -> None:
        """Call *method*."""
        self.method = method
        self.invocation_metadata = ()


class AbortedError(Exception):
    """How a call ends that is refused."""

    def __init__(self, status: Any) -> None:  # noqa: ANN401 - a grpc.Status
        """Keep the *status*."""
        super().__init__(status.details)
        self.code: grpc.StatusCode = status.code


class CallContext:
    """What a handler sees of its call: it may end it, and write to it."""

    def __init__(self) -> None:
        """Have been sent nothing."""
        self.written = 0

    def peer(self) -> str:
        """Return where the call came from."""
        return "ipv4:127.0.0.1:1"

    def time_remaining(self) -> float:
        """Return next to nothing: nobody is waited for."""
        return WAIT_SECONDS

    def code(self) -> int:
        """Return that nothing was wrong so far."""
        return 0

    async def send_initial_metadata(self, metadata: object) -> None:
        """Take what goes ahead of the first response."""
        assert not self.written, "it goes ahead"
        del metadata

    async def write(self, response: object) -> None:
        """Take a response."""
        del response
        self.written += 1

    async def abort_with_status(self, status: object) -> NoReturn:
        """End the call."""
        raise AbortedError(status)


class Calls:
    """All services over one stage, called with bytes as the server would."""

    def __init__(self) -> None:
        """Serve a stage to which nothing has happened."""
        self.stage = Stage()
        self._told = 0
        registered = Registered()
        around: Any = Answering(cast("Any", registered))
        view, clock = self.stage.view, lambda: self.stage.now_ns
        reader = Reader(view, TOPOLOGY, WAIT_SECONDS)
        publisher, hub = Publisher(self.stage.log, view), WatchHub(view)
        add_PlacementServiceServicer_to_server(PlacementServicer(reader, hub), around)
        add_ReplicationServiceServicer_to_server(
            ReplicationServicer(reader, hub, publisher), around
        )
        contents = NewContents(LimitSettings(), clock, Counter())
        add_EventServiceServicer_to_server(
            EventServicer(reader, publisher, clock, contents), around
        )
        add_OperationsServiceServicer_to_server(
            OperationsServicer(reader, publisher, clock), around
        )
        add_ReportServiceServicer_to_server(ReportServicer(reader, Prices()), around)
        paths = [method.path for method in METHODS.values()]
        self._handlers = {path: registered.find(path) for path in paths}

    async def call(self, call: Call) -> bool:
        """Make one call; say whether it was answered. What was stored is folded."""
        if not self._told:
            layer = descriptor("layer")
            await self.stage.happen(
                pushed("a", AMS, references=[layer]), tagged("v1", "a", FRA)
            )
        self._told += 1
        if self._told % FOLDED_EVERY == 0:
            await self.stage.fold_all()
        path, body = call
        handler, context = self._handlers[path], CallContext()
        behaviour = handler.unary_unary or handler.unary_stream
        streams = handler.unary_unary is None
        try:
            async with asyncio.timeout(STREAM_SECONDS if streams else None):
                await behaviour(body, context)
        except AbortedError as error:
            if error.code not in DOCUMENTED:
                raise
            return False
        except TimeoutError:
            return context.written > 0
        return True


def request_bytes(chance: Random) -> Call:
    """Return a method's path and a request that fits it more or less."""
    method = METHODS[chance.choice(tuple(METHODS))]
    rare = chance.random()
    if rare < ODD_SHARE / 2:
        return method.path, deep(chance.randrange(1, 12), chance.choice((99, 3_000)))
    if rare < ODD_SHARE:
        return method.path, crowded(chance.randrange(1, 12), 5_000)
    body: bytes = filled(chance, method.request).SerializeToString()
    spoils = chance.random() < 0.3
    return method.path, spoiled_message(chance, body) if spoils else body


def grpc_requests() -> Target:
    """Every method with any bytes: an answer, or a documented status."""
    return Target("gRPC requests", 6_000, request_bytes, Calls().call)


def json_requests() -> Target:
    """Requests in JSON, as the door and the commands read them."""

    def make(chance: Random) -> tuple[Any, bytes]:
        method = METHODS[chance.choice(tuple(METHODS))]
        value: Any = {}
        with suppress(ValueError):  # a duration that is none has no words either
            value = plain(filled(chance, method.request), defaults=False)
        return method.request, spoiled_json(chance, value or {"page_size": 1})

    def read(given: tuple[Any, bytes]) -> None:
        kind, body = given
        message = kind()
        fill(message, decoded(body))
        message.SerializeToString()

    return Target("JSON requests", 6_000, make, read)


def json_events() -> Target:
    """Events in JSON, as ``placement publish`` and our own CloudEvents have them."""
    valid = [event_to_json(event) for event in every_fact(rounds=2)]

    def make(chance: Random) -> bytes:
        return spoiled_json(chance, chance.choice(valid))

    def read(body: bytes) -> None:
        event = event_from_json(decoded(body), "ams")
        assert decode_event(encode_event(event)) == event

    return Target("JSON events", 4_000, make, read)


def questions() -> Target:
    """Questions in addresses, to the request that they mean."""
    asked = (
        "repository=acme/web&digest=" + DIGEST + "&region=ams&count=3",
        "image=acme/web:v1&image=acme/api@" + DIGEST + "&in=ams,eu&count=2&fail=true",
        "image=acme/web:v1&platform=linux/amd64&max=5&max_staleness=3s",
        "image=acme/web:v1&token=v1.e.1",
    )

    def make(chance: Random) -> tuple[str, str]:
        return chance.choice(tuple(QUERIES)), spoiled_text(chance, chance.choice(asked))

    def read(given: tuple[str, str]) -> None:
        name, text = given
        query = QUERIES[name]
        values = parse_qs(text, keep_blank_values=True)
        request = METHODS[query.method].request()
        fill(request, request_of(query, values))

    return Target("questions in addresses", 5_000, make, read)


def tokens() -> Target:
    """Page, consistency and watch tokens: one's own, or refused."""
    binding = ("memory-1", "ams", "acme/web")
    page = make_page_token(binding, ("acme/web", DIGEST, "ams"))
    told = (page, make_token("memory-1", 7, "b0123abcd"), "w1.memory-1.31.7.m0123abcd")

    def make(chance: Random) -> str:
        text = chance.choice(told)
        return text if chance.random() < 0.1 else spoiled_text(chance, text)

    def read(text: str) -> bool:
        found = False
        for parse in (parse_token, parse_watch_token, _paged):
            with suppress(InputError):
                parse(text)
                found = True
        return found

    def _paged(text: str) -> None:
        assert parse_page_token(text, binding)[0] in {"", "acme/web"}

    return Target("tokens", 10_000, make, read)


def names() -> Target:
    """Names of the OCI and regions: whole ones, and nothing that resembles them."""
    told = (DIGEST, "acme/web", "v1.2_3-a", "ams", f"sha512:{'0' * 128}")

    def make(chance: Random) -> str:
        return spoiled_text(chance, chance.choice(told))

    def read(text: str) -> bool:
        found = False
        for parse in (parse_digest, parse_repository, parse_tag, parse_region):
            with suppress(InputError):
                parse(text)
                assert text.isascii()
                assert 0 < len(text) <= 255
                found = True
        with suppress(InputError):
            split_image(text)
        return found

    return Target("names", 10_000, make, read)
