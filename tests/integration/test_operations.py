"""OperationsService over a real connection: orders become facts, once, and hold."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest

from placement.api.server import ServerSettings
from placement.client import Operation, PlacementClient
from placement.core.deciding.ruling import SHIPPED, parse_ruling
from placement.core.errors import InputError
from placement.core.event import Event, Recorded, ReplicationPaused
from placement.ports import LogUnavailableError
from placement.runtime.tokens import parse_token
from placement.v1 import basis_pb2, events_pb2
from placement.v1 import operations_service_pb2 as pb
from placement.wire.events import decode_event, decode_message
from placement.wire.fields import encode_time
from tests.builders import (
    API,
    FRA,
    HOUR_NS,
    IAD,
    LATEST,
    NOWHERE,
    SECOND_NS,
    SYD,
    WEB,
    A,
    B,
    pushed,
)
from tests.serving import Refusal, Service, refused, serving

DRAINING = events_pb2.REGION_STATE_DRAINING
IN_FORCE, REPLACED, EXPIRED = (
    pb.POLICY_STANDING_IN_FORCE,
    pb.POLICY_STANDING_REPLACED,
    pb.POLICY_STANDING_EXPIRED,
)
POLICY = 'name = "careful"\n[limits]\nlink_bytes_per_hour = 5_000_000\n'
RESIDENCY = '[[residency]]\nrepositories = ["acme/*"]\nallow = ["{name}"]\n'


@asynccontextmanager
async def folding(service: Service) -> AsyncIterator[None]:
    """Fold what is stored within the block as it comes, as a projector does."""

    async def fold() -> None:
        while True:
            with suppress(LogUnavailableError):
                await service.stage.fold_all()
            await asyncio.sleep(0.002)

    task = asyncio.create_task(fold())
    try:
        yield
    finally:
        task.cancel()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that folds what it is told; Ashburn has two images of one app."""
    async with serving() as found, folding(found):
        await found.stage.happen(
            pushed("a", IAD, tag=LATEST), pushed("b", IAD), pushed("c", FRA, API)
        )
        yield found


def by(
    actor: str = "ann",
    reason: str = "moving house",
    *,
    until_ns: int = 0,
    request_id: str = "",
) -> events_pb2.Operation:
    """Return who gives an order."""
    proto = events_pb2.Operation(actor=actor, reason=reason, request_id=request_id)
    if until_ns:
        encode_time(until_ns, proto.expire_time)
    return proto


async def pause(
    service: Service, *regions: str, given: events_pb2.Operation | None = None
) -> pb.PauseReplicationResponse:
    """Stop new copies into *regions*."""
    request = pb.PauseReplicationRequest(regions=regions, operation=given or by())
    response = await service.operations.PauseReplication(request)
    assert isinstance(response, pb.PauseReplicationResponse)
    return response


async def orders(service: Service, **fields: object) -> pb.ListOrdersResponse:
    """Return the orders in force."""
    request = pb.ListOrdersRequest(**fields)  # type: ignore[arg-type]  # each is of its own kind
    response = await service.operations.ListOrders(request)
    assert isinstance(response, pb.ListOrdersResponse)
    return response


async def pauses(service: Service) -> list[tuple[str, list[str]]]:
    """Return where no copies are made, and where they are all the same."""
    listed = await orders(service)
    return [(one.region, list(one.excepted_regions)) for one in listed.pauses]


async def stored(service: Service) -> list[tuple[str, Event]]:
    """Return the orders in the log, with the subjects of their messages."""
    found, sequence = [], 1
    while message := await service.stage.log.message(sequence):
        for item in decode_message(message).items:
            assert isinstance(item, Recorded)
            if item.event.event_id.startswith("order-"):
                found.append((message.subject, item.event))
        sequence = message.sequence + 1
    return found


