"""``placement doctor``: what is wrong here, and what to do about it."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.failures import FAILED, OK
from placement.cli.output import Answer
from placement.cli.session import (
    Session,
    config_option,
    key_option,
    log_options,
    output_option,
    pass_session,
    server_option,
)
from placement.config import CONFIG_FILE, ConfigError
from placement.core.errors import InputError
from placement.doctor.checks import SERVICE_CHECKS, agent_checks
from placement.doctor.examination import Examined, PatientLoop, examine, healthy
from placement.doctor.finding import Verdict, fail
from placement.doctor.site import Site
from placement.telemetry.logs import configure_logs

STYLES: Final = {
    Verdict.OK: "green",
    Verdict.WARN: "yellow",
    Verdict.FAIL: "bold red",
    Verdict.SKIPPED: "dim",
}


@click.command()
@click.option("--agent", is_flag=True, help="Look at the agent of this machine.")
@log_options
@key_option("--state-dir", "agent.state_dir")
@config_option
@server_option
@output_option
@pass_session
def doctor(session: Session, *, agent: bool) -> None:
    """Look at all that placement needs here, and say what is wrong and what to do.

    Run it on the machine and as the user of the service, or of the agent, with its
    configuration. It changes nothing, and answers within 10 s whatever is down. Exit
    code 0: nothing is FAIL; 1: something is.
    """
    configure_logs("auto", "error")
    found = _found(session, agent=agent)
    answer = {
        "healthy": healthy(found),
        "findings": [
            {
                "check": one.check,
                "verdict": str(one.finding.verdict),
                "found": one.finding.found,
                "remedy": one.finding.remedy,
            }
            for one in found
        ],
    }
    output.emit(session, answer, _lines)
    sys.exit(OK if healthy(found) else FAILED)


def _found(session: Session, *, agent: bool) -> Sequence[Examined]:
    """Return all findings; a configuration that cannot be is the only one."""
    try:
        config = session.config
        tls = session.tls
    except (ConfigError, InputError) as error:
        remedy = "correct the keys that it names: nothing else can be looked at before"
        return [Examined("configuration", fail(str(error), remedy))]
    if agent and not config.agent.region:
        remedy = "set agent.region, or leave --agent out"
        return [Examined("configuration", fail("agent.region is empty", remedy))]
    site = Site(
        config=config,
        target=session.target,
        config_file=session.config_file or _default_file(),
        tls=tls,
        agent=agent,
    )
    chosen = agent_checks(speaks_nats=bool(config.nats.url))
    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        return runner.run(examine(chosen if agent else SERVICE_CHECKS, site))


def _default_file() -> Path | None:
    return CONFIG_FILE if CONFIG_FILE.is_file() else None


def _lines(answer: Answer) -> Iterator[RenderableType]:
    rows = []
    before = ""
    for one in answer["findings"]:
        verdict = Verdict(one["verdict"])
        text = one["found"] + (f"\n→ {one['remedy']}" if one["remedy"] else "")
        name = "" if one["check"] == before else one["check"]
        before = one["check"]
        rows.append((name, Text(str(verdict), style=STYLES[verdict]), text))
    yield output.table(("check", "", "found"), rows)
    counted = [
        f"{sum(one['verdict'] == verdict for one in answer['findings'])} {verdict}"
        for verdict in Verdict
    ]
    yield Text(", ".join(counted))
