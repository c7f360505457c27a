"""The service's own event log as the subject of a back-test."""

import asyncio
import gc
from collections.abc import Callable
from typing import Final

from placement import stores
from placement.cli.session import Session
from placement.core.errors import InputError
from placement.core.event import RecordedMessage
from placement.runtime.quarantine import read_quarantine
from placement.simulation.backtest import Outcome, Setting, run, subject_of_log
from placement.simulation.own_log import past_of_log
from placement.telemetry.logs import configure_logs
from placement.wire.events import decode_message

NAME: Final = "log"
"""What the log is called among traces."""


def log_outcome(
    session: Session, setting: Setting, on_progress: Callable[[float], None]
) -> Outcome:
    """Return what the policies come to on the log that the configuration names.

    All of it is held in memory. Raises InputError for a log without any start.
    """
    configure_logs(session.config.log_format, "warning")
    messages = asyncio.run(_messages(session))
    items = (item for message in messages for item in message.items)
    past = past_of_log(items, setting.topology)
    if not past.starts:
        remedy = "nothing to score: no start or pull of an image whose push it holds"
        raise InputError("--log", f"{len(messages)} messages", remedy)
    gc.freeze()
    return run(setting, subject_of_log(NAME, past, messages), on_progress)


async def _messages(session: Session) -> list[RecordedMessage]:
    """Return every message of the log up to where it ends now."""
    found: list[RecordedMessage] = []
    async with stores.open_log(session.config, may_start=True) as log:
        status = await log.status()
        if status.last_sequence < status.first_sequence:
            return found
        quarantine = await read_quarantine(log)
        async for batch in log.read(status.first_sequence - 1):
            found += [
                decode_message(message, quarantine.skipped(message.sequence))
                for message in batch
            ]
            if not batch or batch[-1].sequence >= status.last_sequence:
                break
    return found
