"""Builds what answers about the past from the parts of a service."""

import secrets
import time
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry

from placement.config import Config
from placement.ports import EventLog
from placement.runtime.past import Past, PastSettings
from placement.runtime.past_bases import OlderCheckpoints
from placement.runtime.view import View
from placement.telemetry.past import register_past


def open_past(
    config: Config,
    parts: tuple[EventLog, View, OlderCheckpoints],
    registry: CollectorRegistry,
    stack: AsyncExitStack,
) -> Past:
    """Return what folds *parts* again; it ends with *stack*, measured by *registry*."""
    log, view, older = parts
    keys = config.past
    settings = PastSettings(
        states_max=keys.states_max,
        messages_max=keys.messages_max,
        caller_folds_max=keys.caller_folds_max,
        idle_seconds=keys.idle_seconds,
        seed=secrets.randbits(63),
    )
    past = Past(log, view, older, time.time_ns, settings)
    stack.push_async_callback(past.close)
    register_past(registry, past)
    return past
