"""GetReport over a real connection, asked by stub, by client and by command."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from click.testing import CliRunner, Result

from placement.api.listener import ServerSettings
from placement.cli.main import main
from placement.client import PlacementClient
from placement.core.errors import InputError
from placement.core.event import WithholdReason
from placement.core.reporting.lift import PAIRS_MIN
from placement.core.reporting.periods import iso_week
from placement.core.reporting.prices import Prices
from placement.v1 import basis_pb2, replication_service_pb2
from placement.v1 import report_service_pb2 as pb
from placement.v1.report_service_pb2_grpc import ReportServiceStub
from placement.wire.fields import nanoseconds
from tests.builders import API, DAY_NS, FRA, SECOND_NS, START_NS, SYD, WEB
from tests.decided import GIGABYTE, SAVED_S, Decided
from tests.real_service import RealService, running
from tests.serving import Service, refused, serving

SETTINGS: Final = ServerSettings(prices=Prices("EUR", 0.02))


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Serve a log that is empty at first."""
    async with serving(SETTINGS) as found:
        yield found


async def happen(service: Service, log: Decided) -> None:
    """Let a log happen, a second apart."""
    await service.stage.happen(*(event for _, event in log.told))


def measurable(*, wait_s: float = 10.0) -> Decided:
    """Return a log of enough pairs, of which a third was withheld and waited."""
    log = Decided()
    for number in range(3 * PAIRS_MIN):
        name = f"v{number}"
        log.release(name)
        if number % 3 == 0:
            log.withhold(name)
            log.start(name, wait_s=wait_s + number % 4 / 10)
        else:
            log.complete(log.plan(name)).start(name, wait_s=0.5 + number % 2 / 10)
    return log


async def ask(service: Service, **fields: object) -> pb.GetReportResponse:
    """Return the report of a request with these *fields*."""
    request = pb.GetReportRequest(**fields)  # type: ignore[arg-type]  # each its own
    stub: Any = ReportServiceStub(service.channel)
    response = await stub.GetReport(request)
    assert isinstance(response, pb.GetReportResponse)
    return response


async def test_report_tells_what_decisions_came_to(service: Service) -> None:
    """Of the last seven days, by the configured prices and the policy in force."""
    log = Decided().release("a").release("b", API)
    log.complete(log.plan("a")).start("a").start("a")
    log.plan("b", FRA, API)
    log.start("b", FRA, API, wait_s=9)
    await happen(service, log)

    answer = await ask(service, grouping=pb.REPORT_GROUPING_APP)

    copies = answer.total.copies
    assert (copies.decided_count, copies.open_count, copies.used_count) == (2, 1, 1)
    assert copies.moved_bytes == GIGABYTE
    assert copies.transfer_cost == pytest.approx(0.02)
    assert nanoseconds(copies.modelled_saving) == 2 * SAVED_S * 1e9
    assert [group.key for group in answer.groups] == [API, WEB]
    (late,) = answer.groups[0].starts.outcomes
    assert late.outcome == replication_service_pb2.START_OUTCOME_PREDICTED_LATE
    assert (answer.currency, answer.policy) == ("EUR", "default")
    assert nanoseconds(answer.end_time) - nanoseconds(answer.start_time) == 7 * DAY_NS
    assert nanoseconds(answer.start_time) % DAY_NS == 0
    assert answer.basis.state == basis_pb2.SERVING_STATE_LIVE


