"""How fresh an answer is: tokens, staleness, and what happens when neither is met."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import grpc
import pytest

from placement.api.reading import ANSWER_MARGIN_S, wait_budget_s
from placement.api.server import ServerSettings
from placement.runtime.publisher import Publisher
from placement.runtime.tokens import make_token
from placement.v1 import basis_pb2
from placement.v1 import placement_service_pb2 as pb
from tests.builders import IAD, LATEST, SECOND_NS, WEB, A, B, pushed, tagged
from tests.serving import EPOCH, Service, refused, serving

DEADLINE_MS = 400


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that waits for 150 ms and knows one tag."""
    settings = ServerSettings(default_deadline_ms=DEADLINE_MS)
    async with serving(settings) as found:
        await found.stage.happen(pushed("a", IAD, tag=LATEST))
        yield found


def resolving(service: Service, *, timeout: float | None = None, **wish: object) -> Any:  # noqa: ANN401 - gRPC's own
    """Ask what the tag points to, as fresh as *wish* says."""
    wanted = basis_pb2.Consistency(**wish)  # type: ignore[arg-type]  # one of its fields
    request = pb.ResolveReferenceRequest(
        repository=WEB, reference=LATEST, consistency=wanted
    )
    return service.placement.ResolveReference(request, timeout=timeout)


async def test_token_that_is_reached_is_answered_at_once(service: Service) -> None:
    """What is folded already is fresh enough."""
    token = service.stage.view.basis().token

    answer = await resolving(service, token=token)

    assert answer.basis.state == basis_pb2.SERVING_STATE_LIVE


async def test_token_is_waited_for_until_a_fold_reaches_it(service: Service) -> None:
    """A tag that was moved and asked for at once resolves to the new digest."""
    publisher = Publisher(service.stage.log, service.stage.view)
    moved = tagged(LATEST, "b", IAD)
    published = await publisher.publish([moved])
    asked = resolving(service, token=published.token)
    waiting = asyncio.ensure_future(asked)
    await asyncio.sleep(0.03)
    assert not waiting.done()

    await service.stage.fold_all()
    answer = await waiting

    assert answer.content.digest == B
    assert answer.basis.sequence == published.sequence == 2
    assert answer.basis.state == basis_pb2.SERVING_STATE_LIVE


async def test_token_not_reached_is_answered_from_older_state_and_says_so(
    service: Service,
) -> None:
    """Advice that may be old is better than none, once the deadline is there."""
    began_s = monotonic()

    answer = await resolving(service, token=make_token(EPOCH, 9))

    assert answer.content.digest == A
    assert answer.basis.state == basis_pb2.SERVING_STATE_STALE
    assert DEADLINE_MS / 1_000 <= monotonic() - began_s < 2


async def test_token_not_reached_fails_if_the_caller_wants_that(
    service: Service,
) -> None:
    """UNAVAILABLE, and when to come again."""
    refusal = await refused(resolving(service, token=make_token(EPOCH, 9), fail=True))

    assert refusal.code is grpc.StatusCode.UNAVAILABLE
    assert refusal.info.reason == "STATE_BEHIND"
    assert refusal.info.metadata["sequence"] == "1"
    assert refusal.retry_ms == 100


@pytest.mark.parametrize("fail", [False, True])
async def test_token_of_another_epoch_is_never_waited_for(
    service: Service, *, fail: bool
) -> None:
    """Its sequence means nothing here, however small it is."""
    began_s = monotonic()
    asked = resolving(service, token=make_token("another", 1), fail=fail)

    if fail:
        assert (await refused(asked)).info.reason == "STATE_BEHIND"
    else:
        answer = await asked
        assert answer.basis.state == basis_pb2.SERVING_STATE_STALE

    assert monotonic() - began_s < DEADLINE_MS / 1_000


@pytest.mark.parametrize("token", ["x", "v1..1", "v1.memory-1.", "v2.a.1", "v1.a.-1"])
async def test_token_of_another_make_is_an_input_error(
    service: Service, token: str
) -> None:
    """It names the field, though the whole request is otherwise good."""
    refusal = await refused(resolving(service, token=token))

    assert refusal.info.reason == "TOKEN_INVALID"
    assert refusal.field == "consistency.token"


async def test_empty_token_asks_for_nothing(service: Service) -> None:
    """As PublishEvents gives it when it stored nothing."""
    answer = await resolving(service, token="", fail=True)

    assert answer.basis.state == basis_pb2.SERVING_STATE_LIVE


async def test_callers_deadline_cuts_the_wait_short() -> None:
    """The STALE answer still reaches the caller within its own time."""
    async with serving() as slow:
        await slow.stage.happen(pushed("a", IAD, tag=LATEST))

        answer = await resolving(slow, token=make_token(EPOCH, 9), timeout=0.15)

    assert answer.basis.state == basis_pb2.SERVING_STATE_STALE


def test_wait_ends_before_the_callers_deadline_does() -> None:
    """A margin is kept; nobody waits longer than the service's own deadline."""
    assert wait_budget_s(0.25, None) == 0.25
    assert wait_budget_s(0.25, 60.0) == 0.25
    assert wait_budget_s(0.25, 0.1) == pytest.approx(0.1 - ANSWER_MARGIN_S)
    assert wait_budget_s(0.25, 0.001) == 0.0


async def test_staleness_within_bounds_is_fresh_enough(service: Service) -> None:
    """The log was heard two seconds ago; three are allowed."""
    service.stage.now_ns += 2 * SECOND_NS

    answer = await resolving(service, max_staleness={"seconds": 3}, fail=True)

    assert answer.basis.state == basis_pb2.SERVING_STATE_LIVE
    assert answer.basis.staleness.seconds == 2


@pytest.mark.parametrize("fail", [False, True])
async def test_staleness_beyond_bounds_has_the_same_two_outcomes(
    service: Service, *, fail: bool
) -> None:
    """Marked STALE, or STATE_BEHIND."""
    service.stage.now_ns += 2 * SECOND_NS
    asked = resolving(service, max_staleness={"seconds": 1}, fail=fail)

    if fail:
        assert (await refused(asked)).info.reason == "STATE_BEHIND"
    else:
        answer = await asked
        assert answer.basis.state == basis_pb2.SERVING_STATE_STALE


async def test_staleness_that_is_no_duration_is_an_input_error(
    service: Service,
) -> None:
    """Before now there is nothing to be fresh."""
    refusal = await refused(resolving(service, max_staleness={"seconds": -1}))

    assert refusal.info.reason == "TIME_INVALID"
    assert refusal.field == "consistency.max_staleness"


async def test_cancelled_wait_leaves_nobody_waiting(service: Service) -> None:
    """A caller that goes away frees its place at once."""
    asked = resolving(service, token=make_token(EPOCH, 9))
    waiting = asyncio.ensure_future(asked)
    await asyncio.sleep(0.03)

    waiting.cancel()
    await asyncio.sleep(0.03)

    assert not service.stage.view._waiters  # noqa: SLF001 - nothing else shows a leak


async def test_wait_is_not_ended_by_another_log(service: Service) -> None:
    """A log made anew may be longer, and still hold nothing of what was waited for."""
    asked = resolving(service, token=make_token(EPOCH, 2), fail=True)
    waiting = asyncio.ensure_future(refused(asked))
    await asyncio.sleep(0.03)

    state = service.stage.view.state
    state.sequence = 5
    service.stage.view.replace(state, "memory-2", restored=False)
    refusal = await waiting

    assert refusal.info.reason == "STATE_BEHIND"
