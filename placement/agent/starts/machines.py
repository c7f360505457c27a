"""Plain JSON of any scheduler's machines: started, stopped, counted, asked for. Pure.

One object with any of ``started``, ``stopped``, ``counted`` and ``requested``, each an
object or a list. Durations are ``"53.5s"``, times RFC 3339. Errors name the field, its
value and the remedy; a field that nobody knows is an error, since it may be a slip of
the pen. docs/feeds.md has an example of each.
"""

from typing import Final

from placement.agent.feeds.fields import Fields, fields_of
from placement.agent.feeds.translation import Ignored, IgnoredReason, Malformed
from placement.agent.starts.plain import (
    duration_of,
    event_id_of,
    flag_of,
    home_of,
    image_of,
    items_of,
    known,
    named,
    needed_time,
    platform_of,
    regions_of,
    time_of,
)
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import Found, Resolve, Sighting, joined
from placement.core.errors import InputError, LimitInvalidError
from placement.core.event import (
    CacheKind,
    Event,
    Fact,
    Identifier,
    MachineGroup,
    MachinesCounted,
    MachineStopped,
    StartCause,
    StartsRequested,
    TimeNs,
)
from placement.core.oci import Digest, Repository
from placement.core.topology import parse_region

MACHINES_MAX: Final = 512
KINDS: Final = ("started", "stopped", "counted", "requested")
STARTED: Final = (
    "machine_id",
    "image",
    "event_id",
    "region",
    "time",
    "request_time",
    "image_wait",
    "transferred_bytes",
    "source_region",
    "platform",
    "cache",
    "cause",
)
STOPPED: Final = ("machine_id", "image", "event_id", "region", "time")
COUNTED: Final = ("scan_time", "complete", "machines", "event_id", "region")
REQUESTED: Final = (
    "image",
    "regions",
    "count",
    "expected_time",
    "request_id",
    "platform",
    "event_id",
    "region",
)


def translate(document: object, settings: StartSettings, resolve: Resolve) -> Found:
    """Return what a decoded body says; raises nothing. *resolve* is for counts."""
    try:
        items = _items(fields_of(document, "body"))
    except InputError as error:
        return Found(malformed=(Malformed.of(None, error),))
    found: list[Found] = []
    for index, (kind, item) in enumerate(items):
        try:
            found.append(_read(kind, item, settings, resolve))
        except InputError as error:
            found.append(Found(malformed=(Malformed.of(index, error),)))
    return joined(found)


def _items(fields: Fields) -> list[tuple[str, Fields]]:
    known(fields, KINDS)
    bare = Fields(fields.values)
    items = [(kind, item) for kind in KINDS for item in items_of(bare, kind)]
    if not items:
        raise InputError("body", "", f"give one of {', '.join(KINDS)}")
    return items


def _read(kind: str, item: Fields, settings: StartSettings, resolve: Resolve) -> Found:
    if kind == "started":
        return _started(item, settings)
    if kind == "stopped":
        return _stopped(item, settings)
    if kind == "counted":
        return _counted(item, settings, resolve)
    return _requested(item, settings)


def _started(item: Fields, settings: StartSettings) -> Found:
    known(item, STARTED)
    region = home_of(item, settings)
    machine_id = item.identifier("machine_id")
    time_ns = needed_time(item, "time", "give when it started")
    event_id = event_id_of(item, "start", machine_id, time_ns)
    if region is None:
        return Found(ignored=(Ignored(event_id, IgnoredReason.OTHER_REGION),))
    source = item.text("source_region")
    sighting = Sighting(
        event_id=event_id,
        machine_id=machine_id,
        region=region,
        image=image_of(item),
        time_ns=time_ns,
        request_time_ns=time_of(item, "request_time"),
        image_wait_ns=duration_of(item, "image_wait"),
        cache=named(item, "cache", CacheKind),
        cause=named(item, "cause", StartCause),
        platform=platform_of(item),
        source_region=parse_region(source, item.where("source_region"))
        if source
        else None,
        transferred_bytes=item.count("transferred_bytes"),
    )
    return Found((sighting,))


def _stopped(item: Fields, settings: StartSettings) -> Found:
    known(item, STOPPED)
    machine_id = item.identifier("machine_id")
    time_ns = needed_time(item, "time", "give when it stopped")
    image = image_of(item) if item.text("image") else None
    fact = MachineStopped(
        machine_id, image.digest if image else None, image.repository if image else None
    )
    event_id = event_id_of(item, "stop", machine_id, time_ns)
    return _event(event_id, item, fact, time_ns, settings)


def _counted(item: Fields, settings: StartSettings, resolve: Resolve) -> Found:
    """Return a page of a count; a machine whose tag nobody knows is not in it."""
    known(item, COUNTED)
    remedy = "give when the count began, before the machines were listed"
    scan_ns = needed_time(item, "scan_time", remedy)
    machines = item.items("machines")
    if len(machines) > MACHINES_MAX:
        remedy = f"give at most {MACHINES_MAX} a page; only the last is complete"
        raise LimitInvalidError(item.where("machines"), len(machines), remedy)
    groups: dict[tuple[Repository, Digest], list[Identifier]] = {}
    for machine in machines:
        known(machine, ("machine_id", "image"))
        image = image_of(machine)
        digest = image.digest or (
            resolve(image.repository, image.tag) if image.tag else None
        )
        if digest is not None and settings.minds(image):
            key = (image.repository, digest)
            groups.setdefault(key, []).append(machine.identifier("machine_id"))
    fact = MachinesCounted(
        scan_ns,
        complete=flag_of(item, "complete"),
        groups=tuple(MachineGroup(*key, tuple(ids)) for key, ids in groups.items()),
    )
    event_id = event_id_of(item, "count", settings.region, dict(item.values))
    return _event(event_id, item, fact, scan_ns, settings)


def _requested(item: Fields, settings: StartSettings) -> Found:
    known(item, REQUESTED)
    image = image_of(item)
    reference = image.digest or image.tag
    assert reference, "an image has a tag or a digest"
    request_id = item.identifier("request_id")
    fact = StartsRequested(
        image.repository,
        reference,
        regions_of(item, settings),
        machine_count=item.count("count"),
        expected_time_ns=time_of(item, "expected_time"),
        request_id=request_id,
        platform=platform_of(item),
    )
    event_id = event_id_of(item, "request", settings.region, request_id)
    return _event(event_id, item, fact, None, settings)


def _event(
    event_id: Identifier,
    item: Fields,
    fact: Fact,
    time_ns: TimeNs | None,
    settings: StartSettings,
) -> Found:
    region = home_of(item, settings)
    if region is None:
        return Found(ignored=(Ignored(event_id, IgnoredReason.OTHER_REGION),))
    event = Event(event_id, region, fact, time_ns, settings.publisher)
    return Found(events=(event,))
