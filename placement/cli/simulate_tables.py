"""The figures of ``placement simulate`` as tables for people."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from placement.cli.output import Answer, table
from placement.simulation.past import STARTS_REPORTED

COLUMNS: Final = (
    *("policy", "local>", "p50 s>", "p99 s>", "saved>", "benefit>"),
    *("bytes/full>", "waste>", "vs everywhere>", "BSS>", "ECE>"),
)
MACRO_COLUMNS: Final = (
    *("policy", "benefit>", "worst trace>", "waste vs everywhere>", "bytes/full>"),
)


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield the figures of each trace, their means, and what they rest on."""
    for name, trace in answer["traces"].items():
        policies = trace["policies"]
        first = next(iter(policies.values()))["first_starts"]
        rows = [_row(policy, known) for policy, known in policies.items()]
        yield table(COLUMNS, rows, f"{name}: {first:,} first starts")
        yield Text()
    if len(answer["traces"]) > 1:
        yield table(MACRO_COLUMNS, _macro(answer["macro"]), "mean of the traces")
        yield Text()
    yield from _variants(answer)
    yield from _misses(answer)
    yield from _all_starts(answer)
    yield from _rollbacks(answer)
    yield from _notes(answer)


def _row(policy: str, known: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        policy,
        _percent(known["local_share"]),
        f"{known['wait_p50_s']:.2f}",
        f"{known['wait_p99_s']:.2f}",
        _percent(known["saved"]),
        _percent(known["benefit"]),
        _number(known["bytes_moved_ratio"]),
        _number(known["waste"]),
        _number(known["waste_vs_everywhere"]),
        _number(known["bss"]),
        _number(known["ece"]),
    )


def _macro(macro: Mapping[str, Mapping[str, float | None]]) -> list[tuple[str, ...]]:
    return [
        (
            policy,
            _percent(known["benefit"]),
            _percent(known["worst_benefit"]),
            _number(known["waste_vs_everywhere"]),
            _number(known["bytes_moved_ratio"]),
        )
        for policy, known in macro.items()
    ]


def _variants(answer: Answer) -> Iterator[RenderableType]:
    """Yield how ours and two others do when the assumptions vary."""
    rows = []
    shown = [answer["policies"][0], "everywhere", "set_60d"]
    for case, found in {"as declared": answer, **answer["variants"]}.items():
        for policy in shown:
            known = found["macro"][policy]
            saved = [
                trace["policies"][policy]["saved"] for trace in found["traces"].values()
            ]
            rows.append(
                (
                    case if policy == shown[0] else "",
                    policy,
                    _percent(sum(saved) / len(saved)),
                    _percent(known["benefit"]),
                    _percent(known["worst_benefit"]),
                    _number(known["waste_vs_everywhere"]),
                    _number(known["bytes_moved_ratio"]),
                )
            )
    if answer["variants"]:
        columns = ("assumed", "policy", "saved>", *MACRO_COLUMNS[1:])
        yield table(columns, rows, "what the assumptions change, mean of the traces")
        yield Text()


def _misses(answer: Answer) -> Iterator[RenderableType]:
    policy = answer["policies"][0]
    rows = [
        (name, kind, f"{miss['count']:,}", f"{miss['wait_s']:,.0f} s")
        for name, trace in answer["traces"].items()
        for kind, miss in trace["policies"][policy]["extras"]["misses"].items()
        if miss["count"]
    ]
    if rows:
        columns = ("trace", "why", "first starts>", "waited longer>")
        yield table(columns, rows, f"starts that were not local under {policy}")
        yield Text()


def _all_starts(answer: Answer) -> Iterator[RenderableType]:
    rows = [
        (
            name,
            policy,
            f"{known['starts']:,}",
            f"{100 * known['local_share']:.2f} %",
            f"{known['wait_p99_s']:.2f}",
            f"{known['wait_p999_s']:.2f}",
            f"{known['waited_h']:,.1f} h",
        )
        for name, policies in answer["all_starts"].items()
        for policy, known in policies.items()
    ]
    if rows:
        columns = (
            "trace",
            "policy",
            "starts>",
            "local>",
            "p99 s>",
            "p99.9 s>",
            "waited>",
        )
        yield table(columns, rows, "all starts, repeated ones too")
        yield Text()


def _rollbacks(answer: Answer) -> Iterator[RenderableType]:
    rows = [
        (
            name,
            policy,
            f"{known['count']:,}",
            _percent(known["local_share"]),
            _number(known["stored_ratio"]),
        )
        for name, policies in answer["rollbacks"].items()
        for policy, known in policies.items()
    ]
    if rows:
        columns = ("trace", "policy", "rollbacks>", "local share>", "stored/current>")
        yield table(columns, rows, "rollbacks, and what is stored for them")
        yield Text()


def _notes(answer: Answer) -> Iterator[RenderableType]:
    known = answer["assumptions"]
    yield Text(
        f"Assumed ({known['file']}): {known['delta_s']:g} s from push to first start, "
        f"sizes drawn by {known['size_seed']!r}, {known['layer_share']:g} of layers "
        f"shared, copies from {known['source']}. A trace says neither sizes nor when "
        "pushes came; an event log says both."
    )
    for name, counted in answer["stands_in_for_starts"].items():
        if counted != STARTS_REPORTED:
            yield Text(f"{name}: {counted}", style="bold")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
