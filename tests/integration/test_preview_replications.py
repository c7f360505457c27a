"""PreviewReplications over a real connection: what would be copied, and the limits."""

from collections.abc import AsyncIterator

import grpc
import pytest

from placement.api import replication_servicer
from placement.core.event import Document, Name, PolicyChanged
from placement.core.oci import Repository, Tag
from placement.v1 import basis_pb2
from placement.v1 import replication_service_pb2 as pb
from placement.wire.fields import DOCUMENT_LENGTH_MAX, nanoseconds
from tests.builders import (
    AMS,
    API,
    FRA,
    IAD,
    LATEST,
    LAYER,
    SYD,
    WEB,
    descriptor,
    digest,
    event,
    pushed,
    started,
)
from tests.serving import Service, refused, serving

SMALL, LARGE = 1_000_000, 900_000_000
REQUEST = pb.PreviewReplicationsRequest


async def push_image(
    service: Service, name: str, repository: Repository, size_bytes: int, tag: Tag
) -> None:
    """Push an image of one layer to Ashburn."""
    layer = descriptor(f"{name} layer", size_bytes, LAYER)
    await service.stage.happen(
        pushed(f"{name} layer", IAD, repository, size_bytes=size_bytes),
        pushed(name, IAD, repository, size_bytes=1_000, references=[layer], tag=tag),
    )


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A small app and a large one, in Ashburn only; both start in Sydney and Europe."""
    async with serving() as found:
        await push_image(found, "small", API, SMALL, LATEST)
        await push_image(found, "large", WEB, LARGE, LATEST)
        await found.stage.happen(
            started("small", SYD, API, machine="m1"),
            started("large", SYD, WEB, machine="m2"),
            started("large", FRA, WEB, machine="m3"),
        )
        yield found


async def preview(service: Service, **fields: object) -> pb.PreviewReplicationsResponse:
    """Return the preview of a request with these *fields*."""
    request = REQUEST(**fields)  # type: ignore[arg-type]  # each is of its own kind
    response = await service.replication.PreviewReplications(request)
    assert isinstance(response, pb.PreviewReplicationsResponse)
    return response


def copies(answer: pb.PreviewReplicationsResponse) -> list[tuple[str, str]]:
    """Return repository and target of each copy."""
    return [(each.repository, each.target_region) for each in answer.replications]


async def test_copies_are_wanted_where_the_app_starts(service: Service) -> None:
    """From the best source, with what it moves, how long it takes and why."""
    answer = await preview(service)

    assert set(copies(answer)) == {(WEB, FRA), (WEB, SYD), (API, SYD)}
    (copy,) = [each for each in answer.replications if each.repository == API]
    assert (copy.source_region, copy.digest) == (IAD, digest("small"))
    assert copy.transfer_bytes == SMALL + 1_000
    assert list(copy.start_regions) == [SYD]
    assert list(copy.tags) == [LATEST]
    assert copy.reason == "runs-here"
    assert "syd" in copy.explanation
    assert nanoseconds(copy.expected_duration.p50) > 0
    assert nanoseconds(copy.saved_duration) > 0
    assert {factor.name for factor in copy.factors} >= {"probability", "stake_bytes"}
    assert (answer.policy, answer.omitted_count) == ("default", 0)
    assert answer.basis.state == basis_pb2.SERVING_STATE_LIVE


async def test_best_value_comes_first_in_a_total_order(service: Service) -> None:
    """What is expected to be saved for each byte staked; the same order every time."""
    answer = await preview(service)

    def value(copy: pb.Replication) -> float:
        known = {factor.name: factor.value for factor in copy.factors}
        return known["probability"] * known["gain_bytes"] / known["stake_bytes"]

    values = [value(copy) for copy in answer.replications]
    assert values == sorted(values, reverse=True)
    assert copies(await preview(service)) == copies(answer)


async def test_filters_take_away_what_is_not_asked_for(service: Service) -> None:
    """By target, by repository, by one image of it."""
    assert copies(await preview(service, target_region=FRA)) == [(WEB, FRA)]
    assert copies(await preview(service, target_region=AMS)) == []
    assert copies(await preview(service, repository=API)) == [(API, SYD)]
    tagged = await preview(service, repository=API, reference=LATEST)
    by_digest = await preview(service, repository=API, reference=digest("small"))
    assert copies(tagged) == copies(by_digest) == [(API, SYD)]
    assert list(by_digest.replications[0].tags) == [LATEST]


async def test_image_without_a_tag_is_previewed_only_by_name(service: Service) -> None:
    """Nobody would start what no tag points to, unless somebody asks."""
    await service.stage.happen(
        pushed("untagged", IAD, API), started("untagged", SYD, API, machine="m4")
    )

    every = await preview(service, repository=API)
    named = await preview(service, repository=API, reference=digest("untagged"))

    assert digest("untagged") not in {copy.digest for copy in every.replications}
    assert {copy.digest for copy in named.replications} == {digest("untagged")}


async def test_copies_beyond_their_number_are_counted(service: Service) -> None:
    """The best are kept, the others are counted."""
    every = await preview(service)

    answer = await preview(service, max_replication_count=1)

    assert copies(answer) == copies(every)[:1]
    assert answer.omitted_count == 2


async def test_bytes_are_given_to_the_best_that_still_fit(service: Service) -> None:
    """A large copy that does not fit leaves room for a smaller one."""
    exact = await preview(service, max_transfer_bytes=SMALL + 1_000)
    short = await preview(service, max_transfer_bytes=SMALL + 999)
    room = await preview(service, max_transfer_bytes=LARGE + SMALL + 2_000)

    assert (copies(exact), exact.omitted_count) == ([(API, SYD)], 2)
    assert (copies(short), short.omitted_count) == ([], 3)
    assert room.omitted_count == 1
    moved = sum(copy.transfer_bytes for copy in room.replications)
    assert moved == LARGE + SMALL + 2_000


async def test_images_beyond_the_limit_are_counted_and_not_considered(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repositories in order of name: the first image only."""
    monkeypatch.setattr(replication_servicer, "IMAGES_PREVIEWED_MAX", 1)

    answer = await preview(service)

    assert copies(answer) == [(API, SYD)]
    assert answer.omitted_count == 1


