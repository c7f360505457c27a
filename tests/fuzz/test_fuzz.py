"""Every part that reads what others wrote, under hostile input: 100,000 in the gate.

With PLACEMENT_LONG=1 ten times as many. ``pytest -rP -m "" tests/fuzz`` shows how many
of each target's inputs were taken, and how many refused.
"""

import logging
import time
from collections.abc import Callable, Iterator

import pytest
import structlog

from tests.figures import tell
from tests.fuzz import calls, files, messages, notifications, registries, settings
from tests.fuzz.target import Target, tried
from tests.strategies import LONG

TARGETS: tuple[Callable[[], Target], ...] = (
    messages.codec,
    messages.blocks,
    messages.unread,
    messages.bundles,
    messages.packed,
    notifications.distribution,
    notifications.harbor,
    notifications.zot,
    notifications.ecr,
    notifications.cloudevents,
    notifications.machines,
    notifications.log_lines,
    notifications.moments,
    notifications.receiver,
    calls.grpc_requests,
    calls.json_requests,
    calls.json_events,
    calls.questions,
    calls.tokens,
    calls.names,
    settings.configuration,
    settings.catalogue,
    settings.prices,
    settings.environment,
    settings.policies,
    registries.answers,
    registries.manifests,
    registries.header_values,
    registries.router,
    files.spool,
)
TIMES = 10 if LONG else 1


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Refusals by the ten thousand are not worth a line each; what is worse is."""
    worse = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=worse)
    yield
    structlog.reset_defaults()


@pytest.mark.timeout(1_800 if LONG else 120)
@pytest.mark.parametrize("made", TARGETS, ids=lambda made: made().name)
async def test_hostile_input_is_taken_or_refused(made: Callable[[], Target]) -> None:
    """Nothing else is raised, nothing hangs, and no input takes memory without end."""
    target = made()
    count = target.count * TIMES

    began_s = time.process_time()

    counts = await tried(target, count)

    cpu_s = time.process_time() - began_s
    name = f"hostile input, {target.name}"
    tell(name, inputs=count, crashes=0, cpu_s=cpu_s, **counts)
    assert counts["refused"] >= target.refused_least * count
    assert counts["accepted"] >= target.accepted_least * count
