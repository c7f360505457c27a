"""``placement status``: what the service is and how far it is."""

from collections.abc import Iterator

import rich_click as click
from rich.console import RenderableType

from placement.cli import output
from placement.cli.output import Answer
from placement.cli.session import (
    TIMEOUT_SECONDS,
    Session,
    pass_session,
    session_options,
)
from placement.client import PlacementClient
from placement.wire.json import plain

REGION_COLUMNS = ("region", "name", "stores", "state", "served by", "endpoint")
SERVED_BY_SHOWN = 4
HASHING_SECONDS = 120.0
"""A service takes some two seconds for each 100,000 digests, and more while asked."""


@click.command()
@click.option("--fingerprint", is_flag=True, help="Also hash the whole state.")
@click.option("--regions", is_flag=True, help="Also show the region catalogue.")
@session_options
@pass_session
def status(session: Session, *, fingerprint: bool, regions: bool) -> None:
    """Show what the service is and how far it is."""
    seconds = HASHING_SECONDS if fingerprint else TIMEOUT_SECONDS
    answer = session.ask(
        lambda client: informed(client, fingerprint=fingerprint), timeout_s=seconds
    )
    output.emit(session, answer, lambda found: _tables(found, regions=regions))


async def informed(client: PlacementClient, *, fingerprint: bool) -> Answer:
    """Return what the service says of itself."""
    return plain(await client.get_service_info(include_fingerprint=fingerprint))


def _tables(answer: Answer, *, regions: bool) -> Iterator[RenderableType]:
    counts = answer.get("counts", {})
    facts = {
        "bootstrapping": bootstrapping(answer.get("bootstrap")),
        "version": f"{answer['version']}, fold version {answer['fold_version']}",
        "home region": f"{answer['home_region']} of {len(answer['regions'])} regions",
        "pending messages": answer.get("pending_message_count", "not known"),
        "fingerprint": answer["fingerprint"],
        "service": answer["service_name"],
        "diverged": _divergence(answer.get("divergence")),
        **{name.replace("_count", " events"): counts[name] for name in counts},
    }
    rows = [(name, str(value)) for name, value in facts.items() if value != ""]
    yield output.table(("", ""), rows)
    if regions:
        yield output.table(REGION_COLUMNS, [_region(one) for one in answer["regions"]])
    yield output.basis_line(answer)


def bootstrapping(bootstrap: Answer | None) -> str:
    """Return how far a checkpoint is taken over, for people; empty: none is."""
    if bootstrap is None:
        return ""
    received, total = int(bootstrap["received_bytes"]), int(bootstrap["total_bytes"])
    if not total:
        return f"waiting for {bootstrap['peer']}"
    return (
        f"{100 * received // total} % of {output.size(total)} from {bootstrap['peer']}"
    )


def _divergence(found: Answer | None) -> str:
    """Return what a comparison with another service found, or nothing."""
    if not found:
        return ""
    wrong = {
        "this_service": "this service errs",
        "other_service": "the other one errs",
    }.get(output.word(found["verdict"], "DIVERGENCE_VERDICT_"), "who errs is not known")
    return (
        f"at {found['sequence']} from {found['other_service']}: {wrong};"
        f" {found['fingerprint']} here, {found['other_fingerprint']} there"
    )


def _region(region: Answer) -> tuple[str, ...]:
    order = region["serving_order"]
    more = ", ..." if len(order) > SERVED_BY_SHOWN else ""
    return (
        region["code"],
        region["name"],
        "yes" if region["stores"] else "no",
        output.word(region["state"], "REGION_STATE_"),
        ", ".join(order[:SERVED_BY_SHOWN]) + more,
        region["endpoint"] or "-",
    )