async def test_policy_in_force_is_the_one_that_previews(service: Service) -> None:
    """Its numbers, its residency and its name; another name keeps its residency."""
    text = '[[residency]]\nrepositories = ["acme/web"]\ndeny = ["syd"]'
    order = PolicyChanged(Name("careful"), Document(text))
    await service.stage.happen(event(IAD, order))

    answer = await preview(service)
    named = await preview(service, policy="set_60d")

    assert answer.policy == "careful"
    assert (WEB, SYD) not in copies(answer)
    assert {(WEB, FRA), (API, SYD)} <= set(copies(answer))
    assert named.policy == "set_60d"
    assert (WEB, SYD) not in copies(named)
    assert (WEB, FRA) in copies(named)


async def test_policy_may_be_given_whole(service: Service) -> None:
    """Instead of the one in force, which it neither adds to nor changes."""
    before = await preview(service)
    thrifty = 'name = "thrifty"\nkappa_bytes_per_second = 0'
    europe = '[[residency]]\nrepositories = ["*"]\nallow = ["ams", "fra"]'
    nowhere = '[[residency]]\nrepositories = ["*"]\nallow = ["mars"]'

    answer = await preview(service, policy_content=thrifty)
    kept = await preview(service, policy_content=europe)
    none = await preview(service, policy_content=nowhere)

    assert (copies(answer), answer.policy) == ([], "thrifty")
    assert {copy.target_region for copy in kept.replications} == {FRA}
    assert kept.policy == "unnamed"
    assert copies(none) == []
    assert copies(await preview(service)) == copies(before)


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        (
            {"policy_content": "kappa = 1"},
            "POLICY_INVALID",
            "policy_content.kappa",
        ),
        (
            {"policy_content": "[limits]\nmin_copies = 0"},
            "POLICY_INVALID",
            "policy_content.limits.min_copies",
        ),
        ({"policy": "best"}, "POLICY_UNKNOWN", "policy"),
        (
            {"policy": "default", "policy_content": "patience = 0"},
            "INPUT_INVALID",
            "policy_content",
        ),
        (
            {"policy_content": "#" * (DOCUMENT_LENGTH_MAX + 1)},
            "LIMIT_INVALID",
            "policy_content",
        ),
    ],
)
async def test_policy_that_cannot_be_meant_is_refused(
    service: Service, fields: dict[str, str], reason: str, field: str
) -> None:
    """By its reason and the key at fault."""
    refusal = await refused(preview(service, **fields))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.info.reason, refusal.info.metadata["field"]) == (reason, field)


async def test_longest_policy_is_taken(service: Service) -> None:
    """As long as one that can be ordered."""
    answer = await preview(service, policy_content="#" * DOCUMENT_LENGTH_MAX)

    assert answer.replications


async def test_nothing_is_wanted_where_nothing_starts() -> None:
    """An image that nobody uses stays where it is."""
    async with serving() as service:
        await push_image(service, "small", API, SMALL, LATEST)

        answer = await preview(service)

    assert (copies(answer), answer.omitted_count) == ([], 0)