async def test_pause_is_a_fact_with_actor_reason_and_expiry(service: Service) -> None:
    """On the region's subject of decisions; the answer has folded it."""
    until_ns = service.stage.now_ns + HOUR_NS
    given = by("ann", "moving house", until_ns=until_ns, request_id="r1")

    answer = await pause(service, SYD, given=given)

    ((subject, event),) = await stored(service)
    assert subject == "placement.decisions.v1.syd.replication_paused"
    assert (event.event_id, event.region) == (answer.event_id, SYD)
    assert isinstance(event.fact, ReplicationPaused)
    operation = event.fact.operation
    assert event.fact.target_regions == (SYD,)
    assert (operation.actor, operation.reason) == ("ann", "moving house")
    assert (operation.expire_time_ns, operation.request_id) == (until_ns, "r1")
    assert answer.basis.state == basis_pb2.SERVING_STATE_LIVE
    assert answer.basis.sequence >= parse_token(answer.token).sequence > 0


async def test_pause_is_listed_until_it_expires(service: Service) -> None:
    """By the time of the answer."""
    given_ns = service.stage.now_ns
    await pause(service, SYD, given=by(until_ns=given_ns + HOUR_NS))

    (listed,) = (await orders(service)).pauses
    service.stage.now_ns = given_ns + HOUR_NS - 1
    just_before = await pauses(service)
    service.stage.now_ns = given_ns + HOUR_NS
    after = await pauses(service)

    assert (listed.region, list(listed.excepted_regions)) == (SYD, [])
    assert abs(listed.order_time.ToNanoseconds() - given_ns) < SECOND_NS
    assert listed.expire_time.ToNanoseconds() == given_ns + HOUR_NS
    assert (just_before, after) == ([(SYD, [])], [])


async def test_same_request_twice_is_one_order(service: Service) -> None:
    """The same event, a token that is not before the first one's, one fact folded."""
    first = await pause(service, SYD, FRA, given=by(request_id="r1"))
    folded = service.stage.view.state.count("folded")

    service.stage.now_ns += HOUR_NS
    second = await pause(service, FRA, SYD, given=by(request_id="r1"))

    tokens = [parse_token(answer.token).sequence for answer in (first, second)]
    assert second.event_id == first.event_id
    assert tokens[0] <= tokens[1]
    assert len(await stored(service)) == 1
    await service.stage.fold_all()
    assert service.stage.view.state.count("folded") == folded


async def test_same_request_twice_is_one_order_before_it_is_folded() -> None:
    """The log knows it; the answers say that the service does not yet."""
    async with serving(ServerSettings(default_deadline_ms=1)) as service:
        await service.stage.fold_all()

        first = await pause(service, given=by(request_id="r1"))
        second = await pause(service, given=by(request_id="r1"))

        assert (second.event_id, second.token) == (first.event_id, first.token)
        assert first.basis.state == basis_pb2.SERVING_STATE_STALE
        assert len(await stored(service)) == 1


async def test_repeated_request_is_answered_after_its_order_expired(
    service: Service,
) -> None:
    """Nobody gives a new order: what was asked was done."""
    given = by(until_ns=service.stage.now_ns + HOUR_NS, request_id="r1")
    first = await pause(service, SYD, given=given)

    service.stage.now_ns += 2 * HOUR_NS
    second = await pause(service, SYD, given=given)

    assert second.event_id == first.event_id
    assert await pauses(service) == []


async def test_id_of_another_order_is_refused(service: Service) -> None:
    """Else the second order would be taken for the first, and never hold."""
    await pause(service, SYD, given=by(request_id="r1"))

    refusal = await refused(pause(service, FRA, given=by(request_id="r1")))
    request = pb.ResumeReplicationRequest(operation=by(request_id="r1"))
    resumed = await service.operations.ResumeReplication(request)

    assert (refusal.info.reason, refusal.field) == (
        "INPUT_INVALID",
        "operation.request_id",
    )
    assert "choose a new one" in refusal.message
    assert resumed.event_id  # an order of another kind is another order


async def test_orders_without_an_id_are_orders_of_their_own(service: Service) -> None:
    """Given at another moment, the same words are another order."""
    first = await pause(service, SYD)
    service.stage.now_ns += 1

    second = await pause(service, SYD)

    assert first.event_id != second.event_id
    assert len(await stored(service)) == 2


