"""The figures of ``placement rehearse`` as tables for people."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from placement.cli.output import Answer, table

DECISIONS: Final = (
    *("decided", "completed", "used", "late", "wasted", "undecided"),
    *("failed", "expired", "cancelled", "withheld", "over_budget"),
)


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield decisions, misses and what copies saved, each by trace."""
    traces: Mapping[str, Mapping[str, Any]] = answer["traces"]
    columns = ("trace", *(f"{name.replace('_', ' ')}>" for name in DECISIONS))
    rows = [
        (name, *(f"{one['decisions'][each]:,}" for each in DECISIONS))
        for name, one in traces.items()
    ]
    yield table(columns, rows, "Decisions")
    yield Text()
    yield table(
        ("trace", "why the image was not there", "starts>", "waited longer, s>"),
        list(_misses(traces)),
        "Starts that waited",
    )
    yield Text()
    yield table(
        (
            *("trace", "local>", "benefit>", "moved GB>", "wasted GB>"),
            *("lift of a pair, s>", "95 % interval>", "true>", "saved, s>"),
        ),
        [_saved(name, one) for name, one in traces.items()],
        "What copies saved, by the control group",
    )
    for name, one in traces.items():
        for said, count in one["wrongly_explained"].items():
            yield Text(f"{name}: {count} starts {said}", style="bold red")
    yield Text(f"assumed: {answer['assumptions']}", style="dim")


def _misses(traces: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for name, one in traces.items():
        for why, miss in one["misses"].items():
            waited = f"{miss['beyond_local_s']:,.0f}"
            yield name, why.replace("_", " "), f"{miss['starts']:,}", waited


def _saved(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    lift = one["lift"]
    measured, interval, saved = "-", "not known yet", "-"
    if lift["measured_s"] is not None:
        measured = f"{lift['measured_s']:.2f}"
        interval = f"{lift['low_s']:.2f} to {lift['high_s']:.2f}"
        saved = f"{one['saved_measured_s']:,.0f}"
    return (
        name,
        _percent(one["local_share"]),
        _percent(one["benefit"]),
        f"{one['moved_gb']:,.0f}",
        f"{one['wasted_gb']:,.0f}",
        measured,
        interval,
        f"{lift['true_s']:.2f}",
        saved,
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
