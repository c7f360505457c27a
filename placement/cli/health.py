"""``placement health``: one cheap question, for supervisors and containers."""

import asyncio
import http.client
import sys

import rich_click as click
from rich.text import Text

from placement.cli import output
from placement.cli.failures import FAILED, OK, UNAVAILABLE
from placement.cli.session import (
    TIMEOUT_SECONDS,
    Session,
    pass_session,
    session_options,
)
from placement.client.health import SERVING, service_health
from placement.config import split_address

NOBODY = "UNREACHABLE"


@click.command()
@click.option("--agent", is_flag=True, help="Ask the agent at agent.listen instead.")
@session_options
@pass_session
def health(session: Session, *, agent: bool) -> None:
    """Say whether the service, or the agent, is ready.

    The service is SERVING once it has folded the log to its end, the agent while it
    takes notifications. Exit code 0: SERVING; 1: not; 4: nobody answers.
    """
    timeout_s = session.timeout_s or TIMEOUT_SECONDS
    if agent:
        where = session.config.agent.listen
        state = _agent_state(where, timeout_s)
    else:
        where = session.target
        state = asyncio.run(service_health(where, timeout_s=timeout_s, tls=session.tls))
    answer = {"state": state, "address": where}
    output.emit(session, answer, lambda told: [Text(f"{told['state']} {where}")])
    sys.exit({SERVING: OK, NOBODY: UNAVAILABLE}.get(state, FAILED))


def _agent_state(listen: str, timeout_s: float) -> str:
    host, port = split_address(listen)
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException):
        return NOBODY
    else:
        return SERVING if answer.status == http.client.OK else "NOT_SERVING"
    finally:
        connection.close()
