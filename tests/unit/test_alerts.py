"""The shipped alerts: over metrics that there are, with a runbook each, and tried."""

import json
import re
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from shutil import which

import pytest
from click import Command, Group

from placement.api.reasons import REASONS
from placement.cli.main import load_command, main
from placement.runtime.view import View
from placement.spooling import SpoolFigures
from tests.agent_figures import whole_agent
from tests.builders import START_NS
from tests.named_tests import ROOT
from tests.unit.test_metrics import measured, scraped

RULES = ROOT / "tools" / "deploy" / "prometheus" / "alerts.yml"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
PARTS = ("**Means.**", "**Impact.**", "**Look at.**", "**Do.**", "**Over when.**")
SELECTOR = re.compile(r"\b(placement_\w+)(?:\{([^}]*)\})?")
EQUALS = re.compile(r'(\w+)(!?=)"([^"]*)"')
OF_PROMETHEUS = {"up", "process_start_time_seconds"}


@dataclass(frozen=True)
class Case:
    """Series, a minute at which the alert is quiet, and one at which it fires."""

    series: dict[str, str]
    quiet: int
    fires: int
    summary: str
    labels: dict[str, str] = field(default_factory=dict)


A = {"instance": "a"}
SERVICE = {"instance": "a", "job": "placement"}
AGENT = {"instance": "a", "job": "placement-agent"}
EXPIRY = 'placement_certificate_expiry_timestamp_seconds{role="server",instance="a"}'
REFUSED = 'placement_calls_refused_total{reason="deadline",instance="a"}'
UP, STARTED = 'up{job="placement",instance="a"}', "process_start_time_seconds"


def counted(metric: str, labels: str, more: int = 1) -> dict[str, str]:
    """Return a counter that rises by *more* at minute 6."""
    joined = ",".join(filter(None, ('instance="a"', labels)))
    return {f"{metric}{{{joined}}}": f"7+0x5 {7 + more}+0x20"}


def serving(state: str) -> dict[str, str]:
    """Return the serving state that is taken at minute 4."""
    return {f'placement_serving_state{{state="{state}",instance="a"}}': "0+0x3 1+0x90"}


RANK = 'method="PlacementService/RankSources",code="OK",instance="a"'

