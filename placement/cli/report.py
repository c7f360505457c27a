"""``placement report``: what copies saved, what they cost, and what was missed."""

import re
from collections.abc import Iterator, Sequence
from time import time_ns as now_ns
from typing import Final

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.output import Answer
from placement.cli.report_said import days_of, money, saving, sentences, share
from placement.cli.session import Session, pass_session, session_options
from placement.client import PlacementClient
from placement.core.counts import DAY_NS
from placement.core.errors import NumberInvalidError
from placement.wire.json import plain

TIMEOUT_S: Final = 30.0
"""A report reads a whole period."""
DAYS_MAX: Final = 366
GROUPINGS: Final = ("app", "organization", "region", "week")
COPY_COLUMNS: Final = ("copies", "count>", "bytes>", "cost>")
START_COLUMNS: Final = ("starts", "count>", "waited>", "beyond local>")
GROUP_COLUMNS: Final = (
    "decided>",
    "used>",
    "late>",
    "for nothing>",
    "moved>",
    "cost>",
    "saved>",
    "starts>",
    "local>",
)

_OUTCOMES: Final = ("used", "late", "undecided", "unjudged")
_SINCE: Final = re.compile(r"(\d{1,3})([dw])")
_UNIT_DAYS: Final = {"d": 1, "w": 7}


@click.command()
@click.option(
    "--since",
    default="7d",
    metavar="DAYS",
    help="So many days or weeks, today included: 7d, 4w.",
    show_default=True,
)
@click.option("--by", type=click.Choice(GROUPINGS), help="Tell the figures apart.")
@session_options
@pass_session
def report(session: Session, since: str, by: str | None) -> None:
    """Show what copies saved and cost, and what was missed.

    What they saved is measured: a small share of them is withheld by lot, and waits
    with and without a copy are compared. docs/report.md says what each figure means.
    """
    start_ns = now_ns() - (parse_days(since, "--since") - 1) * DAY_NS
    answer = session.ask(
        lambda client: reported(client, start_ns, by=by or ""), TIMEOUT_S
    )
    output.emit(session, answer, tables)


def parse_days(text: str, field_name: str) -> int:
    """Return ``7d`` or ``4w`` in days, 1 to 366; raises NumberInvalidError."""
    found = _SINCE.fullmatch(text.strip())
    days = int(found[1]) * _UNIT_DAYS[found[2]] if found else 0
    if not 1 <= days <= DAYS_MAX:
        remedy = f"give days or weeks, such as 7d or 4w, at most {DAYS_MAX} days"
        raise NumberInvalidError(field_name, text, remedy)
    return days


async def reported(client: PlacementClient, start_ns: int, *, by: str) -> Answer:
    """Return what was decided, and started, from a moment on until now."""
    return plain(await client.get_report(start_ns, by=by))


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of a report: first what they want to know."""
    for said in sentences(answer):
        yield Text(said, style="bold")
    total, currency = answer["total"], answer["currency"]
    if total["copies"]["decided_count"] or total["copies"]["withheld_count"]:
        yield output.table(COPY_COLUMNS, _copies(total["copies"], currency))
    if total["observed"]["decided_count"]:
        seen = _observed(total["observed"], currency)
        yield output.table(COPY_COLUMNS, seen, "as if made")
    if total["starts"]["outcomes"]:
        yield output.table(START_COLUMNS, _starts(total["starts"]["outcomes"]))
    if answer["groups"]:
        rows = [_group(group, currency) for group in answer["groups"]]
        yield output.table(("group", *GROUP_COLUMNS), rows)
    if answer["omitted_group_count"]:
        yield Text(f"and {answer['omitted_group_count']} more groups", style="dim")
    until = output.moment(answer["end_time"])
    said = f"{days_of(answer)} days up to {until}, by policy {answer['policy']}"
    yield Text(said, style="dim")
    yield output.basis_line(answer)


def _counted(
    answer: Answer, names: Sequence[str], indent: str = "  "
) -> Iterator[tuple[str, ...]]:
    """Yield a row for each count of *names* that is not 0."""
    for name in names:
        if answer[f"{name}_count"]:
            yield f"{indent}{name}", str(answer[f"{name}_count"]), "", ""


def _copies(copies: Answer, currency: str) -> Iterator[tuple[str, ...]]:
    yield (
        "decided",
        str(copies["decided_count"]),
        output.size(copies["moved_bytes"]),
        money(copies["transfer_cost"], currency),
    )
    yield from _counted(copies, _OUTCOMES)
    yield (
        "  for nothing",
        str(copies["unused_count"]),
        output.size(copies["wasted_bytes"]),
        money(copies["wasted_cost"], currency),
    )
    yield from _counted(copies, ("open", "failed", "expired", "cancelled"))
    yield "kept until now", "", "", money(copies["storage_cost"], currency)
    yield from _counted(copies, ("withheld", "deferred"), indent="")


def _observed(observed: Answer, currency: str) -> Iterator[tuple[str, ...]]:
    yield (
        "decided",
        str(observed["decided_count"]),
        output.size(observed["transfer_bytes"]),
        money(observed["transfer_cost"], currency),
    )
    yield from _counted(observed, _OUTCOMES)
    wasted = output.size(observed["wasted_bytes"])
    yield "  for nothing", str(observed["unused_count"]), wasted, ""


def _starts(outcomes: list[Answer]) -> Iterator[tuple[str, ...]]:
    for each in outcomes:
        yield (
            output.word(each["outcome"], "START_OUTCOME_"),
            f"{each['start_count']:,}",
            f"{output.seconds(each['wait_duration']):,.1f} s",
            f"{output.seconds(each['beyond_local_duration']):,.1f} s",
        )


def _group(group: Answer, currency: str) -> tuple[str, ...]:
    copies, starts = group["copies"], group["starts"]
    if not copies["decided_count"] and group["observed"]["decided_count"]:
        copies = {**copies, **group["observed"]}
        copies["moved_bytes"] = copies["transfer_bytes"]
    started = sum(each["start_count"] for each in starts["outcomes"])
    return (
        group["key"] or "(no app)",
        str(copies["decided_count"]),
        str(copies["used_count"]),
        str(copies["late_count"]),
        str(copies["unused_count"]),
        output.size(copies["moved_bytes"]),
        money(copies["transfer_cost"], currency),
        saving(group, copies),
        f"{started:,}",
        share(starts.get("local_share")),
    )
