"""A report in sentences: whether copies saved anything, as far as that is known."""

from collections.abc import Iterator
from datetime import datetime

from placement.cli import output
from placement.cli.output import Answer
from placement.core.reporting.lift import PAIRS_MIN, WAITED_MIN


def sentences(answer: Answer) -> Iterator[str]:
    """Yield what an operator wants to know first."""
    total, currency = answer["total"], answer["currency"]
    copies, observed = total["copies"], total["observed"]
    days = days_of(answer)
    within = f"In {days} days" if days > 1 else "Today"
    made = copies["decided_count"] or copies["withheld_count"]
    if made:
        yield f"{within} {_saved(total)}; {_spent(copies, currency)}"
    if observed["decided_count"]:
        yield f"{within} {_would_have(observed, currency)}"
    elif not made:
        yield f"{within} nothing was decided."


def days_of(answer: Answer) -> int:
    """Return how many days a report is about."""
    first, end = (_moment(answer[f"{name}_time"]) for name in ("start", "end"))
    return (end - first).days


def _moment(value: str) -> datetime:
    return datetime.fromisoformat(value)


def _saved(total: Answer) -> str:
    """Return what copies saved: measured if it can be, and never more than is known."""
    measured, modelled = total["measured"], total["copies"]["modelled_saving"]
    treated, withheld = measured["treated_count"], measured["withheld_count"]
    if "saved_low_seconds" not in measured:
        return (
            f"it cannot be measured what copies saved: {withheld} of"
            f" {treated + withheld} foreseen ones were withheld to compare with, and it"
            f" takes {PAIRS_MIN}, of which {WAITED_MIN} waited. As modelled they saved"
            f" {output.seconds(modelled):,.0f} s"
        )
    saved = measured["saved_seconds"]
    low, high = measured["saved_low_seconds"], measured["saved_high_seconds"]
    interval = f"[95 %: {low:,.0f} to {high:,.0f}]"
    against = f"measured against {share(withheld / (treated + withheld))} withheld"
    if low > 0:
        return f"copies saved {saved:,.0f} s {interval} of waiting, {against}"
    if high < 0:
        return f"copies cost {-saved:,.0f} s of waiting: {interval} saved, {against}"
    return (
        f"it is not shown that copies saved anything: {saved:,.0f} s {interval} of"
        f" waiting, {against}, which may as well be nothing"
    )


def _spent(copies: Answer, currency: str) -> str:
    cost = money(copies["transfer_cost"] + copies["storage_cost"], currency)
    moved = output.size(copies["moved_bytes"]) if copies["moved_bytes"] else "nothing"
    said = f"{moved} moved, {cost}"
    wasted = copies["wasted_bytes"]
    return f"{said}; {output.size(wasted) if wasted else 'none'} of it for nothing."


def _would_have(observed: Answer, currency: str) -> str:
    """Return what copies that were only observed would have come to."""
    saved = output.seconds(observed["modelled_saving"])
    judged = sum(observed[f"{name}_count"] for name in ("used", "late", "unused"))
    wasted, count = observed["wasted_bytes"], observed["decided_count"]
    if judged:
        timely = f"{observed['used_count']} of {judged} in time"
    else:
        timely = "none of them wanted until now"
    return (
        f"{count} {'copy was' if count == 1 else 'copies were'} only observed. If made,"
        f" {saved:,.0f} s of waiting would have been saved, as modelled, {timely};"
        f" {output.size(observed['transfer_bytes'])} moved,"
        f" {money(observed['transfer_cost'], currency)};"
        f" {output.size(wasted) if wasted else 'none'} of it for nothing."
    )


def saving(group: Answer, copies: Answer) -> str:
    """Return what a group saved, with its interval; ``~`` where it is only modelled."""
    measured = group["measured"]
    if "saved_low_seconds" not in measured:
        return f"~{output.seconds(copies['modelled_saving']):,.0f} s"
    low, high = measured["saved_low_seconds"], measured["saved_high_seconds"]
    return f"{measured['saved_seconds']:,.0f} s [{low:,.0f} to {high:,.0f}]"


def money(amount: float, currency: str) -> str:
    """Return an amount of money for people; a little is not nothing."""
    digits = 2 if amount >= 0.01 or not amount else 4  # noqa: PLR2004 - a cent
    return f"{amount:,.{digits}f} {currency}"


def share(value: float | None) -> str:
    """Return a share in percent; ``-`` of nothing."""
    if value is None:
        return "-"
    digits = 0 if value >= 0.1 or not value else 1  # noqa: PLR2004 - ten percent
    return f"{100 * value:.{digits}f} %"
