"""The planner over a memory log: what is due is decided, once, by the guardrails."""

from placement.core.event import (
    ContentEvicted,
    Document,
    Event,
    Identifier,
    Name,
    Operation,
    PolicyChanged,
    ReplicationPaused,
    ReplicationRequested,
    ReplicationResumed,
    ReplicationTrigger,
)
from placement.core.oci import Tag
from placement.core.tables.cells import DecisionStatus
from placement.core.topology import Region
from tests.builders import (
    AMS,
    IAD,
    LHR,
    MANIFEST,
    SYD,
    WEB,
    descriptor,
    digest,
    event,
    pushed,
)
from tests.planning import asked, planning
from tests.projecting import Host

LAYER_BYTES = 400_000_000
LAYER = descriptor("layer", LAYER_BYTES)
MANIFEST_BYTES = 10_000


def layer(region: Region = IAD) -> Event:
    """Return the push of the image's layer."""
    return pushed("layer", region, size_bytes=LAYER_BYTES)


def image(region: Region = IAD, tag: str = "v1") -> Event:
    """Return the push of the image's manifest."""
    return pushed(
        "image", region, size_bytes=MANIFEST_BYTES, references=[LAYER], tag=Tag(tag)
    )


def request(target: Region, request_id: str = "r1") -> Event:
    """Return somebody's wish to have the image in *target*."""
    own_id = Identifier(request_id)
    fact = ReplicationRequested(own_id, WEB, Tag("v1"), target)
    return event(target, fact)


def policy(text: str, name: str = "test") -> Event:
    """Return the order to plan by the policy *text* from now on."""
    operation = Operation(Name("anna"), request_id=Identifier(f"policy-{hash(text)}"))
    return event(IAD, PolicyChanged(Name(name), Document(text), operation))


async def test_layer_of_a_requested_start_is_decided_before_its_manifest() -> None:
    """A brand-new app: the copy begins with the first layer, the manifest follows."""
    async with planning(Host()) as run:
        await run.publish(asked("v1", [SYD]))
        await run.publish(layer())

        (first,) = await run.decided(digest("layer"))
        await run.carry_out(first, LAYER)
        await run.publish(image())
        (second,) = await run.decided(digest("image"))

    assert first.kind == ReplicationTrigger.FIRST_LAYER
    assert (first.target, first.transfer_bytes) == (SYD, LAYER_BYTES)
    assert first.priority == 1
    assert (second.target, second.transfer_bytes) == (SYD, MANIFEST_BYTES)


async def test_request_while_layers_arrive_is_decided_at_once() -> None:
    """A request after the first layer is as good as one before it."""
    async with planning(Host()) as run:
        await run.publish(layer())
        await run.run.until(lambda: run.planner.idle)
        await run.publish(asked("v1", [SYD]))

        (decision,) = await run.decided(digest("layer"))

    assert decision.kind == ReplicationTrigger.STARTS_REQUESTED
    assert decision.target == SYD


async def test_what_another_copy_brings_is_not_moved_twice() -> None:
    """One flight per layer and region: the image's copy moves only the rest."""
    async with planning(Host()) as run:
        await run.publish(asked("v1", [SYD]))
        await run.publish(layer())
        await run.decided(digest("layer"))
        await run.publish(image())

        (decision,) = await run.decided(digest("image"))

    assert decision.transfer_bytes == MANIFEST_BYTES


async def test_requested_copy_is_decided_first_and_once() -> None:
    """A copy that somebody asks for is decided, and a repeat changes nothing."""
    async with planning(Host()) as run:
        await run.publish(layer(), image())
        await run.publish(request(LHR))

        (decision,) = await run.decided(digest("image"))
        await run.publish(request(LHR))
        await run.publish(request(LHR, "r2"))
        await run.ticked()

        assert run.about(digest("image")) == [decision]
    assert (decision.kind, decision.target) == (ReplicationTrigger.REQUEST, LHR)
    assert decision.priority == 1