CASES = {
    "PlacementDown": Case(
        {UP: "1+0x5 0+0x10"}, 7, 9, "a does not answer its metrics", SERVICE
    ),
    "PlacementAllDown": Case(
        {UP: "1+0x5 0+0x10", UP.replace("a", "b"): "0+0x20"},
        5,
        8,
        "No placement service answers",
    ),
    "PlacementRestarting": Case(
        {f'{STARTED}{{job="placement",instance="a"}}': "1+0x9 2 3 4+0x20"},
        11,
        12,
        "a started 3 times in half an hour",
        SERVICE,
    ),
    "PlacementRebuilding": Case(
        serving("rebuilding"),
        18,
        20,
        "a has folded its log for 15 minutes and does not serve yet",
        A | {"state": "rebuilding"},
    ),
    "PlacementRebuildStuck": Case(
        {
            'placement_rebuild_running{instance="a"}': "1+0x90",
            'placement_rebuild_sequence{instance="a"}': "0+100x30 3000+0x60",
        },
        50,
        65,
        "a folds its log again and comes no further",
        A,
    ),
    "PlacementStale": Case(
        serving("stale"),
        5,
        7,
        "a cannot reach the log: its answers grow old",
        A | {"state": "stale"},
    ),
    "PlacementEpochBroken": Case(
        serving("epoch_broken"),
        3,
        4,
        "a found its log rewound or replaced",
        A | {"state": "epoch_broken"},
    ),
    "PlacementDegraded": Case(
        serving("degraded"),
        4,
        6,
        "a cannot save its checkpoint",
        A | {"state": "degraded"},
    ),
    "PlacementFoldLag": Case(
        {
            'placement_log_end_sequence{instance="a"}': "0+2000x40",
            'placement_fold_sequence{instance="a"}': "0+0x40",
        },
        14,
        17,
        "a is 34000 messages behind its log",
        A,
    ),
    "PlacementEventsSetAside": Case(
        counted("placement_events_total", 'outcome="set_aside"')
        | counted("placement_events_total", 'outcome="folded"', 90),
        5,
        6,
        "a set 1 events aside that it cannot fold",
        A | {"outcome": "set_aside"},
    ),
    "PlacementCheckpointFailing": Case(
        counted("placement_checkpoint_saves_total", 'outcome="unwritable"')
        | counted("placement_checkpoint_saves_total", 'outcome="written"', 90),
        5,
        6,
        "a: saves of the checkpoint end as unwritable",
        A | {"outcome": "unwritable"},
    ),
    "PlacementCheckpointOld": Case(
        {
            'placement_checkpoint_timestamp_seconds{instance="a"}': "0+0x90",
            'placement_checkpoint_sequence{instance="a"}': "5+0x90",
            'placement_fold_sequence{instance="a"}': "6+0x90",
            'placement_checkpoint_timestamp_seconds{instance="b"}': "0+0x90",
            'placement_checkpoint_sequence{instance="b"}': "6+0x90",
            'placement_fold_sequence{instance="b"}': "6+0x90",
        },
        64,
        67,
        "a folded more and saved none of it for an hour",
        A,
    ),
    "PlacementCheckpointDamaged": Case(
        counted("placement_checkpoint_copies_total", 'outcome="fallen_back_to"')
        | counted("placement_checkpoint_copies_total", 'outcome="made"'),
        5,
        6,
        "a found its checkpoint damaged, and used an older one or none",
        A | {"outcome": "fallen_back_to"},
    ),
    "PlacementVersionsDiffer": Case(
        {
            f"placement_build_info{labels}": "1+0x200"
            for labels in (
                '{version="1",fold_version="3",instance="a"}',
                '{version="2",fold_version="3",instance="b"}',
                '{version="3",fold_version="4",instance="c"}',
            )
        },
        119,
        121,
        "Services fold by 2 different versions",
    ),
    "PlacementCertificateExpiresSoon": Case(
        {EXPIRY: "2595600+0x400"},
        50,
        70,
        "a: the server certificate runs out in 29d 23h 50m 0s",
        A | {"role": "server"},
    ),
    "PlacementCertificateExpiresNow": Case(
        {EXPIRY: "608400+0x400"},
        50,
        70,
        "a: the server certificate runs out in 6d 23h 50m 0s",
        A | {"role": "server"},
    ),
    "PlacementCertificateUnusable": Case(
        counted("placement_certificate_reloads_total", 'outcome="failed"'),
        5,
        6,
        "a cannot use new certificate files, and keeps the old ones",
        A | {"outcome": "failed"},
    ),
    "PlacementCrossRegionDenied": Case(
        counted("placement_cross_region_denied_total", 'region="iad"'),
        5,
        6,
        "a: a certificate of iad spoke of another region",
        A | {"region": "iad"},
    ),
    "PlacementRegionSpoofed": Case(
        counted("placement_events_refused_total", 'region="iad",why="region"'),
        5,
        6,
        "a: events on iad's subject claim another region",
        A | {"region": "iad", "why": "region"},
    ),
    "PlacementOverloaded": Case(
        {
            'placement_calls_total{instance="a"}': "0+600x40",
            REFUSED: "0+0x10 0+60x30",
        },
        10,
        25,
        "a sends 10% of its calls away",
        A,
    ),
    "PlacementDivergent": Case(
        {'placement_divergence_found{instance="a"}': "0+0x3 1+0x9"},
        3,
        4,
        "a folded the same log to another state than others",
        A,
    ),
    "PlacementAnswersFailing": Case(
        counted(
            "placement_rpc_seconds_count",
            'method="ReportService/GetReport",code="INTERNAL"',
        ),
        5,
        6,
        "a: calls of ReportService/GetReport failed by a fault of the service",
        A | {"method": "ReportService/GetReport"},
    ),
    "PlacementAnswersSlow": Case(
        {
            f'placement_rpc_seconds_bucket{{le="0.05",{RANK}}}': "0+0x40",
            f'placement_rpc_seconds_bucket{{le="0.1",{RANK}}}': "0+60x40",
            f'placement_rpc_seconds_bucket{{le="+Inf",{RANK}}}': "0+60x40",
        },
        8,
        20,
        "a: one in a hundred RankSources takes 99.5ms",
        A,
    ),
    "PlacementDecisionsFailing": Case(
        {'placement_decisions{status="failed",instance="a"}': "4+0x30 4+1x60"},
        30,
        60,
        "29 copies failed within an hour",
    ),
    "PlacementCopiesNotCarriedOut": Case(
        {
            'placement_decisions_open{region="syd",instance="a"}': "3+0x200",
            'placement_decisions_open{region="lhr",instance="a"}': "0+0x200",
            'placement_decisions{status="completed",instance="a"}': "7+0x200",
        },
        59,
        62,
        "3 copies wait for syd, and nothing is carried out",
        {"region": "syd"},
    ),
    "PlacementBudgetExhausted": Case(
        {
            'placement_planner_put_off{instance="a"}': "4+0x200",
            'placement_decisions{status="deferred",instance="a"}': "0+1x200",
        },
        59,
        62,
        "4 copies wait for a budget",
    ),
    "PlacementPlannerStopped": Case(
        {'placement_planner_rounds_total{instance="a"}': "0+1x9 9+0x60"}
        | {'placement_serving_state{state="live",instance="a"}': "1+0x90"},
        27,
        32,
        "Services are live and none of them plans",
    ),
    "PlacementInventoryOverdue": Case(
        {
            'placement_inventory_timestamp_seconds{region="syd"}': "60+0x500",
            'placement_inventory_timestamp_seconds{region="lhr"}': "0+0x500",
        },
        390,
        395,
        "syd was last inventoried 6h 34m 0s ago",
        {"region": "syd"},
    ),
    "PlacementCopiesWasted": Case(
        {
            'placement_copies{outcome="wasted",instance="a"}': "60+0x100",
            'placement_copies{outcome="paid_off",instance="a"}': "30+0x100",
            'placement_copies{outcome="late",instance="a"}': "10+0x100",
        },
        59,
        62,
        "60% of the last seven days' copies were used by nobody",
    ),
    "PlacementEstimatesOff": Case(
        {
            'placement_estimates_scored_total{region="syd"}': "0+2x200",
            'placement_estimates_held_total{region="syd",quantile="0.9"}': "0+1x200",
        },
        60,
        100,
        "Only 50% of the starts in syd were as quick as nine in ten should be",
        {"region": "syd"},
    ),
    "PlacementAgentDown": Case(
        {'up{job="placement-agent",instance="a"}': "1+0x5 0+0x10"},
        10,
        12,
        "The agent a does not answer",
        AGENT,
    ),
    "PlacementSpoolFilling": Case(
        {'placement_spool_oldest_waiting_seconds{instance="a"}': "0+60x30"},
        10,
        12,
        "a has sent nothing for 12m 0s",
        A,
    ),
    "PlacementSpoolRefusing": Case(
        counted("placement_agent_requests_total", 'outcome="unspooled"')
        | counted("placement_agent_requests_total", 'outcome="spooled"', 90),
        5,
        6,
        "a refuses what registries send: its spool is full or broken",
        A | {"outcome": "unspooled"},
    ),
    "PlacementSpoolSetAside": Case(
        counted("placement_spool_set_aside_total", ""),
        5,
        6,
        "a set 1 bodies aside that can never be sent",
        A,
    ),
    "PlacementAgentRejected": Case(
        counted("placement_agent_events_total", 'outcome="rejected"'),
        5,
        6,
        "1 events of a were rejected",
        A | {"outcome": "rejected"},
    ),
    "PlacementAgentTurnsAway": Case(
        counted("placement_agent_requests_total", 'outcome="refused"', 20),
        5,
        6,
        "a turned 22 requests away",  # Prometheus extrapolates to the whole range
        A | {"outcome": "refused"},
    ),
    "PlacementReplicaStale": Case(
        {'placement_replica_staleness_seconds{instance="a"}': "0+30x30"},
        7,
        10,
        "a has not heard of the service for 5m 0s",
        A,
    ),
    "PlacementContentCorrupted": Case(
        counted("placement_router_troubles_total", 'trouble="corrupted"'),
        5,
        6,
        "a was given other bytes than those of the digest it asked for",
        A | {"trouble": "corrupted"},
    ),
}
"""For each alert what it is tried on; interval and evaluation are a minute."""


