"""The parts that take what registries and schedulers say, and send it to the log."""

import random
import time
from dataclasses import replace
from functools import partial
from typing import Final

from placement.adapters.jetstream.subject import NatsSubject
from placement.agent.feeds.catalogue import feeds
from placement.agent.receiver import (
    DISTRIBUTION,
    Receiver,
    health_of,
    receiver_app,
    serve_receiver,
)
from placement.agent.sender import Sender
from placement.agent.spooled import EVENTS, spooled_messages
from placement.agent.supervision import Part
from placement.agent.translators import Translate, at_once, from_bundle, once_logged
from placement.agent_app.around import Around
from placement.agent_app.settings import receiver_settings
from placement.agent_app.starts import start_checks, start_feeds
from placement.config import split_address
from placement.core.errors import InputError
from placement.hosting import open_listener
from placement.nats_authority.names import agent_inbox
from placement.nats_settings import nats_settings
from placement.telemetry.exposition import metrics_page
from placement.telemetry.spooling import Delivery, register_delivery

ZOT: Final = "zot"


def delivery(around: Around) -> list[Part]:
    """Return the door, and the sender of what comes through it."""
    config, spool = around.config.agent, around.spool
    feeds = _translations(around)
    posted = feeds.keys() - {EVENTS}
    settings = replace(
        receiver_settings(config.receiver, around.region, posted),
        checks=start_checks(around.starts),
    )
    receiver = Receiver(settings, spool.put, time.time_ns)
    sender = Sender(spool, around.outlet, feeds, random.random, serving=around.serving)
    told = Delivery(
        figures=lambda: spool.figures,
        received=receiver.counts,
        by_feed=receiver.by_feed,
        feeds=sorted(posted),
        sent=sender.counts,
        success_ns=lambda: sender.success_ns,
    )
    register_delivery(around.registry, told, time.time_ns)
    page = metrics_page(around.registry)

    def health() -> dict[str, object]:
        trouble = {"trouble": sender.trouble} if sender.trouble else {}
        return health_of(spool.figures, time.time_ns()) | dict(sender.counts) | trouble

    host, port = split_address(config.listen)
    try:
        listeners = [open_listener(host, port)]
    except OSError as error:
        remedy = f"{error.strerror}: listen somewhere else"
        raise InputError("agent.listen", config.listen, remedy) from None

    async def receive() -> None:
        listener = listeners.pop() if listeners else open_listener(host, port)
        await serve_receiver(receiver_app(receiver, health, page), listener)

    return [Part("receiver", receive), Part("sender", sender.run)]


def request_log(around: Around) -> list[Part]:
    """Return what follows the registry's own log, if it is named."""
    if around.request_log is None:
        return []
    return [Part("request_log", around.request_log.run)]


def zot(around: Around) -> list[Part]:
    """Return what listens to a zot that publishes to NATS, if its subject is named."""
    subject = around.config.agent.receiver.zot_subject
    if not subject:
        return []
    if not around.config.nats.url:
        remedy = "give nats.url too: the servers that zot publishes to"
        raise InputError("agent.receiver.zot_subject", subject, remedy)
    settings = nats_settings(around.config.nats, agent_inbox(around.region))
    listened = NatsSubject(settings, subject)
    taken = spooled_messages(around.spool, ZOT, time.time_ns)
    return [Part("zot", partial(listened.listen, taken))]


def _translations(around: Around) -> dict[str, Translate]:
    """Return what each note of the spool means, by the name that it is posted under."""
    known = feeds(around.feed, around.request_log)
    found = {name: at_once(feed) for name, feed in known.items()}
    if around.request_log is not None:
        found[DISTRIBUTION] = once_logged(
            known[DISTRIBUTION], around.request_log, time.time_ns
        )
    posted = start_feeds(around.starts, around.find)
    return {EVENTS: from_bundle, **found, **posted}