async def test_one_region_is_resumed_while_all_are_paused(service: Service) -> None:
    """Orders about several regions, or all, are in the home region's log."""
    await pause(service)
    request = pb.ResumeReplicationRequest(regions=[SYD], operation=by())
    await service.operations.ResumeReplication(request)
    partly = await pauses(service)

    await service.operations.ResumeReplication(
        pb.ResumeReplicationRequest(operation=by())
    )

    assert partly == [("", [SYD])]
    assert await pauses(service) == []
    assert [event.region for _, event in await stored(service)] == [IAD, SYD, IAD]


async def test_region_is_drained_and_brought_back(service: Service) -> None:
    """What it may be used for, and until when."""
    until_ns = service.stage.now_ns + HOUR_NS
    await service.operations.SetRegionState(
        pb.SetRegionStateRequest(
            region=SYD, state=DRAINING, operation=by(until_ns=until_ns)
        )
    )
    (drained,) = (await orders(service)).regions
    back = pb.SetRegionStateRequest(
        region=SYD, state=events_pb2.REGION_STATE_ACTIVE, operation=by()
    )
    await service.operations.SetRegionState(back)

    assert (drained.region, drained.state) == (SYD, DRAINING)
    assert drained.expire_time.ToNanoseconds() == until_ns
    assert list((await orders(service)).regions) == []


async def pin(
    service: Service, reference: str, *regions: str, **fields: object
) -> pb.PinContentResponse:
    """Let content of WEB stay in *regions*."""
    request = pb.PinContentRequest(
        repository=WEB,
        reference=reference,
        regions=regions,
        operation=by(),
        **fields,  # type: ignore[arg-type]  # each is of its own kind
    )
    response = await service.operations.PinContent(request)
    assert isinstance(response, pb.PinContentResponse)
    return response


async def unpin(
    service: Service, reference: str, *regions: str
) -> pb.UnpinContentResponse:
    """Let content of WEB go again."""
    request = pb.UnpinContentRequest(
        repository=WEB, reference=reference, regions=regions, operation=by()
    )
    response = await service.operations.UnpinContent(request)
    assert isinstance(response, pb.UnpinContentResponse)
    return response


async def test_pin_is_of_what_the_tag_points_to_now(service: Service) -> None:
    """It stays where it is when the tag moves, and is unpinned by its digest."""
    answer = await pin(service, LATEST, SYD)
    await service.stage.happen(pushed("b", IAD, tag=LATEST))

    (listed,) = (await orders(service)).pins
    moved = await unpin(service, LATEST)
    still = await orders(service)
    await unpin(service, A)

    assert answer.digest == A
    assert (listed.repository, listed.digest, listed.region) == (WEB, A, SYD)
    assert list(listed.tags) == []
    assert moved.digest == B
    assert [one.digest for one in still.pins] == [A]
    assert list((await orders(service)).pins) == []


async def test_pin_says_its_tags_and_where_it_does_not_hold(service: Service) -> None:
    """Wherever it is, but for one region."""
    await pin(service, LATEST)
    await unpin(service, A, FRA)

    (listed,) = (await orders(service)).pins

    assert (listed.region, list(listed.excepted_regions)) == ("", [FRA])
    assert not listed.HasField("expire_time")
    assert list(listed.tags) == [LATEST]


async def test_pins_are_listed_page_by_page(service: Service) -> None:
    """Every one once, in order; other orders on the first page alone."""
    await pause(service)
    await pin(service, A, FRA, SYD, IAD)
    await pin(service, B)

    pages = [await orders(service, page_size=3)]
    while token := pages[-1].next_page_token:
        pages.append(await orders(service, page_size=3, page_token=token))

    keys = [(one.digest, one.region) for page in pages for one in page.pins]
    assert keys == [(A, FRA), (A, IAD), (A, SYD), (B, "")]
    assert [(len(page.pauses), len(page.policies)) for page in pages] == [
        (1, 1),
        (0, 0),
    ]


async def test_page_token_is_bound_to_its_filter(service: Service) -> None:
    """Pins of one repository are not gone on with as those of all."""
    await pin(service, A, FRA, SYD)
    page = await orders(service, page_size=1, repository=WEB)

    refusal = await refused(
        orders(service, page_size=1, page_token=page.next_page_token)
    )
    others = await orders(service, repository=API)

    assert refusal.info.reason == "PAGE_TOKEN_INVALID"
    assert list(others.pins) == []


