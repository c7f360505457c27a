"""``placement publish``: events and notifications into the log."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.agent.feeds.networks import parse_networks
from placement.cli import output
from placement.cli.documents import STANDARD_INPUT, Fault, Reading
from placement.cli.failures import FAILED
from placement.cli.output import Answer
from placement.cli.sending import batched, send
from placement.cli.session import Session, parse_pairs, pass_session, session_options
from placement.cli.translating import Prepared, Translator, rebased
from placement.client import PlacementClient
from placement.core.event import Event
from placement.core.topology import parse_region

FAULTS_SHOWN_MAX: Final = 20
TIMEOUT_SECONDS: Final = 30.0
"""A request may hold 512 events, which the log stores durably."""


@dataclass
class Report:
    """What became of everything that was given."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[dict[str, str]] = field(default_factory=list)
    token: str = ""

    def fault(self, where: str, message: str, reason: str, field_name: str) -> None:
        """Note what was not published, and tell of it, if it is one of the first."""
        self.outcomes["rejected"] += 1
        if len(self.faults) < FAULTS_SHOWN_MAX:
            click.echo(f"{where}: {message}  [{reason}]", err=True)
            named = {"where": where, "reason": reason, "field": field_name}
            self.faults.append({**named, "message": message})

    def plain(self, ignored: Counter[str]) -> Answer:
        """Return the report as it is printed."""
        counts = {name: self.outcomes[name] for name in ("stored", "duplicate")}
        counts["rejected"] = self.outcomes["rejected"]
        return {
            **counts,
            "ignored": dict(ignored),
            "faults": self.faults,
            "token": self.token,
        }


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE...]")
@click.option("--region", metavar="REGION", help="Of what names no region.")
@click.option(
    "--region-map",
    default="",
    metavar="A=REGION,...",
    help="By the region that a notification claims (X-Placement-Region).",
)
@click.option(
    "--client-region",
    "client_regions",
    multiple=True,
    metavar="NETWORK=REGION",
    help="Where a registry's clients are, by address; may be given often.",
)
@click.option(
    "--rebase-to-now",
    is_flag=True,
    help="Shift all times alike, so that the newest is now.",
)
@session_options
@pass_session
def publish(  # noqa: PLR0913 - one for each option
    session: Session,
    /,
    files: tuple[str, ...],
    region: str | None,
    region_map: str,
    client_regions: tuple[str, ...],
    *,
    rebase_to_now: bool,
) -> None:
    r"""Publish events and registry notifications.

    FILE, or standard input (`-`), holds one JSON document a line, or is one document:
    an event in the JSON mapping of events.proto, such as

    `{"region": "syd", "machine_started": {"repository": "acme/web", "digest":
    "sha256:...", "machine_id": "m1", "image_wait": "1.5s"}}`

    or what CNCF Distribution posts, `{"events": [...]}`. An event without an event_id
    gets one made of its content, so that publishing a file again changes nothing. What
    is malformed is told by line, and does not stop the rest.
    """
    translator = Translator(
        parse_region(region, "--region") if region else None,
        {
            name: parse_region(to, "--region-map")
            for name, to in parse_pairs(region_map, "--region-map").items()
        },
        parse_networks(client_regions, "--client-region"),
    )
    report = Report()
    with Reading(files or (STANDARD_INPUT,)) as reading:
        found = translator.events_of(reading.documents())
        if rebase_to_now:
            found = _rebased(found)
        session.ask(lambda client: publish_all(client, found, report), TIMEOUT_SECONDS)
    output.emit(session, report.plain(translator.ignored), lines)
    if report.outcomes["rejected"]:
        raise SystemExit(FAILED)


def _rebased(found: Iterator[Prepared | Fault]) -> Iterator[Prepared | Fault]:
    every = list(found)
    prepared = [item for item in every if isinstance(item, Prepared)]
    yield from (item for item in every if isinstance(item, Fault))
    yield from rebased(prepared, time.time_ns())


async def publish_all(
    client: PlacementClient, found: Iterator[Prepared | Fault], report: Report
) -> None:
    """Publish *found* in batches; *report* says what became of each."""
    for places, batch in batched(_publishable(found, report)):
        response = await send(client, batch)
        report.token = response["token"] or report.token
        for where, result in zip(places, response["results"], strict=True):
            outcome = output.word(result["outcome"], "PUBLISH_OUTCOME_")
            if outcome == "rejected":
                fault = (result["message"], result["reason"], result["field"])
                report.fault(where, *fault)
            else:
                report.outcomes[outcome] += 1


def _publishable(
    found: Iterator[Prepared | Fault], report: Report
) -> Iterator[tuple[str, Event]]:
    for item in found:
        if isinstance(item, Fault):
            error = item.error
            report.fault(item.where, str(error), error.reason, error.field)
        else:
            yield item.where, item.event


def lines(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of a report."""
    counts = [f"{answer[name]} {name}" for name in ("stored", "duplicate", "rejected")]
    yield Text(f"published: {', '.join(counts)}")
    if answer["ignored"]:
        said = (f"{count} {reason}" for reason, count in answer["ignored"].items())
        yield Text(f"notifications that are no event: {', '.join(said)}")
    hidden = answer["rejected"] - len(answer["faults"])
    if hidden:
        yield Text(f"and {hidden} more faults like those above", style="yellow")
    if answer["token"]:
        yield Text(f"token {answer['token']}")
