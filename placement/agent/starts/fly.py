"""Fly.io's log lines become starts of machines. Pure.

A runner says "Pulling container image" and, when it is done, "Successfully prepared
image (53.549659372s)". A line tells the machine and its region, not its image: that is
configured by app or by machine, or read from the Machines API (``images_in``). Lines
are text as ``fly logs`` prints it, or JSON as the log shipper posts it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from placement.agent.feeds.cloud_events import hashed_id
from placement.agent.feeds.fields import Fields, fields_of
from placement.agent.feeds.times import parse_go_duration_ns, parse_timestamp_ns
from placement.agent.feeds.translation import Ignored, IgnoredReason, Malformed
from placement.agent.starts.images import Image, parse_image
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import Found, Sighting, joined
from placement.core.errors import InputError
from placement.core.event import DurationNs, Identifier, TimeNs
from placement.wire.fields import parse_identifier

LINE_LENGTH_MAX: Final = 8_192
LINES_MAX: Final = 4_096
PULLING: Final = "Pulling container image"
ANY: Final = "*"
"""The name in ``images`` of what no other name is for."""

_LINE: Final = re.compile(
    r"(?P<time>[0-9T:.\-]+(?:Z|[+-][0-9]{2}:[0-9]{2})?) +"
    r"(?:runner|app|proxy|health)\[(?P<machine>[0-9A-Za-z]+)\] +"
    r"(?P<region>[a-z0-9-]+) +\[[a-z]+\] *(?P<message>.*)"
)
_PREPARED: Final = re.compile(
    r"Successfully prepared image .*?\((?P<took>[0-9hmsnu.\u00b5\u03bc]+)\)"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log."""

    time_ns: TimeNs
    machine_id: Identifier
    region: str
    app: str
    message: str


def translate(
    lines: Iterable[str], settings: StartSettings, known: Mapping[str, Image]
) -> Found:
    """Return the starts in *lines*; *known* are images by machine, as the API tells.

    Raises nothing. A prepared image whose pull began before these lines was asked for
    when it began to be pulled, by its own duration.
    """
    pulling: dict[Identifier, TimeNs] = {}
    found: list[Found] = []
    for index, text in enumerate(lines):
        if index >= LINES_MAX:
            error = InputError("lines", f"more than {LINES_MAX}", "post fewer at once")
            found.append(Found(malformed=(Malformed.of(index, error),)))
            break
        try:
            line = line_of(text)
            if line is None:
                continue
            if line.message.startswith(PULLING):
                pulling[line.machine_id] = line.time_ns
            match = _PREPARED.match(line.message)
            took_ns = parse_go_duration_ns(match["took"]) if match else None
            if took_ns is not None:
                began_ns = pulling.pop(line.machine_id, None)
                found.append(_prepared(line, took_ns, began_ns, settings, known))
        except InputError as error:
            found.append(Found(malformed=(Malformed.of(index, error),)))
    return joined(found)


def line_of(text: str) -> Line | None:
    """Return one line, of either form; None for one that is of no machine.

    Raises InputError for a JSON line whose fields are not those of the log shipper.
    """
    text = text.strip()
    if not text or len(text) > LINE_LENGTH_MAX:
        return None
    if text.startswith("{"):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise InputError("line", text, "post lines of JSON or of text") from None
        return _shipped(fields_of(document))
    match = _LINE.fullmatch(text)
    if match is None:
        return None
    time = match["time"]
    offset = "" if time[-1] == "Z" or time[-6:-5] in {"+", "-"} else "Z"
    return Line(
        parse_timestamp_ns(time + offset, "time"),
        parse_identifier(match["machine"], "machine"),
        match["region"],
        "",
        match["message"],
    )


def images_in(document: object) -> dict[str, Image]:
    """Return the images of the machines in an answer of the Machines API, by machine.

    One machine, or a list; a machine whose image cannot be read is left out. Raises
    InputError for any other document.
    """
    found: dict[str, Image] = {}
    for item in document if isinstance(document, list) else [document]:
        fields = fields_of(item, "machine")
        try:
            reference = fields.inner("image_ref")
            name = f"{reference.text('registry')}/{reference.text('repository')}"
            tag, digest = reference.text("tag"), reference.text("digest")
            text = name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
            found[fields.text("id")] = parse_image(text, reference.path)
        except InputError:
            continue
    return found


def _shipped(fields: Fields) -> Line | None:
    where, app = fields.inner("fly"), fields.inner("fly").inner("app")
    if not app.text("instance"):
        return None
    return Line(
        parse_timestamp_ns(fields.text("timestamp"), "timestamp"),
        parse_identifier(app.text("instance"), app.where("instance")),
        where.text("region"),
        app.text("name"),
        fields.text("message"),
    )


def _prepared(
    line: Line,
    took_ns: DurationNs,
    began_ns: TimeNs | None,
    settings: StartSettings,
    known: Mapping[str, Image],
) -> Found:
    event_id = hashed_id("fly-start", line.machine_id, line.time_ns)
    image = known.get(line.machine_id)
    for name in (line.machine_id, line.app, ANY):
        image = image or settings.images.get(name)
    region = settings.region_of(line.region)
    if image is None or region is None:
        place = IgnoredReason.OTHER_REGION
        reason = place if region is None else IgnoredReason.IMAGE_UNKNOWN
        return Found(ignored=(Ignored(event_id, reason),))
    began_ns = began_ns or TimeNs(max(line.time_ns - took_ns, 1))
    sighting = Sighting(
        event_id=event_id,
        machine_id=line.machine_id,
        region=region,
        image=image,
        time_ns=line.time_ns,
        request_time_ns=began_ns,
        image_wait_ns=took_ns,
    )
    return Found((sighting,))
