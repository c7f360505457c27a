"""The door beside its service: for the same sequence, the same answers."""

import random
from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from placement.core.event import Event, RegionState
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from placement.v1 import placement_service_pb2 as pb
from tests.builders import (
    AMD64,
    API,
    ARM64,
    IAD,
    INDEX,
    MANIFEST,
    TOPOLOGY,
    WEB,
    announced,
    changed,
    descriptor,
    digest,
    evicted,
    measured,
    pushed,
    replicated,
    tagged,
)
from tests.doors import OpenDoor, door_of
from tests.serving import Service, serving

REGIONS = [code for code in TOPOLOGY.regions if TOPOLOGY.stores(code)]
REPOSITORIES = [WEB, API, Repository("globex/shop")]
LAYERS = ["l1", "l2", "l3", "l4", "l5"]
MANIFESTS = {"m1": ("l1", "l2"), "m2": ("l2", "l3"), "m3": ("l4", "l5", "l1")}
INDEXES = {"i1": ("m1", "m2")}
TAGS = ["v1", "v2"]
ROUNDS = 10
QUESTIONS_A_ROUND = 30


def size_of(name: str) -> int:
    """Return the size of what *name* stands for."""
    return 1_000 * (1 + sum(name.encode())) ** 2


def parts_of(name: str) -> list[Any]:
    """Return what a manifest or index refers to."""
    if name in INDEXES:
        return [
            descriptor(part, size_of(part), MANIFEST, platform)
            for part, platform in zip(INDEXES[name], (AMD64, ARM64), strict=True)
        ]
    return [descriptor(part, size_of(part)) for part in MANIFESTS.get(name, ())]


def media_of(name: str) -> str | None:
    """Return an index's media type; the others' follow from their references."""
    return INDEX if name in INDEXES else None


class World:
    """What may happen, and what may be asked, by one seed."""

    def __init__(self, seed: int) -> None:
        """Choose by *seed*."""
        self.chance = random.Random(seed)
        self.pushed: list[tuple[str, Repository]] = []

    def happening(self) -> Event:
        """Return something that happened."""
        chance = self.chance
        happen = chance.choices(
            [self._push, self._copied, self._said, self._measured], [9, 6, 3, 2]
        )[0]
        return happen(chance.choice(REGIONS))

    def _copied(self, region: Region) -> Event:
        chance = self.chance
        name, repository = self._known()
        size_bytes = size_of(name)
        draw = chance.random()
        if draw < 0.6:
            return replicated(name, region, repository, size_bytes=size_bytes)
        if draw < 0.8:
            return evicted(name, region, repository)
        held = chance.choice([0, 500])
        return announced(
            name, region, repository, held_bytes=held, size_bytes=size_bytes
        )

    def _said(self, region: Region) -> Event:
        chance = self.chance
        name, repository = self._known()
        if chance.random() < 0.5:
            return changed(region, chance.choice(list(RegionState)))
        return tagged(chance.choice(TAGS), name, region, repository)

    def _measured(self, region: Region) -> Event:
        source = self.chance.choice([code for code in REGIONS if code != region])
        return measured(source, region, 10_000_000, self.chance.uniform(0.2, 5))

    def _push(self, region: Region) -> Event:
        chance = self.chance
        name = chance.choice([*LAYERS, *MANIFESTS, *INDEXES])
        repository = chance.choice(REPOSITORIES)
        self.pushed.append((name, repository))
        tag = None
        if parts_of(name) and chance.random() < 0.5:
            tag = Tag(chance.choice(TAGS))
        return pushed(
            name,
            region,
            repository,
            size_bytes=size_of(name),
            references=parts_of(name),
            tag=tag,
            media_type=media_of(name),
        )

    def _known(self) -> tuple[str, Repository]:
        return self.chance.choice(self.pushed or [("l1", WEB)])

    def digest(self) -> Digest:
        """Return the digest of something that was pushed."""
        return digest(self._known()[0])

    def _image(self) -> pb.ImageSelector:
        chance = self.chance
        name, repository = self._known()
        reference = chance.choice([digest(name), *TAGS])
        image = pb.ImageSelector(repository=repository, reference=reference)
        if chance.random() < 0.3:
            image.platform.os = chance.choice(["linux", "linux", "plan9"])
        return image

    def question(self) -> tuple[str, Any]:
        """Return a method and what to ask it; not all of it can be answered."""
        chance = self.chance
        name, repository = self._known()
        region = chance.choice([*TOPOLOGY.regions, *TOPOLOGY.regions, "mars"])
        method = chance.choice(list(METHODS))
        match method:
            case "RankSources":
                request: Any = pb.RankSourcesRequest(
                    repository=repository,
                    digest=chance.choice([*3 * [digest(name)], "sha256:12"]),
                    region=region,
                    max_source_count=chance.choice([0, 0, 1, 32, 33]),
                )
            case "BatchRankSources":
                request = pb.BatchRankSourcesRequest(
                    repository=repository,
                    digests=[self.digest() for _ in range(chance.randint(0, 9))],
                    region=region,
                )
            case "ResolveReference":
                image = self._image()
                request = pb.ResolveReferenceRequest(
                    repository=image.repository, reference=image.reference
                )
            case _:
                request = pb.EstimateStartsRequest(
                    images=[self._image() for _ in range(chance.randint(1, 2))],
                    candidates=chance.choice(["any", "ams,syd", "", "", "atlantis"]),
                    request_id=chance.choice(["", "r1"]),
                    max_region_count=chance.choice([0, 0, 0, 2, -1]),
                )
        return method, request


METHODS = ("RankSources", "BatchRankSources", "ResolveReference", "EstimateStarts")


async def answered(stub: Any, method: str, request: Any) -> Any:  # noqa: ANN401 - any method
    """Return the answer; or its code, its words, and the details beside it."""
    try:
        return await getattr(stub, method)(request)
    except grpc.aio.AioRpcError as error:
        trailing = dict(error.trailing_metadata() or ())
        return error.code(), error.details(), trailing["grpc-status-details-bin"]


def told(answer: Any) -> list[str]:  # noqa: ANN401 - any method's
    """Return what *answer* says, without what replicas are not told.

    Media types, and who set a tag again to what it pointed to.
    """
    if isinstance(answer, pb.ResolveReferenceResponse):
        answer.content.media_type = ""
        for field in ("set_region", "set_time", "set_sequence"):
            answer.ClearField(field)
    return str(answer).splitlines()


@pytest.mark.parametrize("seed", range(8))
async def test_door_answers_as_its_service(seed: int) -> None:
    """Whatever happened: same sources, factors, mounts, waits, errors, bases."""
    world = World(seed)
    async with serving() as service:
        await service.stage.happen(*(world.happening() for _ in range(10)))
        async with door_of(service) as door:
            for number in range(ROUNDS):
                some = [world.happening() for _ in range(world.chance.randint(1, 8))]
                # Of what changes nothing that is watched a replica hears later.
                told_at_once = pushed(f"end of round {number}", IAD)
                await service.stage.happen(*some, told_at_once)
                await door.caught_up(service.stage)
                asked = [world.question() for _ in range(QUESTIONS_A_ROUND)]
                await assert_same(door, service, asked)


async def assert_same(
    door: OpenDoor, service: Service, asked: Sequence[tuple[str, Any]]
) -> None:
    """Assert that door and service answer alike."""
    for method, request in asked:
        mine = await answered(door.placement, method, request)
        its = await answered(service.placement, method, request)
        assert told(mine) == told(its), request