async def test_client_asks_for_a_period(service: Service) -> None:
    """In nanoseconds; the days are whole, and what happened before is left out."""
    log = Decided().release("a")
    log.plan("a")
    await happen(service, log)

    async with PlacementClient(service.target) as client:
        then = await client.get_report(START_NS, START_NS + 1, by="week")
        later = await client.get_report(START_NS + DAY_NS, START_NS + 2 * DAY_NS)
        with pytest.raises(InputError, match="by: 'month'"):
            await client.get_report(by="month")

    assert then.total.copies.decided_count == 1
    assert [group.key for group in then.groups] == [iso_week(START_NS // DAY_NS)]
    assert later.total.copies.decided_count == 0
    assert len(later.groups) == 0


async def test_period_that_ends_before_it_begins_is_refused(service: Service) -> None:
    """The error names the field."""
    request = pb.GetReportRequest()
    request.start_time.FromNanoseconds(START_NS + DAY_NS)
    stub: Any = ReportServiceStub(service.channel)

    refusal = await refused(stub.GetReport(request))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.info.reason, refusal.field) == ("TIME_INVALID", "start_time")


async def said(service: Service, *arguments: str) -> Result:
    """Return what the command says, of the year up to the log's own end."""
    command = ["report", *arguments, "--server", service.target]
    return await asyncio.to_thread(CliRunner().invoke, main, command)


def words(result: Result) -> str:
    """Return what was printed, however its lines were broken."""
    return " ".join(result.stdout.split())


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command's clock be that of the logs, which are of their own time."""
    monkeypatch.setattr("placement.cli.report.now_ns", lambda: START_NS)


@pytest.mark.usefixtures("now")
async def test_command_says_first_what_was_saved(service: Service) -> None:
    """With its interval, against how many withheld, and what it cost."""
    await happen(service, measurable())

    first = words(await said(service))

    assert first.startswith("In 7 days copies saved ")
    assert "[95 %: " in first
    assert "of waiting, measured against 33 % withheld; 40.0 GB moved, 0.80 EUR" in (
        first
    )
    assert "none of it for nothing." in first


@pytest.mark.usefixtures("now")
async def test_command_says_when_nothing_is_shown(service: Service) -> None:
    """An interval around zero is no saving, and no interval is no figure."""
    await happen(service, Decided().release("a"))
    nothing = (await said(service)).stdout
    await happen(service, _few())
    few = words(await said(service))

    assert nothing.startswith("In 7 days nothing was decided.")
    assert few.startswith("In 7 days it cannot be measured what copies saved: 1 of 2 ")
    assert "it takes 20" in few
    assert "As modelled they saved 20 s" in few


def _few() -> Decided:
    log = Decided().release("b").release("c")
    log.withhold("b")
    log.complete(log.plan("c")).start("c")
    return log


@pytest.mark.usefixtures("now")
async def test_command_does_not_take_chance_for_a_saving(service: Service) -> None:
    """Withheld pairs waited no longer than treated ones."""
    await happen(service, measurable(wait_s=0.4))

    first = words(await said(service))

    assert "it is not shown that copies saved anything" in first
    assert "which may as well be nothing" in first


@pytest.mark.usefixtures("now")
async def test_command_says_what_would_have_been(service: Service) -> None:
    """After a week of observing, with what it would have cost."""
    log = Decided().release("a").release("b")
    log.withhold("a", cause=WithholdReason.OBSERVE_ONLY)
    await happen(service, log)
    service.stage.now_ns += 60 * SECOND_NS
    await happen(service, Decided().start("a", wait_s=25))

    first = words(await said(service))

    assert first.startswith("In 7 days 1 copy was only observed. If made, 20 s of ")
    assert "waiting would have been saved, as modelled, 1 of 1 in time" in first
    assert "1.0 GB moved, 0.02 EUR" in first


@pytest.mark.usefixtures("now")
async def test_command_shows_tables_and_json(service: Service) -> None:
    """Copies, starts and groups; scripts get every figure."""
    await happen(service, measurable())

    shown = (await said(service, "--by", "organization")).stdout
    told = json.loads((await said(service, "--by", "region", "-o", "json")).stdout)

    assert "control group" in shown
    assert "for nothing" in shown
    assert "acme" in shown
    assert [group["key"] for group in told["groups"]] == [SYD]
    assert told["total"]["measured"]["withheld_count"] == PAIRS_MIN
    assert told["total"]["copies"]["moved_bytes"] == 2 * PAIRS_MIN * GIGABYTE


def test_prices_of_the_configuration_are_the_report_s(tmp_path: Path) -> None:
    """From the file of the real service to the command."""
    prices = tmp_path / "prices.toml"
    prices.write_text('currency = "CHF"\n[storage]\nsyd = 1\n')
    settings = {"PLACEMENT_PRICES_FILE": str(prices)}

    with running(RealService(tmp_path / "service", settings=settings)) as found:
        command = ["report", "--since", "4w", "--server", found.target]
        shown = CliRunner().invoke(main, command, catch_exceptions=False)
        told = CliRunner().invoke(main, [*command, "-o", "json"])

    assert shown.stdout.startswith("In 28 days nothing was decided.")
    answer = json.loads(told.stdout)
    assert (answer["currency"], answer["groups"]) == ("CHF", [])
    assert answer["basis"]["state"] == "SERVING_STATE_LIVE"


@pytest.mark.parametrize("since", ["7", "0d", "53w", "-1d", "1h", ""])
def test_period_needs_its_unit(since: str) -> None:
    """The error shows what would be right."""
    result = CliRunner().invoke(main, ["report", "--since", since])

    assert result.exit_code == 2
    assert "such as 7d or 4w" in result.stderr