async def test_pin_waits_for_the_push_that_a_token_stands_for(service: Service) -> None:
    """Who just pushed a tag pins what it set, not what was there before."""
    token = await service.stage.happen(pushed("b", IAD, tag=LATEST))

    answer = await pin(
        service, LATEST, consistency=basis_pb2.Consistency(token=token, fail=True)
    )

    assert answer.digest == B


async def set_policy(service: Service, **fields: object) -> pb.SetPolicyResponse:
    """Put a policy in force, or check it."""
    fields.setdefault("operation", by())
    request = pb.SetPolicyRequest(**fields)  # type: ignore[arg-type]  # each is of its own kind
    response = await service.operations.SetPolicy(request)
    assert isinstance(response, pb.SetPolicyResponse)
    return response


async def standings(service: Service) -> list[tuple[str, int]]:
    """Return each policy and how it stands."""
    return [(one.policy, one.standing) for one in (await orders(service)).policies]


async def test_shipped_policy_is_in_force_until_another_one_is(
    service: Service,
) -> None:
    """With its hash and content; the one before is in force when it expires."""
    (shipped,) = (await orders(service)).policies
    until_ns = service.stage.now_ns + HOUR_NS
    await set_policy(service, name="set_60d")
    service.stage.now_ns += SECOND_NS
    answer = await set_policy(service, content=POLICY, operation=by(until_ns=until_ns))

    listed = (await orders(service)).policies[0]
    before = await standings(service)
    service.stage.now_ns = until_ns
    after = await standings(service)

    assert (shipped.policy, shipped.policy_hash) == ("default", SHIPPED.digest)
    assert not shipped.HasField("order_time")
    assert answer.policy == "careful"
    assert answer.policy_hash == listed.policy_hash == parse_ruling(POLICY).digest
    assert listed.content == POLICY
    assert before == [("careful", IN_FORCE), ("set_60d", REPLACED)]
    assert after == [("careful", EXPIRED), ("set_60d", IN_FORCE)]


async def test_policy_is_checked_without_being_ordered(service: Service) -> None:
    """Nobody has to say who they are; nothing is stored."""
    request = pb.SetPolicyRequest(content=POLICY, validate_only=True)

    answer = await service.operations.SetPolicy(request)
    refusal = await refused(
        set_policy(service, content="[limits]\nlinks = 3", validate_only=True)
    )

    assert (answer.event_id, answer.token) == ("", "")
    assert answer.policy == "careful"
    assert refusal.field == "policy.limits.links"
    assert await stored(service) == []


@pytest.mark.parametrize(
    ("fields", "reason", "field", "said"),
    [
        ({"name": "best"}, "POLICY_UNKNOWN", "name", "set_60d"),
        ({}, "INPUT_INVALID", "name", "give the name"),
        ({"name": "default", "content": POLICY}, "INPUT_INVALID", "name", "not both"),
        ({"content": "[limits"}, "POLICY_INVALID", "policy", "TOML"),
        (
            {"content": "[limits]\nlink_bytes_per_hour = -1"},
            "POLICY_INVALID",
            "policy.limits.link_bytes_per_hour",
            "from 0",
        ),
        (
            {"content": RESIDENCY.format(name="atlantis")},
            "POLICY_INVALID",
            "policy",
            "atlantis",
        ),
        ({"content": "#" * 8_193}, "TEXT_INVALID", "content", "8192"),
    ],
)
async def test_policy_that_cannot_be_in_force_is_refused(
    service: Service, fields: dict[str, str], reason: str, field: str, said: str
) -> None:
    """The error names the key and what would be right; nothing is stored."""
    refusal = await refused(set_policy(service, **fields))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.info.reason, refusal.field) == (reason, field)
    assert said in refusal.message
    assert await stored(service) == []


async def test_residency_may_name_regions_of_the_catalogue(service: Service) -> None:
    """The same rule with a region that there is."""
    answer = await set_policy(service, content=RESIDENCY.format(name=SYD))

    assert answer.event_id


