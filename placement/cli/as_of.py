"""``--as-of``: the point in the log's past that a question is about."""

import time

import rich_click as click

from placement.cli.session import Command, Session

HELP = (
    "As of a message of the log, a time, or how long ago: 4711, 2026-11-30T12:00:00Z,"
    " '2h ago' [default: now]."
)


def as_of_option(command: Command) -> Command:
    """Add --as-of; it sets ``Session.as_of``."""
    return click.option(
        "--as-of",
        "as_of",
        metavar="SEQUENCE|TIME",
        help=HELP,
        callback=_remember,
        expose_value=False,
    )(command)


def _remember(ctx: click.Context, _param: click.Parameter, text: str | None) -> None:
    if text is None:
        return
    from placement.wire.as_of import parse_as_of  # noqa: PLC0415 - costs 0.2 s

    ctx.ensure_object(Session).as_of = parse_as_of(text, time.time_ns(), "--as-of")
