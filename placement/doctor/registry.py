"""Looks at an agent's registry, scans and mirror."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from placement.agent.inventory.position import PositionFile
from placement.agent.registry.errors import (
    RegistryError,
    RegistryRefusedError,
    RegistryUnreachableError,
)
from placement.agent.registry.opening import opened
from placement.agent_app.settings import registries
from placement.core.oci import Digest, Repository
from placement.core.topology import parse_region
from placement.doctor.finding import Finding, fail, ok, skipped, warn
from placement.doctor.pages import page
from placement.doctor.site import CALL_SECONDS, Site

NS: Final = 1_000_000_000
OVERDUE: Final = 3
"""So many intervals after its beginning a scan ought to be whole."""
NOBODYS: Final = Repository("placement/doctor")
NOTHING: Final = Digest(f"sha256:{'0' * 64}")
"""No content has this digest: nobody's is deleted."""
UNSUPPORTED: Final = "405"
CREDENTIALS: Final = (
    "correct agent.registry.user and password_file, and token_realms where a token"
    " service is on another host"
)


async def registry(site: Site) -> Sequence[Finding]:
    """Look whether it answers, lets us in, and lets us delete where we are to."""
    agent = site.config.agent
    region = parse_region(agent.region, "agent.region")
    known = [
        one for one in registries(agent, region, site.topology) if one.region == region
    ]
    if not known:
        return [skipped("neither agent.registry.url nor the catalogue names one")]
    settings = known[0]
    async with AsyncExitStack() as stack:
        asked = await stack.enter_async_context(opened(settings))
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await asked.admitted()
        except (RegistryUnreachableError, TimeoutError) as error:
            remedy = "start it, or correct agent.registry.url and ca_file"
            return [
                fail(f"{settings.url}: {str(error) or 'no answer in time'}", remedy)
            ]
        except RegistryRefusedError as error:
            return [fail(str(error), CREDENTIALS)]
        except RegistryError as error:
            remedy = "name an OCI registry's base address in agent.registry.url"
            return [fail(str(error), remedy)]
        found = [ok(f"{settings.url} answers, and lets us in")]
        if agent.replicator.evict:
            found.append(await _deletes(asked.delete_manifest(NOBODYS, NOTHING)))
    return found


async def inventory(site: Site) -> Sequence[Finding]:
    """Look how old the newest scan of the whole registry is."""
    agent = site.config.agent
    interval_s = agent.inventory.interval_seconds
    if not interval_s or agent.receiver.proxy:
        return [skipped("no scans are wanted")]
    file = PositionFile(agent.state_dir / "inventory.json", agent.region)
    position = await asyncio.to_thread(file.read)
    if position is None:
        remedy = "wait for the first scan, or run `placement inventory`"
        return [warn("no scan has begun", remedy)]
    age_s = max(0, site.clock() - position.scan_time_ns) / NS
    how = "complete" if position.complete else "incomplete"
    what = (
        f"the newest scan began {age_s:.0f} s ago, {how}:"
        f" {position.repository_count} repositories, {position.failed_count} failed"
    )
    if position.failed_count:
        remedy = "see inventory_failed in the agent's log: the account has to pull"
        return [warn(what, f"{remedy} and to list the catalogue")]
    if age_s > OVERDUE * interval_s:
        remedy = "start the agent, or give it more agent.inventory.requests_per_second"
        return [warn(what, remedy)]
    return [ok(what)]


async def router(site: Site) -> Sequence[Finding]:
    """Look whether the mirror, and the door of this machine, answer."""
    agent = site.config.agent
    found = []
    for key, listen, secure in (
        ("agent.router.listen", agent.router.listen, bool(agent.router.cert_file)),
        ("agent.door.http_listen", agent.door.http_listen, False),
    ):
        if not listen:
            continue
        answer = await page(listen, "/healthz", secure=secure)
        remedy = f"start the agent, or correct {key}"
        what = f"{key} {listen}: {answer.shown}"
        found.append(ok(what) if answer.good else fail(what, remedy))
    return found or [
        skipped("agent.router.listen and agent.door.http_listen are empty")
    ]


async def _deletes(removal: object) -> Finding:
    """Say whether removals are carried out, by one of what is not there."""
    assert asyncio.iscoroutine(removal), "a call that was not awaited"
    try:
        async with asyncio.timeout(CALL_SECONDS):
            await removal
    except RegistryRefusedError as error:
        return fail(f"we may not delete: {error}", "give our account the right to")
    except (RegistryError, TimeoutError) as error:
        if getattr(error, "metadata", {}).get("status") == UNSUPPORTED:
            remedy = "set storage.delete.enabled: true in the registry's configuration"
            return fail("the registry does not delete (405)", remedy)
        return warn(f"whether it deletes is not known: {error}", "see its log")
    return ok("it deletes what we ask it to")