async def test_policy_that_another_version_stored_is_told_as_refused(
    service: Service,
) -> None:
    """It came by another way; planners pass it over, and the listing says why."""
    event = events_pb2.Event(event_id="p1", region=IAD)
    event.policy_changed.name = "newer"
    event.policy_changed.content = "sorcery = true"
    await service.stage.happen(decode_event(event))

    newer, shipped = (await orders(service)).policies

    assert newer.standing == pb.POLICY_STANDING_REFUSED
    assert "policy.sorcery" in newer.problem
    assert (shipped.policy, shipped.standing) == ("default", IN_FORCE)


EVERY_ORDER = {
    "SetRegionState": pb.SetRegionStateRequest(region=SYD, state=DRAINING),
    "PauseReplication": pb.PauseReplicationRequest(regions=[SYD]),
    "ResumeReplication": pb.ResumeReplicationRequest(regions=[SYD]),
    "PinContent": pb.PinContentRequest(repository=WEB, reference=A),
    "UnpinContent": pb.UnpinContentRequest(repository=WEB, reference=A),
    "SetPolicy": pb.SetPolicyRequest(name="default"),
}


async def refusal_of(
    service: Service, method: str, given: events_pb2.Operation | None, **fields: object
) -> Refusal:
    """Return what an order of EVERY_ORDER is refused with."""
    request: Any = type(EVERY_ORDER[method])()
    request.CopyFrom(EVERY_ORDER[method])
    if given is not None:
        request.operation.CopyFrom(given)
    for name, values in fields.items():
        getattr(request, name)[:] = values
    return await refused(getattr(service.operations, method)(request))


@pytest.mark.parametrize("method", EVERY_ORDER)
async def test_order_says_who_gave_it_and_why(service: Service, method: str) -> None:
    """Nothing is stored of one that does not, or whose time is over."""
    nobody = await refusal_of(service, method, None)
    silent = await refusal_of(service, method, by("ann", "  "))
    spaces = await refusal_of(service, method, by(request_id="two words"))

    assert (nobody.info.reason, nobody.field) == ("INPUT_INVALID", "operation.actor")
    assert silent.field == "operation.reason"
    assert (spaces.info.reason, spaces.field) == (
        "TEXT_INVALID",
        "operation.request_id",
    )
    assert await stored(service) == []


@pytest.mark.parametrize(
    "method", ["SetRegionState", "PauseReplication", "PinContent", "SetPolicy"]
)
async def test_order_that_would_be_over_is_refused(
    service: Service, method: str
) -> None:
    """The remedy says what to give instead."""
    refusal = await refusal_of(service, method, by(until_ns=service.stage.now_ns))

    assert (refusal.info.reason, refusal.field) == (
        "TIME_INVALID",
        "operation.expire_time",
    )
    assert "give a later time, or none" in refusal.message
    assert await stored(service) == []


@pytest.mark.parametrize("method", ["ResumeReplication", "UnpinContent"])
async def test_order_that_ends_another_never_expires(
    service: Service, method: str
) -> None:
    """An expiry would say nothing: it is refused rather than ignored."""
    until_ns = service.stage.now_ns + HOUR_NS

    refusal = await refusal_of(service, method, by(until_ns=until_ns))

    assert refusal.field == "operation.expire_time"
    assert "leave it out" in refusal.message


@pytest.mark.parametrize(
    "method", ["PauseReplication", "ResumeReplication", "PinContent", "UnpinContent"]
)
async def test_regions_are_those_of_the_catalogue(
    service: Service, method: str
) -> None:
    """Else an order with a slip of the pen would look given, and do nothing."""
    unknown = await refusal_of(service, method, by(), regions=[SYD, NOWHERE])
    malformed = await refusal_of(service, method, by(), regions=["SYD"])

    assert unknown.code is grpc.StatusCode.NOT_FOUND
    assert unknown.info.reason == "REGION_UNKNOWN"
    assert (malformed.info.reason, malformed.field) == ("REGION_INVALID", "regions[0]")
    assert await stored(service) == []


