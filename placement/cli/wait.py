"""``placement wait``: until an image is where it should be, for a line of CI."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import rich_click as click

from placement.cli import output
from placement.cli.estimate import estimated, platform_option
from placement.cli.failures import OK, TIMED_OUT
from placement.cli.output import Answer
from placement.cli.reference import parse_image
from placement.cli.session import (
    JSON,
    TIMEOUT_SECONDS,
    Session,
    config_option,
    output_option,
    pass_session,
    server_option,
)
from placement.client import PlacementCallError, PlacementClient
from placement.core.errors import NumberInvalidError

READY: Final = "ARRIVAL_READY"
UNKNOWN: Final = frozenset({"MANIFEST_UNKNOWN", "BLOB_UNKNOWN"})
"""Reasons to wait: what nobody announced may be announced."""
SILENT: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
"""Codes to wait for, of a service that has answered before: it may come back."""
SECONDS_MIN: Final = 0.05
SECONDS_MAX: Final = 24 * 3600.0

_DURATION: Final = re.compile(
    r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6}(?:\.\d{1,6})?)s)?(?:(\d{1,6})ms)?"
)
_UNITS: Final = (3600.0, 60.0, 1.0, 0.001)


def parse_duration(text: str, field_name: str) -> float:
    """Return ``90s``, ``2m`` or ``1m30s`` in seconds; raises NumberInvalidError."""
    found = _DURATION.fullmatch(text.strip())
    parts = zip(found.groups() if found else (), _UNITS, strict=False)
    seconds = sum(float(part) * unit for part, unit in parts if part)
    if not SECONDS_MIN <= seconds <= SECONDS_MAX:
        remedy = "give a duration with its unit: 90s, 2m, 1m30s; 50ms to 24h"
        raise NumberInvalidError(field_name, text, remedy)
    return seconds


@dataclass
class Watch:
    """What is waited for, for how long, and what was told of it last."""

    image: str
    selection: tuple[str, str, str]
    """Repository, reference and platform."""
    candidates: str
    limit_s: float
    interval_s: float
    as_json: bool
    start_s: float = field(default_factory=time.monotonic)
    told: dict[str, Answer] = field(default_factory=dict)
    """By region, empty for the image itself; without what changes all the time."""
    missing: list[str] = field(default_factory=list)
    """The regions where it was not ready at the last look."""

    @property
    def elapsed_s(self) -> float:
        """How long it has waited."""
        return time.monotonic() - self.start_s

    def tell(self, found: Answer) -> None:
        """Print what was found of a region, if it is news."""
        news = {k: v for k, v in found.items() if k != "expected_wait"}
        region = str(found.get("region", ""))
        if self.told.get(region) == news:
            return
        self.told = {r: told for r, told in self.told.items() if r and region}
        self.told[region] = news
        elapsed_s = self.elapsed_s
        if self.as_json:
            line = {"elapsed_seconds": round(elapsed_s, 3), **found}
            click.echo(json.dumps(line, ensure_ascii=False))
        else:
            click.echo(f"{elapsed_s:7.1f} s  {'  '.join(_words(found))}")


@click.command()
@click.argument("image", metavar="IMAGE")
@click.option(
    "--in",
    "candidates",
    required=True,
    metavar="REGIONS",
    help="Codes, areas and aliases with commas between: syd,eu.",
)
@click.option(
    "--timeout",
    "limit",
    default="2m",
    metavar="DURATION",
    show_default=True,
    help="Give up after so long: 90s, 2m, 1m30s.",
)
@click.option(
    "--interval",
    default="1s",
    metavar="DURATION",
    show_default=True,
    help="Look again after so long.",
)
@platform_option
@config_option
@server_option
@output_option
@pass_session
def wait(  # noqa: PLR0913, PLR0917 - one for each option
    session: Session,
    /,
    image: str,
    candidates: str,
    limit: str,
    interval: str,
    platform: str,
) -> None:
    """Wait until an image is where it should be.

    Ends with 0 when all that the platform needs of IMAGE is in every region of `--in`,
    and with 3 when the time is over. A region without storage is as ready as the one
    that serves it; what nobody has announced yet is waited for too. Prints a line when
    something changes, with `-o json` an object a line. It asks for no copy.
    """
    selection = (*parse_image(image), platform)
    watch = Watch(
        image,
        selection,
        candidates,
        parse_duration(limit, "--timeout"),
        parse_duration(interval, "--interval"),
        session.output == JSON,
    )
    patience_s = min(TIMEOUT_SECONDS, watch.limit_s)
    if session.ask(lambda client: _ready(client, watch), patience_s):
        raise SystemExit(OK)
    where = f" in {', '.join(watch.missing)}" if watch.missing else ""
    said = f"{image} is not ready{where} after {limit}"
    click.echo(f"error: {said}  [DEADLINE_EXCEEDED]", err=True)
    raise SystemExit(TIMED_OUT)


async def _ready(client: PlacementClient, watch: Watch) -> bool:
    """Look until the image is ready everywhere or the time is over; say which."""
    while True:
        try:
            if await _look(client, watch):
                return True
        except PlacementCallError as error:
            silent = error.code.name in SILENT and watch.told
            if error.reason not in UNKNOWN and not silent:
                raise
            watch.missing = []
            state = "no answer" if silent else "not announced"
            watch.tell({"image": watch.image, "state": state})
        rest_s = watch.limit_s - watch.elapsed_s
        if rest_s <= 0:
            return False
        await asyncio.sleep(min(watch.interval_s, rest_s))


async def _look(client: PlacementClient, watch: Watch) -> bool:
    """Tell how far the image is in every region, and whether it is ready in all."""
    answer = await estimated(client, [watch.selection], watch.candidates)
    watch.missing = []
    for one in sorted(answer["estimates"], key=lambda found: str(found["region"])):
        (image,) = one["images"]
        found = {
            "region": one["region"],
            "storage_region": one["storage_region"],
            "state": output.word(image["arrival"], "ARRIVAL_"),
            "missing_bytes": image["missing_bytes"],
            "mountable_bytes": image["mountable_bytes"],
            "source_region": image["source_region"],
        }
        if image["arrival"] != READY:
            watch.missing.append(one["region"])
            if "expected_wait" in one:
                found["expected_wait"] = one["expected_wait"]
        watch.tell(found)
    return not watch.missing


def _words(found: Answer) -> Iterator[str]:
    """Yield what people read of a region, or of an image that is in none."""
    if "region" not in found:
        yield f"{found['image']}: {found['state']}"
        return
    region, storage = found["region"], found["storage_region"]
    yield region if region == storage else f"{region} (stored in {storage})"
    yield found["state"]
    if found["missing_bytes"]:
        yield f"{output.size(found['missing_bytes'])} missing"
    if found["mountable_bytes"]:
        yield f"{output.size(found['mountable_bytes'])} mountable"
    if found["source_region"]:
        yield f"expected in {output.duration(found.get('expected_wait'), 'p50')}"
        yield f"from {found['source_region']}"
    elif found["missing_bytes"]:
        yield "nobody is known to hold it"
