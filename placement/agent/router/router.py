"""A registry's API in front of all regions' registries: what clients are pointed at.

Reads are answered by our own region's registry, else by the best source that is known,
else by the origin; pushes go to the best registry for them. Whom to ask is worked out
from the local replica, without a call. Every answer comes from a registry that was
asked with the client's own credentials; nothing is answered from memory.
"""

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from placement.agent.quiet import Quiet
from placement.agent.registry.client import Registry
from placement.agent.registry.manifests import ACCEPT
from placement.agent.reporting import Report
from placement.agent.router.answers import oci_error
from placement.agent.router.asking import Asker
from placement.agent.router.asks import CONDITION, Ask, Client, Refusal
from placement.agent.router.blobs import Blobs, relayed
from placement.agent.router.copies import Copies
from placement.agent.router.filling import Filling
from placement.agent.router.flights import Flights, FlightSettings, Landed
from placement.agent.router.health import Health
from placement.agent.router.listing import Listing
from placement.agent.router.manifests import Manifests
from placement.agent.router.meter import Meter
from placement.agent.router.places import Placements, Places, Wanted
from placement.agent.router.pushes import Pushes, path_asked
from placement.agent.router.redirects import Redirects
from placement.agent.router.reports import Reports
from placement.agent.router.settings import RouterSettings
from placement.agent.router.tags import Tags
from placement.agent.serving import Serving
from placement.agent.underway import Underway
from placement.core.errors import InputError
from placement.core.oci import (
    Digest,
    Repository,
    Tag,
    is_digest,
    parse_digest,
    parse_reference,
    parse_repository,
)
from placement.core.topology import Region
from placement.hosting import Hosting, host_app, open_listener, port_of

CONNECTIONS_MAX: Final = 4096
TAKE_SECONDS_MAX: Final = 300.0
"""A client may unpack what it has before it takes more of a body."""
DOTS: Final = frozenset({".", ".."})
METHODS: Final = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"]
PASSED: Final = (CONDITION,)
RANGES: Final = ("If-Range", "Range")
"""Of blobs alone: all else is read whole, and verified, whoever asks for a part."""

_NAMED: Final = re.compile(
    r"/v2/(?P<name>.+)/"
    r"(?:manifests/(?P<reference>[^/]+)|blobs/uploads/(?P<session>.*)"
    r"|blobs/(?P<digest>[^/]+)|(?P<tags>tags/list))"
)
_OTHER: Final = re.compile(r"/v2/(?:_catalog|[a-z0-9._/-]+/referrers/[a-z0-9:]+)")

log = structlog.get_logger(__name__)


