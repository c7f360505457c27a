"""Looks at an agent: its door, its spool, and whether its feeds reach it."""

import asyncio
import json
from collections.abc import Sequence
from typing import Final

from placement import stores
from placement.doctor.finding import Finding, fail, ok, skipped, warn
from placement.doctor.pages import page
from placement.doctor.site import Site

NS: Final = 1_000_000_000
OLD_SECONDS: Final = 600.0
"""As the alert PlacementSpoolFilling has it."""
QUIET_SECONDS: Final = 86_400.0
FULL_SHARE: Final = 0.9
OWN_FEED: Final = "events"
"""What the agent itself reports; it tells nothing of webhooks."""


async def door(site: Site) -> Sequence[Finding]:
    """Look whether notifications are taken, and whether they are sent on."""
    listen = site.config.agent.listen
    answer = await page(listen, "/healthz")
    if not answer.good:
        remedy = "start `placement agent`, or correct agent.listen"
        return [fail(f"agent.listen {listen}: {answer.shown}", remedy)]
    try:
        told = json.loads(answer.text)
    except ValueError:
        told = None
    if not isinstance(told, dict) or "spooled" not in told:
        remedy = "correct agent.listen, or stop what listens there"
        return [fail(f"agent.listen {listen}: another program answers there", remedy)]
    found = [ok(f"http://{listen} takes notifications: {told['spooled']} so far")]
    if told.get("trouble"):
        remedy = "bring the log or the service back, or correct our credentials there"
        found.append(fail(f"nothing is sent on: {told['trouble']}", remedy))
    if told.get("refused"):
        remedy = (
            "give registry and agent the same token and region: the agent's log says"
            " who was turned away"
        )
        found.append(warn(f"{told['refused']} posts were turned away", remedy))
    return found


async def spool(site: Site) -> Sequence[Finding]:
    """Look how much waits, for how long, and what was set aside."""
    path = stores.spool_path(site.config)
    seen = await asyncio.to_thread(stores.read_spool, path)
    if seen is None:
        return [skipped(f"there is no spool at {path}: an agent makes it at its start")]
    most = site.config.agent.spool.waiting_bytes_max
    age_s = 0.0
    if seen.oldest_waiting_ns is not None:
        age_s = max(0, site.clock() - seen.oldest_waiting_ns) / NS
    what = f"{seen.waiting_count} wait, {seen.waiting_bytes} of {most} bytes"
    if seen.waiting_bytes >= FULL_SHARE * most:
        found = [
            fail(
                f"{what}: it is full, or nearly so, and registries are answered 503",
                "bring the log back, or raise agent.spool.waiting_bytes_max",
            )
        ]
    elif age_s > OLD_SECONDS:
        found = [
            warn(
                f"{what}, the oldest for {age_s:.0f} s",
                "see why nothing is sent: the finding of agent.door, and the log",
            )
        ]
    else:
        found = [ok(f"{what}; {seen.sent_count} were sent")]
    found += [
        warn(
            f"{count} bodies are set aside: {reason}",
            "look at them with `placement spool list`; once the cause is mended,"
            " `placement spool resend` sends them again",
        )
        for reason, count in seen.asides.items()
    ]
    return found


async def feeds(site: Site) -> Sequence[Finding]:
    """Look when each feed was last heard; more of webhooks cannot be known here."""
    seen = await asyncio.to_thread(stores.read_spool, stores.spool_path(site.config))
    if seen is None:
        return [skipped("there is no spool to tell of it")]
    heard = {feed: at for feed, at in seen.feeds.items() if feed != OWN_FEED}
    if not heard:
        return [
            warn(
                "no notification is in the spool: none came within what it keeps",
                "name the agent in the registry's notifications (docs/feeds.md), and"
                " push something",
            )
        ]
    found = []
    for feed, at in heard.items():
        age_s = max(0, site.clock() - at) / NS
        what = f"{feed}: the last came {age_s:.0f} s ago"
        quiet = age_s > QUIET_SECONDS
        remedy = "push something; if nothing comes, see the registry's notifications"
        found.append(warn(what, remedy) if quiet else ok(what))
    return found
