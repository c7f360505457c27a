"""Copies that a served stage decides about: facts by hand, and folding meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from placement.core.event import Document as PolicyText
from placement.core.event import (
    Event,
    Factor,
    Identifier,
    Name,
    PolicyChanged,
    ReplicationPlanned,
    ReplicationSubject,
    ReplicationTrigger,
    Text,
    TimeNs,
)
from placement.core.oci import Tag
from placement.core.topology import Region
from tests.builders import AMS, IAD, LAYER, SYD, WEB, descriptor, digest, event, pushed
from tests.serving import Service, Stage

LAYER_BYTES: Final = 60_000_000
MANIFEST_BYTES: Final = 1_000
WHOLE_BYTES: Final = LAYER_BYTES + MANIFEST_BYTES
LAYERS: Final = [descriptor("layer", LAYER_BYTES, LAYER)]
FACTORS: Final = (Factor(Identifier("probability"), 0.25),)


def released(region: Region = AMS) -> tuple[Event, Event]:
    """Return the pushes of a layer and of the image ``a``, which is tagged v1."""
    image = pushed(
        "a", region, references=LAYERS, size_bytes=MANIFEST_BYTES, tag=Tag("v1")
    )
    return pushed("layer", region, size_bytes=LAYER_BYTES), image


def subject(own_id: str, name: str = "a", target: Region = SYD) -> ReplicationSubject:
    """Return what a decision is about."""
    return ReplicationSubject(Identifier(own_id), WEB, digest(name), target)


def planned(  # noqa: PLR0913 - whatever a test is about
    own_id: str,
    name: str = "a",
    target: Region = SYD,
    *,
    trigger: int = 1,
    priority: int = 2,
    expire_ns: int | None = None,
    source: Region = AMS,
) -> Event:
    """Return the decision to copy an image."""
    fact = ReplicationPlanned(
        subject(own_id, name, target),
        source,
        WHOLE_BYTES,
        ReplicationTrigger.PUSH,
        trigger,
        FACTORS,
        None if expire_ns is None else TimeNs(expire_ns),
        Name("default@0"),
        start_regions=(target,),
        priority=priority,
        reason=Name("start-forecast"),
        explanation=Text("one start in four comes"),
    )
    return event(target, fact)


def ordered(policy: str) -> Event:
    """Return that a policy is in force from now on."""
    return event(IAD, PolicyChanged(Name("strict"), PolicyText(policy)))


@asynccontextmanager
async def folding(service: Service) -> AsyncIterator[Stage]:
    """Fold what is stored within the block, soon after it is."""

    async def fold() -> None:
        while True:
            await service.stage.fold_all()
            await asyncio.sleep(0.005)

    task = asyncio.create_task(fold())
    try:
        yield service.stage
    finally:
        task.cancel()
        await asyncio.wait({task})