def rules() -> dict[str, str]:
    """Return each alert with the lines of its rule."""
    parts = re.split(r"^ +- alert: (\w+).*$", RULES.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def expression(rule: str) -> str:
    """Return what a rule computes."""
    return re.split(r"^ +(?:for|labels):", rule, maxsplit=1, flags=re.MULTILINE)[0]


def sections() -> dict[str, str]:
    """Return each runbook by its heading."""
    parts = re.split(r"^## (Placement\w+)$", RUNBOOKS.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@cache
def known_samples() -> dict[str, list[dict[str, str]]]:
    """Return the labels of all samples that a service and an agent expose, by name."""
    service, _ = measured(View(lambda: START_NS))
    agent = whole_agent(SpoolFigures())
    found: dict[str, list[dict[str, str]]] = {}
    for registry in (service, agent):
        for family in scraped(registry):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample.labels)
    return found


def test_every_alert_has_its_runbook_and_back() -> None:
    """In the same order, so that who reads the one finds the other."""
    assert list(sections()) == list(rules())


@pytest.mark.parametrize("name", rules())
def test_runbook_says_what_one_needs_at_night(name: str) -> None:
    """Meaning, impact, where to look, what to do, and when it is over."""
    section = sections()[name]

    assert [part for part in PARTS if part not in section] == []
    assert sorted(PARTS, key=section.index) == list(PARTS)
    assert f"runbook: docs/runbooks.md#{name.lower()}\n" in rules()[name]
    assert re.search(r"severity: (page|ticket) ", rules()[name])


@pytest.mark.parametrize("name", rules())
def test_rule_asks_for_samples_that_exist(name: str) -> None:
    """Every metric is one of ours, with labels and values that it really has."""
    text = expression(rules()[name])
    asked = SELECTOR.findall(text)
    known = known_samples()

    assert asked or any(metric in text for metric in OF_PROMETHEUS)
    for metric, selector in asked:
        assert metric in known, metric
        for label, sign, value in EQUALS.findall(selector):
            values = {labels.get(label) for labels in known[metric]}
            assert value in values, f"{metric}: {label}{sign}{value}"


def test_runbooks_name_commands_and_reasons_that_exist() -> None:
    """At night nobody wants to be told that there is no such option."""
    text = RUNBOOKS.read_text()
    context = main.make_context("placement", ["status"])
    named = re.findall(r"`placement ([a-z][^`]*)`", text)

    for words in map(str.split, named):
        command: Command | None = load_command(words.pop(0))
        while isinstance(command, Group) and words and words[0].islower():
            command = command.get_command(context, words.pop(0))
        assert command is not None, words
        parameters = command.get_params(context)
        options = {option for each in parameters for option in each.opts}
        assert {word for word in words if word.startswith("--")} <= options
    reasons = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", text))
    assert reasons <= set(REASONS) | {"CONTENT_CONTRADICTED"}
    assert len(named) > 10


def test_every_alert_is_tried() -> None:
    """A rule that was never seen to fire is a hope."""
    assert list(CASES) == list(rules())


def test_prometheus_fires_each_alert_when_it_should(tmp_path: Path) -> None:
    """``promtool test rules``: quiet a little before, firing with its words after."""
    promtool = which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    file = tmp_path / "tests.yml"
    file.write_text(json.dumps(promtool_tests()))  # JSON is YAML

    checked = told(promtool, "check", "rules", str(RULES))
    tried = told(promtool, "test", "rules", str(file))

    assert f"{len(rules())} rules found" in checked
    assert "SUCCESS" in tried


def told(*command: str) -> str:
    """Return what a command says; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def promtool_tests() -> dict[str, object]:
    """Return all cases as promtool reads them."""
    return {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [promtool_test(name, case) for name, case in CASES.items()],
    }


def promtool_test(name: str, case: Case) -> dict[str, object]:
    """Return one case as promtool reads it."""
    found = re.search(r"severity: (\w+)", rules()[name])
    assert found
    expected = {
        "exp_labels": case.labels | {"severity": found[1]},
        "exp_annotations": {
            "summary": case.summary,
            "runbook": f"docs/runbooks.md#{name.lower()}",
        },
    }
    return {
        "interval": "1m",
        "input_series": [
            {"series": series, "values": values}
            for series, values in case.series.items()
        ],
        "alert_rule_test": [
            {"eval_time": f"{case.quiet}m", "alertname": name, "exp_alerts": []},
            {
                "eval_time": f"{case.fires}m",
                "alertname": name,
                "exp_alerts": [expected],
            },
        ],
    }
