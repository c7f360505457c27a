"""Looks at the service, and at the pages that it serves beside."""

from collections.abc import Sequence
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from placement import __version__
from placement.client import PlacementCallError
from placement.client.health import SERVING, service_health
from placement.core.fold import FOLD_VERSION
from placement.doctor.finding import Finding, fail, ok, skipped, warn
from placement.doctor.pages import page
from placement.doctor.site import CALL_SECONDS, Site

PENDING_MAX: Final = 10_000
START: Final = "start it with `placement serve`, or name it with --server"
STATES: Final = {
    "LIVE": "",
    "REBUILDING": "wait: it folds the log for the first time; docs/runbooks.md,"
    " PlacementRebuilding",
    "STALE": "bring the broker back, or see why it does not let the service in",
    "EPOCH_BROKEN": "see what was done to the log: docs/runbooks.md,"
    " PlacementEpochBroken",
    "DEGRADED": "make room on the disk of data_dir, or mend its rights: it saves again"
    " by itself",
}
CONSOLE: Final = "console_listen"
FORBIDDEN: Final = 403
PAGES: Final = (
    ("metrics_listen", "/metrics"),
    ("metrics_listen", "/healthz"),
    (CONSOLE, "/"),
)
"""Keys of addresses that pages are served on, as far as this version has them."""
_REFUSED: Final = "placement_events_refused"
_WHY: Final = {
    "region": "it speaks of another region: correct agent.region or the credential of"
    " that region's agent",
    "other": "look at the newest of it with `placement tail`; a publisher may be newer"
    " than the service: upgrade the service first",
}


async def service(site: Site) -> Sequence[Finding]:
    """Look at health, state and cause, version, what was set aside, divergence."""
    try:
        info, _, _ = await site.service()
        health = await service_health(site.target, timeout_s=CALL_SECONDS, tls=site.tls)
    except PlacementCallError as error:
        why = f"{site.target}: {error}  [{error.reason}]"
        down = error.reason in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
        return [fail(why, START if down else error.remedy or "do what the error says")]
    found = [await _state(info, site)]
    if health != SERVING:
        remedy = "wait until the log is folded to its end once; balancers pass it by"
        found.append(warn(f"grpc.health.v1 says {health}", remedy))
    return [*found, *_lag(info), *_version(info), *_compared(info)]


async def quarantine(site: Site) -> Sequence[Finding]:
    """Look at what could not be folded, by region and reason where that is told."""
    try:
        info, _, _ = await site.service()
    except PlacementCallError:
        return [skipped("the service is out of reach")]
    count = info["counts"]["set_aside_count"]
    if not count:
        return [ok("nothing was set aside")]
    found = [
        warn(
            f"{count} events or messages were set aside, never folded",
            "find out who published them: docs/runbooks.md, PlacementEventsSetAside",
        )
    ]
    if site.config.metrics_listen:
        metrics = await page(site.config.metrics_listen, "/metrics")
        if metrics.good:
            found += _by_region(metrics.text)
    return found


async def pages(site: Site) -> Sequence[Finding]:
    """Look whether metrics, health and console answer, where they are to."""
    listens = dict(site.config)
    found = []
    for key, path in PAGES:
        listen = listens.get(key)
        if not listen:
            continue
        secure = key == CONSOLE and site.config.tls.cert_file is not None
        answer = await page(str(listen), path, secure=secure, tls=site.tls)
        where = f"{'https' if secure else 'http'}://{listen}{path}"
        if secure and (answer.hung_up or answer.status == FORBIDDEN):
            # It asks for a certificate of an analyst, operator or service.
            found.append(ok(f"{key}: {where} answers, though not to our certificate"))
        elif answer.trouble and key not in site.config.model_fields_set:
            found.append(skipped(f"{key} is not set, and nothing answers at {listen}"))
        elif answer.trouble:
            remedy = f"start the service, or correct {key}"
            found.append(fail(f"{key}: {answer.trouble}", remedy))
        elif answer.status >= 400 and path != "/healthz":  # noqa: PLR2004 - HTTP
            remedy = f"see what listens at {key}: it is not this service"
            found.append(fail(f"{key}: {path} {answer.shown}", remedy))
        else:
            found.append(ok(f"{key}: {where} answers"))
    return found or [skipped("metrics_listen is empty")]


async def _state(info: dict[str, Any], site: Site) -> Finding:
    basis = info["basis"]
    state = str(basis["state"]).removeprefix("SERVING_STATE_")
    staleness = basis.get("staleness", "0s")
    where = (
        f"{site.target} is {state} at sequence {basis['sequence']}, heard from the log"
        f" {staleness} ago"
    )
    if state == "LIVE":
        return ok(where)
    cause = ""
    if site.config.metrics_listen:
        text = (await page(site.config.metrics_listen, "/healthz")).text
        lines = [line for line in text.splitlines() if line.startswith("trouble: ")]
        cause = f": {lines[0].removeprefix('trouble: ')}" if lines else ""
    remedy = STATES.get(state, "read docs/runbooks.md")
    judge = warn if state == "REBUILDING" else fail
    return judge(where + cause, remedy)


def _lag(info: dict[str, Any]) -> list[Finding]:
    pending = int(info.get("pending_message_count") or 0)
    if pending <= PENDING_MAX:
        return []
    remedy = "see whether it shrinks: docs/runbooks.md, PlacementFoldLag"
    return [warn(f"{pending} messages of the log are not folded yet", remedy)]


def _version(info: dict[str, Any]) -> list[Finding]:
    theirs, fold = info["version"], int(info["fold_version"])
    if (theirs, fold) == (__version__, FOLD_VERSION):
        return [ok(f"version {theirs}, fold version {fold}, as this program's")]
    return [
        warn(
            f"the service is {theirs}, fold version {fold}; this program is"
            f" {__version__}, fold version {FOLD_VERSION}",
            "finish the upgrade, or take it back: docs/upgrading.md",
        )
    ]


def _compared(info: dict[str, Any]) -> list[Finding]:
    found = info.get("divergence")
    if not found:
        return []
    return [
        fail(
            f"its state differs from {found['other_service']}'s at sequence"
            f" {found['sequence']}, {found['verdict']}",
            "stop the one that errs, keep its data_dir for a report, and start it"
            " with an empty one: docs/runbooks.md, PlacementDivergent",
        )
    ]


def _by_region(text: str) -> list[Finding]:
    """Return what was refused by region and reason, from the metrics page."""
    found = []
    for family in text_string_to_metric_families(text):
        if family.name != _REFUSED:
            continue
        for sample in family.samples:
            if sample.name.endswith("_total") and sample.value:
                region, why = sample.labels["region"], sample.labels["why"]
                what = f"{sample.value:.0f} on region {region}'s subject, why: {why}"
                found.append(warn(what, _WHY.get(why, _WHY["other"])))
    return found
