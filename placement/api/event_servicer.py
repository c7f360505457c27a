"""EventService: events for those who do not speak NATS."""

from placement.api.authority.caller import check_events
from placement.api.clients import caller_of
from placement.api.contents import NewContents
from placement.api.reading import Context, Pace, Reader
from placement.core.errors import InputError, region_unlisted
from placement.core.event import Event, regions_named
from placement.ports import Clock
from placement.runtime.publisher import Publisher
from placement.tracing import span
from placement.v1 import event_service_pb2 as pb
from placement.v1.event_service_pb2_grpc import EventServiceServicer
from placement.wire.requests import decode_events
from placement.wire.service_answers import encode_published


class EventServicer(EventServiceServicer):
    """Stores events and says what became of each."""

    def __init__(
        self,
        reader: Reader,
        publisher: Publisher,
        clock: Clock,
        contents: NewContents,
    ) -> None:
        """Store with *publisher*; *clock* tells which events are from the future.

        Within the limits of *contents*: *reader* knows which are new.
        """
        self._reader = reader
        self._contents = contents
        self._publisher = publisher
        self._clock = clock

    async def PublishEvents(  # noqa: N802 - gRPC's name
        self, request: pb.PublishEventsRequest, context: Context
    ) -> pb.PublishEventsResponse:
        """Store every valid event; one event's fault does not stop the others.

        What the caller may not tell of stops them all: nothing is stored.
        """
        caller = caller_of(context)
        check_events(request.events)
        decoded: list[Event | InputError] = []
        pace = Pace()
        for item in decode_events(request, self._clock()):
            decoded.append(self._listed(item))
            await pace.step()
        events = [item for item in decoded if isinstance(item, Event)]
        if self._contents.limited:
            self._contents.admit(events, self._reader.state, caller)
        with span("publish", attributes={"events": len(events)}):
            published = await self._publisher.publish(events)
        results = zip(published.outcomes, published.tokens, strict=True)
        return encode_published(request, decoded, results, published.token)

    def _listed(self, item: Event | InputError) -> Event | InputError:
        """Return *item*, or why not: it names a region that the catalogue has not.

        The state has places for so many regions, and none to spare for invented ones.
        """
        if isinstance(item, InputError):
            return item
        regions = self._reader.topology.regions
        for region in regions_named(item):
            if region not in regions:
                remedy = "name regions of the catalogue; GetServiceInfo lists it"
                return region_unlisted("region", region, remedy)
        return item
