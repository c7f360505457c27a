"""The fields of our own plain JSON about machines, read so that errors say all."""

from collections.abc import Collection
from difflib import get_close_matches
from enum import IntEnum
from typing import Final, TypeVar

from placement.agent.feeds.cloud_events import hashed_id
from placement.agent.feeds.fields import Fields, shown
from placement.agent.feeds.times import parse_go_duration_ns, parse_timestamp_ns
from placement.agent.starts.images import Image, parse_image
from placement.agent.starts.settings import StartSettings
from placement.core.errors import (
    InputError,
    LimitInvalidError,
    RegionInvalidError,
    TimeInvalidError,
)
from placement.core.event import DurationNs, Identifier, TimeNs
from placement.core.oci import Platform
from placement.core.topology import Region

REGIONS_MAX: Final = 200
PLATFORM_PARTS: Final = (2, 3)

Kind = TypeVar("Kind", bound=IntEnum)


def known(item: Fields, names: Collection[str]) -> None:
    """Return if *item* has no other fields than *names*; raises InputError."""
    for key, value in item.values.items():
        if key not in names:
            near = get_close_matches(str(key), names, n=1) or names
            remedy = f"no such field; is it {', '.join(near)}?"
            raise InputError(item.where(str(key)), shown(value), remedy)


def items_of(item: Fields, key: str) -> list[Fields]:
    """Return one object, or the objects of a list; raises InputError."""
    if isinstance(item.values.get(key), list):
        return item.items(key)
    one = item.inner(key)
    return [one] if key in item.values else []


def event_id_of(item: Fields, kind: str, *parts: object) -> Identifier:
    """Return the id that *item* gives, else one that its *parts* make."""
    if item.text("event_id"):
        return item.identifier("event_id")
    return hashed_id(f"machine-{kind}", *parts)


def region_of(item: Fields, settings: StartSettings) -> Region | None:
    """Return our region for what *item* calls it; None: nobody's."""
    name = item.text("region")
    try:
        return settings.region_of(name)
    except InputError as error:
        remedy = error.remedy
        raise type(error)(item.where("region"), name, remedy) from None


def home_of(item: Fields, settings: StartSettings) -> Region | None:
    """Return in which of our regions *item* happened; None: nobody's.

    An agent speaks of its own alone, and of what its operator names besides: the log
    takes nothing else of it where regions have credentials of their own. Raises
    RegionInvalidError.
    """
    region = region_of(item, settings)
    if region is None or region == settings.region or settings.regions:
        return region
    remedy = (
        f"post it to that region's agent, this one is for {settings.region}; or let "
        "the operator map the name to a region in agent.starts.regions"
    )
    raise RegionInvalidError(item.where("region"), region, remedy)


def regions_of(item: Fields, settings: StartSettings) -> tuple[Region, ...]:
    """Return the regions of a request; the agent's own where it names none."""
    names = item.values.get("regions")
    where = item.where("regions")
    if names is None:
        return (settings.region,)
    if not isinstance(names, list) or not names:
        raise InputError(where, shown(names), "give a list of regions")
    if len(names) > REGIONS_MAX:
        raise LimitInvalidError(where, len(names), f"give at most {REGIONS_MAX}")
    found: list[Region] = []
    for index, name in enumerate(names):
        one = Fields({"region": name}, f"{where}[{index}]")
        region = region_of(one, settings)
        if region is None:
            remedy = f"give one of {', '.join(settings.regions)}"
            raise InputError(one.path, name, remedy)
        found.append(region)
    return tuple(dict.fromkeys(found))


def image_of(item: Fields) -> Image:
    """Return the image that *item* names; raises InputError."""
    return parse_image(item.text("image"), item.where("image"))


def time_of(item: Fields, key: str) -> TimeNs | None:
    """Return an RFC 3339 time; None when absent. Raises TimeInvalidError."""
    text = item.text(key)
    return parse_timestamp_ns(text, item.where(key)) if text else None


def needed_time(item: Fields, key: str, remedy: str) -> TimeNs:
    """Return an RFC 3339 time, which must be there; raises TimeInvalidError."""
    time_ns = time_of(item, key)
    if time_ns is None:
        remedy = f"{remedy}, such as 2026-11-23T15:40:00Z"
        raise TimeInvalidError(item.where(key), "", remedy)
    return time_ns


def duration_of(item: Fields, key: str) -> DurationNs | None:
    """Return a duration such as ``53.5s``, None when absent; raises InputError."""
    text = item.text(key)
    duration_ns = parse_go_duration_ns(text) if text else None
    if text and duration_ns is None:
        remedy = "give a duration such as 53.5s or 1m2s, at most a year"
        raise TimeInvalidError(item.where(key), text, remedy)
    return duration_ns


def flag_of(item: Fields, key: str) -> bool:
    """Return true or false, false when absent; raises InputError."""
    value = item.values.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InputError(item.where(key), shown(value), "give true or false")
    return value


def named(item: Fields, key: str, kind: type[Kind]) -> Kind:
    """Return the member of *kind* of that name, the first when absent."""
    text = item.text(key)
    if not text:
        return kind(0)
    names = {member.name.lower(): member for member in kind if member}
    if text.lower() not in names:
        remedy = f"give one of {', '.join(names)}"
        raise InputError(item.where(key), text, remedy)
    return names[text.lower()]


def platform_of(item: Fields) -> Platform | None:
    """Return ``os/architecture[/variant]``; None when absent. Raises InputError."""
    text = item.name("platform")
    if not text:
        return None
    parts = text.split("/")
    if len(parts) not in PLATFORM_PARTS or not all(parts):
        remedy = "give OS/ARCHITECTURE[/VARIANT], such as linux/amd64"
        raise InputError(item.where("platform"), text, remedy)
    return Platform(*parts)