async def test_pause_stops_new_copies_until_it_ends() -> None:
    """While replication is paused nothing is planned; then what waited is."""
    async with planning(Host()) as run:
        await run.publish(layer(), image())
        await run.publish(event(IAD, ReplicationPaused(operation=Operation())))
        await run.publish(request(LHR))
        await run.ticked()
        assert run.about(digest("image")) == []

        await run.publish(event(IAD, ReplicationResumed(operation=Operation())))
        (decision,) = await run.decided(digest("image"))

    assert decision.status is DecisionStatus.PLANNED


async def test_residency_is_kept_for_requests_too() -> None:
    """Nothing of acme leaves Europe, whoever asks for it."""
    rule = '[[residency]]\nrepositories = ["acme/*"]\nallow = ["ams", "lhr"]\n'
    async with planning(Host()) as run:
        await run.publish(policy(rule))
        await run.publish(layer(AMS), image(AMS))
        await run.publish(request(SYD), request(LHR, "r2"))

        (decision,) = await run.decided(digest("image"))
        await run.ticked()

        assert run.about(digest("image")) == [decision]
    assert decision.target == LHR


async def test_copy_over_budget_is_put_off_and_recorded() -> None:
    """A link whose budget is spent carries nothing more, and the log says why."""
    budget = "[limits]\nlink_bytes_per_hour = 1\n"
    async with planning(Host()) as run:
        await run.publish(policy(budget))
        await run.publish(layer(), image())
        await run.publish(pushed("other", IAD, media_type=MANIFEST, tag=Tag("v2")))
        await run.publish(request(LHR))
        await run.decided(digest("image"))
        fact = ReplicationRequested(Identifier("r9"), WEB, Tag("v2"), LHR)
        await run.publish(event(LHR, fact))

        (second,) = await run.decided(digest("other"))
        assert second.status is DecisionStatus.DEFERRED
        await run.publish(policy("", "wide"))
        await run.run.until(
            lambda: run.about(digest("other"))[-1].status is DecisionStatus.PLANNED
        )


async def test_observing_records_and_copies_nothing() -> None:
    """In observe mode a forecast is withheld, and only what is asked for is copied."""
    async with planning(Host()) as run:
        await run.publish(policy('mode = "observe"\n'))
        await run.publish(layer(), image())
        await run.publish(asked("v1", [SYD]))
        (withheld,) = await run.decided(digest("image"))
        await run.publish(request(LHR))
        _, planned = await run.decided(digest("image"), 2)
        await run.ticked()

        assert len(run.about(digest("image"))) == 2

    assert (withheld.target, withheld.status) == (SYD, DecisionStatus.WITHHELD)
    assert (planned.target, planned.status) == (LHR, DecisionStatus.PLANNED)


async def test_copy_that_nobody_needs_leaves_and_stays_away() -> None:
    """A newer version was pushed, nobody ever started this one: the copy is removed."""
    rules = (
        "holdout_fraction = 0\n[limits]\nmin_copies = 1\n"
        "[keep]\nprevious_versions = 0\ngrace_days = 0\nrecent_versions = 0\n"
        "unused_days = 0\npull_days = 0\n"
    )
    async with planning(Host()) as run:
        await run.publish(policy(rules))
        await run.publish(layer(), image())
        await run.publish(request(LHR))
        (copy,) = await run.decided(digest("image"))
        manifest = descriptor("image", MANIFEST_BYTES, MANIFEST)
        await run.carry_out(copy, manifest, LAYER)

        newer = [descriptor("new-layer", LAYER_BYTES)]
        await run.publish(
            pushed("new-layer", IAD, size_bytes=LAYER_BYTES),
            pushed("newer", IAD, references=newer, tag=Tag("v2")),
        )
        _, removal = await run.decided(digest("image"), 2)
        own_id = Identifier(removal.replication_id)
        gone = ContentEvicted(
            WEB, (digest("image"), digest("layer")), eviction_id=own_id
        )
        await run.publish(event(LHR, gone))
        await run.ticked()
        _, removed = run.about(digest("image"))

    assert (removal.removal, removal.target, removal.reason) == (
        True,
        LHR,
        "never-used",
    )
    assert removed.status is DecisionStatus.COMPLETED