class Router:
    """The mirror of one region. ``run`` serves ``app``."""

    def __init__(  # noqa: PLR0913 - what a router depends on
        self,
        settings: RouterSettings,
        local: Placements,
        registries: Mapping[Region, Registry],
        report: Report,
        *,
        underway: Underway | None = None,
        quiet: Quiet | None = None,
        serving: Serving | None = None,
        clock: Callable[[], int] = time.time_ns,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Answer from *registries* by what *local* knows; tell *report* what moved."""
        self.counts: Counter[str] = Counter()
        self.meter = Meter(serving or Serving())
        """How soon clients were answered, and with how much."""
        self.port = 0
        self._settings = settings
        self._local = local
        seconds = time.monotonic
        self._health = Health(registries, chance, seconds)
        self._places = Places(settings, local, registries, self._health, clock=seconds)
        self._asker = Asker(
            self._places, registries, self._health, settings.stall_seconds, self.counts
        )
        self._reports = Reports(settings, report, clock, self.counts)
        shared = underway or Underway()
        self._filling: Filling | None = None
        if settings.fills and self._places.stores:
            own = registries[settings.region]
            self._filling = Filling(
                own,
                self._reports,
                proven=shared.proven,
                counts=self.counts,
                chance=chance,
                quiet=quiet or Quiet(),
            )
        flying = FlightSettings(
            settings.directory, settings.spool_bytes_max, clock, self.counts
        )
        self._flights = Flights(self._asker, self._places, flying, self._land, shared)
        self._tags = Tags(self._asker, self._places)
        self._manifests = Manifests(
            self._asker,
            self._places,
            tags=self._tags,
            filling=self._filling,
            reports=self._reports,
            counts=self.counts,
        )
        self._blobs = Blobs(
            self._asker,
            self._places,
            flights=self._flights,
            copies=Copies(
                self._asker, self._places, shared, self._reports, self.counts
            ),
            redirects=Redirects(settings, self._asker, self._places, seconds),
            reports=self._reports,
            proven=shared.proven,
            counts=self.counts,
            fills=self._filling is not None,
        )
        self._listing = Listing(self._asker, self._places)
        self._pushes = Pushes(
            self._places, registries, self._asker, self._tags, self.counts
        )

    def app(self) -> Starlette:
        """Return the router as an ASGI app."""
        return Starlette(
            routes=[
                Route("/healthz", self.health, methods=["GET"]),
                Route("/v2{rest:path}", self.answer, methods=METHODS),
            ]
        )

    async def run(self, on_listening: Callable[[int], None] | None = None) -> None:
        """Serve until cancelled; *on_listening* is told the port.

        Raises OSError when the address cannot be bound or the files not be made.
        """
        settings = self._settings
        settings.directory.mkdir(parents=True, exist_ok=True)

        listener = open_listener(settings.host, settings.port)
        self.port = port_of(listener)
        log.info("router_listening", host=settings.host, port=self.port)
        if on_listening is not None:
            on_listening(self.port)
        hosting = Hosting(
            CONNECTIONS_MAX,
            settings.cert_file,
            settings.key_file,
            log_level="critical",  # a body that is broken off is told by ourselves
            take_seconds=TAKE_SECONDS_MAX,
        )
        try:
            await host_app(self.app(), listener, hosting)
        finally:
            await self.close()

    async def close(self) -> None:
        """Give up what is on its way."""
        await self._flights.close()
        if self._filling is not None:
            await self._filling.close()
        await self._asker.close()
        await self._health.close()
        await self._reports.close()

    async def health(self, _request: Request) -> Response:
        """Say that the router answers, by what state, and what it did."""
        state = self._local.basis.state.name
        return JSONResponse({"status": "SERVING", "state": state, **self.counts})

    async def answer(self, request: Request) -> Response:
        """Answer one request of the registry API, and measure the answer."""
        began_ns = time.perf_counter_ns()
        with self.meter.serving.one():
            return self.meter.measured(await self._answer(request), began_ns)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if not DOTS.isdisjoint(path.split("/")):  # they would lead out of the API
            return oci_error(400, "NAME_INVALID", "the path has dot segments")
        if path in ("/v2", "/v2/"):
            return await self._version(request)
        named = _NAMED.fullmatch(path)
        if named is None:
            return await self._other(request)
        try:
            return await self._named(request, named)
        except InputError as error:
            return oci_error(400, error.reason, str(error))

    async def _named(self, request: Request, named: re.Match[str]) -> Response:
        repository = parse_repository(named["name"])
        if named["session"] is not None:
            begins = request.method == "POST"
            push = self._pushes.begin if begins else self._pushes.go_on
            return await push(request, repository)
        if request.method in {"GET", "HEAD"}:
            return await self._read(request, repository, named)
        if request.method == "DELETE":
            return await self._pushes.delete(request, repository)
        if request.method == "PUT" and named["reference"]:
            reference = parse_reference(named["reference"])
            return await self._pushes.manifest(request, repository, reference)
        return oci_error(405, "UNSUPPORTED", "the operation is unsupported")

    async def _read(
        self, request: Request, repository: Repository, named: re.Match[str]
    ) -> Response:
        client, head = _client(request), request.method == "HEAD"
        if named["digest"]:
            wanted = Wanted(repository, parse_digest(named["digest"]))
            part = {n: request.headers[n] for n in RANGES if n in request.headers}
            client = replace(client, passed={**client.passed, **part})
            read = self._blobs.head if head else self._blobs.get
            return await read(client, wanted)
        if named["tags"]:
            return await self._listing.tags(client, repository, request.query_params)
        reference = parse_reference(named["reference"])
        if is_digest(reference):
            wanted = Wanted(repository, Digest(reference))
            return await self._manifests.read(client, wanted, head=head)
        tag = Tag(reference)
        return await self._manifests.tagged(client, repository, tag, head=head)

    async def _version(self, request: Request) -> Response:
        """Say whether the API is spoken here, or what to log in with."""
        ask = Ask("GET", "/v2/", _client(request))
        regions = [self._settings.region, *self._places.near()]
        answer = await self._asker.first(self._places.well(regions), ask, (200,))
        if isinstance(answer, Refusal):
            return answer.response("NAME_UNKNOWN")
        return relayed(answer)

    async def _other(self, request: Request) -> Response:
        """Pass on a read that is about no one content: the catalogue, referrers."""
        if not _OTHER.fullmatch(request.url.path):
            return oci_error(404, "UNSUPPORTED", "the operation is unsupported")
        if request.method not in {"GET", "HEAD"}:
            return oci_error(405, "UNSUPPORTED", "the operation is unsupported")
        ask = Ask(request.method, path_asked(request), _client(request))
        regions = [self._settings.region, self._places.origin]
        answer = await self._asker.first(self._places.well(regions), ask)
        if isinstance(answer, Refusal):
            return answer.response("NAME_UNKNOWN")
        return relayed(answer)

    async def _land(self, landed: Landed) -> None:
        if self._filling is not None:
            await self._filling.land(landed)


def _client(request: Request) -> Client:
    """Return who asks, and what they say of the answer that they want."""
    passed = {n: request.headers[n] for n in PASSED if n in request.headers}
    accepted = ", ".join(request.headers.getlist("Accept"))
    anything = not accepted or "*/*" in accepted
    # Registries take */* for none of their own types, and would convert or refuse.
    passed["Accept"] = ACCEPT["Accept"] if anything else accepted
    return Client(
        request.headers.get("Authorization"),
        request.headers.get("User-Agent", ""),
        passed,
        request.client.host if request.client else "",
    )