async def test_region_state_is_one_that_there_is(service: Service) -> None:
    """Of the catalogue's regions; active never ends by itself."""
    states = service.operations.SetRegionState
    later = by(until_ns=service.stage.now_ns + HOUR_NS)
    active = events_pb2.REGION_STATE_ACTIVE
    request = pb.SetRegionStateRequest

    unset = await refused(states(request(region=SYD, operation=by())))
    unknown = await refused(
        states(request(region=NOWHERE, state=DRAINING, operation=by()))
    )
    for_a_while = await refused(
        states(request(region=SYD, state=active, operation=later))
    )

    assert (unset.info.reason, unset.field) == ("INPUT_INVALID", "state")
    assert unknown.info.reason == "REGION_UNKNOWN"
    assert for_a_while.field == "operation.expire_time"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [("v9", "MANIFEST_UNKNOWN"), ("sha256:" + "9" * 64, "BLOB_UNKNOWN")],
)
async def test_image_that_nobody_announced_is_not_pinned(
    service: Service, reference: str, reason: str
) -> None:
    """As for every question about it."""
    refusal = await refused(pin(service, reference))

    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.info.reason == reason


async def test_digest_is_unpinned_whoever_knows_it(service: Service) -> None:
    """A pin may have come before the push; a tag that nobody set names nothing."""
    unknown = "sha256:" + "9" * 64

    answer = await unpin(service, unknown)
    refusal = await refused(unpin(service, "v9"))

    assert answer.digest == unknown
    assert refusal.info.reason == "MANIFEST_UNKNOWN"


async def test_questions_about_orders_are_checked(service: Service) -> None:
    """Like all others."""
    absent = await refused(orders(service, repository="acme/absent"))
    large = await refused(orders(service, page_size=1_001))
    past = await refused(orders(service, as_of=basis_pb2.AsOf(sequence=0)))

    assert absent.info.reason == "NAME_UNKNOWN"
    assert (large.info.reason, large.field) == ("LIMIT_INVALID", "page_size")
    assert (past.info.reason, past.field) == ("NUMBER_INVALID", "as_of.sequence")


async def test_log_that_cannot_be_reached_gives_no_order() -> None:
    """The caller is told to repeat the same request, which then is one order."""
    async with serving(ServerSettings(default_deadline_ms=1)) as service:
        service.stage.log.stop()
        refusal = await refused(pause(service, given=by(request_id="r1")))
        service.stage.log.resume()

        await pause(service, given=by(request_id="r1"))

    assert refusal.code is grpc.StatusCode.UNAVAILABLE
    assert refusal.info.reason == "LOG_UNAVAILABLE"
    assert len(await stored(service)) == 1


async def test_client_gives_one_order_however_often_it_has_to_call(
    service: Service,
) -> None:
    """It makes up an id for each order, so that repeating its own call is safe."""
    ann = Operation("ann", "moving house")

    async with PlacementClient(service.target, timeout_s=10) as client:
        first = await client.pause_replication(ann, [SYD])
        second = await client.pause_replication(ann, [SYD])
        service.stage.log.stop()
        calling = asyncio.create_task(client.pin_content(WEB, A, ann))
        await asyncio.sleep(0.2)
        waited = not calling.done()
        service.stage.log.resume()
        third = await calling

    given = [event for _, event in await stored(service)]
    answers: list[Any] = [first, second, third]
    assert waited
    assert [event.event_id for event in given] == [one.event_id for one in answers]
    assert len({event.event_id for event in given}) == 3
    assert all(given_by(event).request_id for event in given)


def given_by(event: Event) -> Any:  # noqa: ANN401 - of any order
    """Return who gave the order that *event* holds."""
    return event.fact.operation  # type: ignore[union-attr]  # orders alone are stored


async def test_client_says_which_states_there_are(service: Service) -> None:
    """Before it asks anybody; a state that there is reaches the service."""
    ann = Operation("ann", "moving house")

    async with PlacementClient(service.target) as client:
        with pytest.raises(InputError, match="active, draining, down"):
            await client.set_region_state(SYD, "gone", ann)
        await client.set_region_state(SYD, "down", ann)
        listed = await client.list_orders()

    assert [(one.region, one.state) for one in listed.regions] == [
        (SYD, events_pb2.REGION_STATE_DOWN)
    ]
