"""What the doctor makes of a service's word: versions, lag, divergence, leftovers."""

from pathlib import Path
from typing import Any

import pytest

from placement import __version__
from placement.core.fold import FOLD_VERSION
from placement.doctor import service
from placement.doctor.finding import Verdict
from placement.doctor.pages import Page
from placement.doctor.site import Site
from tests.doctoring import about, findings, site_of, worst

SOUND: dict[str, Any] = {
    "version": __version__,
    "fold_version": FOLD_VERSION,
    "pending_message_count": 0,
    "counts": {"set_aside_count": 0},
    "basis": {"state": "SERVING_STATE_LIVE", "sequence": 7, "staleness": "0.1s"},
}
METRICS = """\
# TYPE placement_events_refused_total counter
placement_events_refused_total{region="syd",why="region"} 3.0
placement_events_refused_total{region="syd",why="other"} 0.0
placement_events_refused_total{region="iad",why="other"} 1.0
"""


class Told(Site):
    """A site whose service says what a test wants."""

    info: dict[str, Any] = SOUND

    async def service(self) -> tuple[dict[str, Any], int, int]:
        """Return it."""
        return self.info, 0, 0


def told(directory: Path, settings: str = "", **more: object) -> Told:
    """Return a site whose service differs from a sound one in *more*."""
    plain = site_of(directory, settings)
    found = Told(plain.config, plain.target)
    found.info = {**SOUND, **more}
    return found


def patched(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let health be SERVING and each page be *text*."""

    async def healthy(*_args: object, **_more: object) -> str:
        return "SERVING"

    async def page(*_args: object, **_more: object) -> Page:
        return Page(200, text)

    monkeypatch.setattr(service, "service_health", healthy)
    monkeypatch.setattr(service, "page", page)


async def test_service_of_another_version_that_lags_and_differs_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of them, with where to read on."""
    patched(monkeypatch, "")
    sound = await findings(service.service, told(tmp_path))
    divergence = {"other_service": "b", "sequence": 5, "verdict": "UNDECIDED"}
    site = told(
        tmp_path,
        version="0.0.1",
        fold_version=FOLD_VERSION - 1,
        pending_message_count=20_000,
        divergence=divergence,
    )

    found = await findings(service.service, site)

    assert worst(sound) is Verdict.OK
    assert "docs/upgrading.md" in about(found, "the service is 0.0.1").remedy
    assert about(found, "20000 messages").verdict is Verdict.WARN
    assert about(found, "differs from b's").verdict is Verdict.FAIL


async def test_state_has_its_cause_from_the_health_page(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And a remedy of its own; rebuilding is none that anybody has to mend."""
    patched(monkeypatch, "X\ntrouble: the log was rewound\n")
    verdicts = {}
    for state in ("REBUILDING", "STALE", "EPOCH_BROKEN", "DEGRADED"):
        basis = {**SOUND["basis"], "state": f"SERVING_STATE_{state}"}
        site = told(tmp_path, 'metrics_listen = "127.0.0.1:1"\n', basis=basis)
        one = about(await findings(service.service, site), f" is {state} ")
        assert one.found.endswith(": the log was rewound")
        verdicts[state] = str(one.verdict)

    assert verdicts.pop("REBUILDING") == "WARN"
    assert set(verdicts.values()) == {"FAIL"}


async def test_what_was_set_aside_is_told_by_region_and_reason(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As far as the metrics tell; each with what to do about it."""
    patched(monkeypatch, METRICS)
    site = told(
        tmp_path, 'metrics_listen = "127.0.0.1:1"\n', counts={"set_aside_count": 4}
    )

    found = await findings(service.quarantine, site)

    assert about(found, "4 events").verdict is Verdict.WARN
    assert "agent.region" in about(found, "3 on region syd").remedy
    assert "placement tail" in about(found, "1 on region iad").remedy
    assert len(found) == 3
