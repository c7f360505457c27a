"""ListReplicas over a real connection: order, filters, pages and their tokens."""

from collections.abc import AsyncIterator

import pytest

from placement.api import placement_servicer
from placement.core.event import ContentAnnounced
from placement.core.topology import Region
from placement.v1 import placement_service_pb2 as pb
from tests.builders import (
    API,
    FRA,
    IAD,
    LATEST,
    SYD,
    WEB,
    B,
    descriptor,
    digest,
    event,
    pushed,
)
from tests.serving import LAYERS, Service, refused, serving

IMAGE = digest("image")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows one image in Ashburn, its manifest also in Frankfurt."""
    async with serving() as found:
        await found.stage.happen(
            pushed("config", IAD, size_bytes=2_000, media_type=LAYERS[0].media_type),
            pushed("layer", IAD, size_bytes=LAYERS[1].size_bytes),
            pushed("image", IAD, size_bytes=1_000, references=LAYERS, tag=LATEST),
            pushed("image", FRA, size_bytes=1_000, references=LAYERS),
        )
        yield found


async def test_replicas_are_listed_in_order_and_filtered(service: Service) -> None:
    """By repository, digest, region; the filters take away and change no order."""
    coming = ContentAnnounced(descriptor("b"), API, held_bytes=10)
    await service.stage.happen(event(SYD, coming))

    everything = await service.placement.ListReplicas(pb.ListReplicasRequest())
    in_fra = await service.placement.ListReplicas(pb.ListReplicasRequest(region=FRA))
    in_api = await service.placement.ListReplicas(
        pb.ListReplicasRequest(repository=API)
    )

    keys = [(each.repository, each.digest, each.region) for each in everything.replicas]
    assert keys == sorted(keys)
    assert len(keys) == 5
    assert everything.next_page_token == ""
    assert [each.digest for each in in_fra.replicas] == [IMAGE]
    (partial,) = in_api.replicas
    assert (partial.digest, partial.region, partial.held_bytes) == (B, SYD, 10)
    assert partial.phase == pb.REPLICA_PHASE_PARTIAL
    assert partial.HasField("create_time")
    assert partial.HasField("change_time")


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 5])
async def test_pages_together_list_each_replica_once(
    service: Service, page_size: int
) -> None:
    """Whatever the size of a page."""
    whole = await service.placement.ListReplicas(pb.ListReplicasRequest())
    found: list[pb.Replica] = []
    asked = pb.ListReplicasRequest(page_size=page_size)

    for _ in range(5):
        page = await service.placement.ListReplicas(asked)
        assert len(page.replicas) <= page_size
        found.extend(page.replicas)
        asked.page_token = page.next_page_token
        if not asked.page_token:
            break

    assert found == list(whole.replicas)


async def test_region_outside_the_catalogue_is_listed_if_the_log_names_it(
    service: Service,
) -> None:
    """The fold takes any region; whoever sees it in a list may filter by it."""
    await service.stage.happen(pushed("a", IAD))
    elsewhere = Region("moon-1")
    await service.stage.happen(pushed("c", elsewhere))

    answer = await service.placement.ListReplicas(
        pb.ListReplicasRequest(region="moon-1")
    )

    assert [replica.region for replica in answer.replicas] == ["moon-1"]


async def test_page_ends_after_so_many_were_read(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rare region cannot make one page read the whole state: it comes empty."""
    monkeypatch.setattr(placement_servicer, "REPLICAS_READ_MAX", 1)
    asked = pb.ListReplicasRequest(region=FRA)
    found: list[str] = []
    pages = 0

    while pages == 0 or asked.page_token:
        page = await service.placement.ListReplicas(asked)
        found.extend(replica.region for replica in page.replicas)
        asked.page_token = page.next_page_token
        pages += 1

    assert found == [FRA]
    assert pages == 5


async def test_page_token_is_good_for_its_own_listing_only(service: Service) -> None:
    """Another filter, another epoch or another letter: begin again."""
    page = await service.placement.ListReplicas(pb.ListReplicasRequest(page_size=1))
    token = page.next_page_token
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")

    for fields in (
        {"page_token": token, "repository": WEB},
        {"page_token": token, "region": IAD},
        {"page_token": changed},
        {"page_token": token + "="},
        {"page_token": "é" * 20},
        {"page_token": token * 50},
    ):
        refusal = await refused(
            service.placement.ListReplicas(pb.ListReplicasRequest(**fields))
        )
        assert refusal.info.reason == "PAGE_TOKEN_INVALID"

    service.stage.view.epoch = "memory-2"
    refusal = await refused(
        service.placement.ListReplicas(pb.ListReplicasRequest(page_token=token))
    )
    assert refusal.info.reason == "PAGE_TOKEN_INVALID"
