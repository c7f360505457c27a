"""The first word with the log: what it is to what this run begins with."""

import asyncio

import structlog

from placement.ports import EventLog, LogConfigurationError, LogUnavailableError
from placement.runtime.epochs import Standing, inspect
from placement.runtime.lines import Lines
from placement.runtime.marks import Marks

log_events = structlog.get_logger(__name__)


async def reached(
    log: EventLog, lines: Lines, marks: Marks, wait_seconds: float
) -> tuple[Standing, Standing]:
    """Return how *log* stands to what is folded, and to what was answered from.

    Asked again after *wait_seconds* while it is out of reach. A breach only when it is
    found twice. Raises LogConfigurationError, unless there is a checkpoint to answer
    from.
    """
    suspected = False
    while True:
        try:
            folded = await inspect(log, lines.shown.position)
            marked = await inspect(log, marks.position)
        except LogUnavailableError as error:
            log_events.warning("log_unreachable", reason=str(error))
        except LogConfigurationError as error:
            if not lines.shown.epoch:
                raise
            log_events.error("log_misconfigured", reason=str(error))  # noqa: TRY400 - a remedy, no bug
        else:
            if suspected or not (folded.breach or marked.breach):
                return folded, marked
            suspected = True
        await asyncio.sleep(wait_seconds)
