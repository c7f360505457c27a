"""Releases of small apps as they are told to a service, and registries that copy."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from placement.v1 import events_pb2

LAYER_BYTES = 40_000_000
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
STARTS, WANTED = ("syd", "ams"), "fra"
"""Where an app is about to start, and where else somebody wants its image."""


@dataclass
class App:
    """An app of one layer, which is about to start where it never was."""

    name: str

    @property
    def repository(self) -> str:
        """Return where its images are."""
        return f"acme/{self.name}"

    def content(self, what: str, size: int, media: str) -> events_pb2.Descriptor:
        """Return the descriptor of its layer, or of its image."""
        number = int.from_bytes(f"{self.name}-{what}".encode())
        digest = f"sha256:{number:064x}"
        return events_pb2.Descriptor(media_type=media, digest=digest, size_bytes=size)

    @property
    def layer(self) -> events_pb2.Descriptor:
        """Return its only layer."""
        return self.content("layer", LAYER_BYTES, LAYER)

    @property
    def image(self) -> events_pb2.Descriptor:
        """Return its image's manifest."""
        return self.content("image", 1_000, MANIFEST)

    def events(self) -> list[events_pb2.Event]:
        """Return what happens from the request for starts to the finished push."""
        asked = events_pb2.StartsRequested(
            repository=self.repository, reference="v1", regions=STARTS
        )
        layer = events_pb2.ContentPushed(content=self.layer, repository=self.repository)
        image = events_pb2.ContentPushed(
            content=self.image,
            repository=self.repository,
            tag="v1",
            references=[self.layer],
        )
        wanted = events_pb2.ReplicationRequested(
            request_id=f"{self.name}-wanted",
            repository=self.repository,
            reference=self.image.digest,
            target_region=WANTED,
        )
        facts = [
            events_pb2.Event(starts_requested=asked),
            events_pb2.Event(content_pushed=layer),
            events_pb2.Event(content_pushed=image),
            events_pb2.Event(replication_requested=wanted),
        ]
        for number, event in enumerate(facts):
            event.event_id, event.region = f"{self.name}-{number}", "iad"
        return facts


@dataclass
class Registries:
    """The registries of all regions: what was copied, and how often."""

    contents: dict[str, Sequence[events_pb2.Descriptor]] = field(default_factory=dict)
    effects: Counter[str] = field(default_factory=Counter)

    def learn(self, app: App) -> None:
        """Have the app's contents."""
        self.contents[app.layer.digest] = [app.layer]
        self.contents[app.image.digest] = [app.layer, app.image]

    async def copy(
        self, planned: events_pb2.ReplicationPlanned
    ) -> Sequence[events_pb2.Descriptor]:
        """Copy without a look at what is there, so that a second copy shows."""
        self.effects[planned.subject.replication_id] += 1
        await asyncio.sleep(0.02)
        return self.contents[planned.subject.digest]
