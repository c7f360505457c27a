"""Looks at the broker, its stream as it is configured, and what our user may do."""

from collections.abc import Sequence
from typing import Final

from placement import stores
from placement.core.topology import parse_region
from placement.doctor.finding import Finding, fail, ok, skipped, warn
from placement.doctor.site import Site
from placement.inspections import BrokerSeen, StreamSeen
from placement.nats_authority.names import DECISIONS, EVENTS
from placement.ports import LogUnavailableError

NS: Final = 1_000_000_000
LAG_MAX: Final = 1_000
FULL_SHARE: Final = 0.9
VERSION_MIN: Final = (2, 9)
LACKS: Final = (
    ((2, 10), "before 2.10 it acknowledges what it has not flushed"),
    ((2, 11), "before 2.11 two planners may both append at the same moment"),
)
BROKEN: Final = (
    ((2, 10, 20), (2, 10, 22), "whole streams may be forgotten by a kill"),
)
UPGRADE: Final = "upgrade nats-server: docs/nats-versions.md says what each lacks"
START: Final = (
    "start `placement serve`, whose broker it is, or name a running one in nats.url"
)
REACH: Final = (
    "start the broker, or correct nats.url, our credentials and the TLS files; its own"
    " log says whom it refuses"
)


async def broker(site: Site) -> Sequence[Finding]:
    """Look whether it lets us in, its version, its limits, and JetStream."""
    try:
        seen, _, _ = await site.broker()
    except LogUnavailableError as error:
        return [fail(str(error), REACH if site.config.nats.url else START)]
    found = [*_version(seen)]
    if not seen.payload_suffices:
        found.append(
            fail(
                f"max_payload is {seen.payload_bytes_max}, and"
                f" {seen.payload_bytes_needed} are needed",
                f"set max_payload to {seen.payload_bytes_needed} in the server's"
                " configuration",
            )
        )
    if seen.denied:
        found.append(
            fail(
                f"our user may not ask about stream {site.config.nats.stream}",
                "give it the rights that `placement nats-config` writes",
            )
        )
    elif seen.trouble:
        found.append(
            fail(
                f"JetStream does not answer: {seen.trouble}",
                "switch JetStream on in the server's configuration and for our"
                " account, and see to its disk",
            )
        )
    return found


async def stream(site: Site) -> Sequence[Finding]:
    """Look at the stream's configuration, its beginning, its room and its copies."""
    try:
        seen, _, _ = await site.broker()
    except LogUnavailableError:
        return [skipped("the broker is out of reach")]
    name = site.config.nats.stream
    if seen.trouble:
        return [skipped("the broker does not tell of it")]
    if seen.stream is None:
        return [
            fail(
                f"there is no stream {name}",
                "start one `placement serve`: the first to come makes it",
            )
        ]
    found = [
        fail(f"{name}: {one.field} is {one.found}, needed is {one.needed}", one.remedy)
        for one in seen.stream.unmet
    ]
    if not found:
        last = seen.stream.last_sequence
        found = [ok(f"{name} is set up as it should be, and ends at {last}")]
    return [
        *found,
        *_beginning(seen.stream, site),
        *_room(seen.stream),
        *_copies(seen.stream),
    ]


async def permissions(site: Site) -> Sequence[Finding]:
    """Try what our user may do, storing nothing."""
    try:
        seen, _, _ = await site.broker()
    except LogUnavailableError:
        return [skipped("the broker is out of reach")]
    if seen.stream is None:
        return [skipped("there is no stream to try it on")]
    if site.agent:
        region = parse_region(site.config.agent.region, "agent.region")
        subjects = [f"{EVENTS}.{region}.content_pushed"]
    else:
        region = site.topology.home
        subjects = [
            f"{EVENTS}.{region}.content_pushed",
            f"{DECISIONS}.{region}.replication_planned",
        ]
    found = []
    async with stores.inspecting_broker(site.config, site.inbox) as inspection:
        for subject in subjects:
            why = await inspection.may_append(subject)
            if why:
                found.append(fail(f"cannot append on {subject}: {why}", _RIGHTS))
        if not site.agent:
            why = await inspection.may_read()
            if why:
                found.append(fail(f"cannot read the stream: {why}", _RIGHTS))
    what = "append" if site.agent else "append and read"
    return found or [ok(f"our user may {what}; nothing was stored to try it")]


_RIGHTS: Final = (
    "give our user the rights that `placement nats-config` writes, and the inbox that"
    " nats.inbox_prefix names"
)


def _version(seen: BrokerSeen) -> list[Finding]:
    shown = ".".join(map(str, seen.version))
    here = f"nats-server {shown} at {seen.servers}"
    found = [
        warn(f"{here}: {why}", UPGRADE) for least, why in LACKS if seen.version < least
    ]
    found += [
        fail(f"{here}: {why}", UPGRADE)
        for first, last, why in BROKEN
        if first <= seen.version <= last
    ]
    if seen.version < VERSION_MIN:
        found.append(fail(f"{here} is older than any that was tried", UPGRADE))
    return found or [ok(here)]


def _beginning(seen: StreamSeen, site: Site) -> list[Finding]:
    if not seen.trimmed:
        return []
    what = f"the log begins at {seen.first_sequence}: what was before is gone"
    if site.config.accept_partial_log:
        return [warn(what, "nothing: accept_partial_log is set, and answers lack it")]
    return [
        fail(
            what,
            "keep every checkpoint: a service without one begins from a peer's"
            " (bootstrap.peers), or from what is left with accept_partial_log",
        )
    ]


def _room(seen: StreamSeen) -> list[Finding]:
    if seen.bytes_max is None or seen.size_bytes < FULL_SHARE * seen.bytes_max:
        return []
    share = 100 * seen.size_bytes // max(1, seen.bytes_max)
    return [
        warn(
            f"the stream holds {share} % of its max_bytes, beyond which it refuses",
            "raise max_bytes of the stream, and nats.max_bytes with it",
        )
    ]


def _copies(seen: StreamSeen) -> list[Finding]:
    if not seen.led:
        return [
            fail(
                "the stream's copies have no leader",
                "bring a majority of the broker's servers back",
            )
        ]
    found = [
        warn(
            f"the copy on {one.server} is {one.lag} operations behind, current:"
            f" {str(one.current).lower()}",
            "see to that server, its disk and the way to it",
        )
        for one in seen.copies
        if not one.current or one.lag > LAG_MAX
    ]
    if seen.copies and not found:
        found = [
            ok(f"led by {seen.leader}, {len(seen.copies)} other copies are current")
        ]
    return found
