"""A region's registry itself: what it holds, which is what is true, and what it tells.

It keeps the promises of a real one, and no more: it tells every push, pull and removal
once to whoever listens; whether that arrives, it does not know (``notifier``).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from placement.agent.registry.manifests import Manifest, digest_of
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.topology import Region
from tests.builders import SECOND_NS
from tests.simulator.history import Place, Stored
from tests.simulator.world import World

OWN: Final = "placement-replicator/1.0"
CLIENT: Final = "docker/27"
YOUNG_SECONDS: Final = 6.0
"""What came in so lately, garbage collection leaves alone: it may be of a push."""


@dataclass(eq=False)
class Shelf:
    """What one region's registry holds, and how well it works."""

    world: World
    region: Region
    verifies: bool = True
    """Whether it refuses a body of another digest; not all registries do."""
    layers: dict[Place, bytes] = field(default_factory=dict)
    manifests: dict[Place, Manifest] = field(default_factory=dict)
    tags: dict[tuple[Repository, Tag], Digest] = field(default_factory=dict)
    down: bool = False
    seconds_max: float = 0.02
    """A request takes up to so long, each way."""
    failing: float = 0.0
    """The chance that a request fails, before or after it had its effect."""
    damaging: float = 0.0
    """The chance that a body is sent with other bytes than its own."""
    told: Callable[[dict[str, object]], None] | None = None
    """Takes what it tells."""
    spoiled: set[Place] = field(default_factory=set)
    """What was once sent with other bytes than its own."""
    copied: set[Place] = field(default_factory=set)
    """What our own copies brought, and nobody has removed since."""
    collected_seconds: float = 0.0
    """When garbage left last, of which nobody hears before the next scan; or what we
    removed: a scan that saw it before, by a clock that is ahead, says it is there."""
    _pointed: dict[tuple[Repository, Tag], list[tuple[float, Digest | None]]] = field(
        default_factory=dict
    )
    """What each tag ever pointed to, and since when."""
    _came: dict[Place, float] = field(default_factory=dict)
    _told_count: int = 0

    # What it holds.

    def holds(self, place: Place) -> bool:
        """Say whether it can be had here."""
        return place in self.manifests or place in self.layers

    def listing(self) -> Stored:
        """Return all that it holds, as of now."""
        places = sorted({*self.manifests, *self.layers})
        wrong = [place for place in places if self._digest(place) != place[1]]
        return Stored(
            self.region, tuple(places), tuple(sorted(self._tagged())), tuple(wrong)
        )

    def whole(self, place: Place) -> bool:
        """Say whether an image is here with all that it refers to."""
        manifest = self.manifests.get(place)
        if manifest is None:
            return place in self.layers
        return all(self.whole((place[0], one.digest)) for one in manifest.references)

    def _digest(self, place: Place) -> Digest:
        manifest = self.manifests.get(place)
        return digest_of(self.layers[place] if manifest is None else manifest.body)

    def _tagged(self) -> set[Place]:
        """Return all that tags lead to."""
        found: set[Place] = set()
        waiting = [
            (repository, digest) for (repository, _), digest in self.tags.items()
        ]
        while waiting:
            place = waiting.pop()
            if place in found or not self.holds(place):
                continue
            found.add(place)
            manifest = self.manifests.get(place)
            references = () if manifest is None else manifest.references
            waiting += [(place[0], one.digest) for one in references]
        return found

    # What happens to it, and who did it.

    def store_layer(self, place: Place, body: bytes, agent: str) -> None:
        """Keep a layer, whole; an upload that is repeated replaces nothing."""
        if agent == OWN:
            if place in self.copied and place in self.layers:
                self.world.fail(f"{place} was copied to {self.region} a second time")
            self.copied.add(place)
        self.layers[place] = body
        self._came[place] = self.world.loop.now_seconds
        self._tell("push", place, agent, Descriptor(place[1], "", len(body)))

    def store_manifest(
        self, place: Place, manifest: Manifest, agent: str, tag: Tag | None = None
    ) -> None:
        """Keep a manifest, and let *tag* point to it."""
        self.manifests[place] = manifest
        self._came[place] = self.world.loop.now_seconds
        if tag is not None:
            self._point((place[0], tag), place[1])
        self._tell("push", place, agent, manifest.descriptor, tag)

    def pulled(self, place: Place, agent: str, tag: Tag | None = None) -> None:
        """Tell that somebody fetched what is here."""
        manifest = self.manifests.get(place)
        size = len(self.layers[place]) if manifest is None else 0
        content = Descriptor(place[1], "", size)
        self._tell(
            "pull", place, agent, manifest.descriptor if manifest else content, tag
        )

    def remove(self, place: Place, agent: str) -> bool:
        """Remove a manifest with its tags, or a layer; say whether it was there."""
        there = self.holds(place)
        self.world.history.left[self.region, place] += there
        self.manifests.pop(place, None)
        self.layers.pop(place, None)
        self.copied.discard(place)
        if there and agent == OWN:
            self.collected_seconds = self.world.loop.now_seconds
        for key in [key for key, at in self.tags.items() if (key[0], at) == place]:
            self._point(key, None)
        if there:
            self._tell("delete", place, agent, Descriptor(place[1]))
        return there

    def _point(self, key: tuple[Repository, Tag], digest: Digest | None) -> None:
        self._pointed.setdefault(key, []).append((self.world.loop.now_seconds, digest))
        if digest is None:
            del self.tags[key]
        else:
            self.tags[key] = digest

    def pointed(
        self, repository: Repository, tag: Tag, since_seconds: float
    ) -> set[Digest]:
        """Return all that a tag has pointed to at any time from then on."""
        found: set[Digest | None] = set()
        for seconds, digest in self._pointed.get((repository, tag), []):
            if seconds < since_seconds:
                found.clear()
            found.add(digest)
        return {digest for digest in found if digest is not None}

    def sent(self, place: Place, body: bytes) -> bytes:
        """Return *body* as it leaves here, which may be with another last byte."""
        if self.damaging and self.world.random.random() < self.damaging:
            self.spoiled.add(place)
            return body[:-1] + bytes([body[-1] ^ 1])
        return body

    def collect(self) -> None:
        """Let go of all layers that no manifest needs, without a word to anybody."""
        needed = {
            (place[0], one.digest)
            for place, manifest in self.manifests.items()
            for one in manifest.references
        }
        now_seconds = self.world.loop.now_seconds
        since = now_seconds - YOUNG_SECONDS
        for place in [one for one in self.layers if one not in needed]:
            if self._came[place] < since:
                del self.layers[place]
                self.world.history.left[self.region, place] += 1
                self.copied.discard(place)
                self.collected_seconds = now_seconds

    def _tell(
        self,
        action: str,
        place: Place,
        agent: str,
        content: Descriptor,
        tag: Tag | None = None,
    ) -> None:
        if self.told is None:
            return
        self._told_count += 1
        own_id = f"{self.region}-{self._told_count}"
        target: dict[str, object] = {"repository": place[0], "digest": place[1]}
        if action != "delete":
            target |= {"mediaType": content.media_type, "size": content.size_bytes}
            target |= {"tag": tag} if tag is not None else {}
        now = datetime.fromtimestamp(self.world.now_ns() // SECOND_NS, UTC)
        method = {"pull": "GET", "push": "PUT", "delete": "DELETE"}[action]
        self.told(
            {
                "id": own_id,
                "timestamp": now.isoformat(),
                "action": action,
                "target": target,
                "request": {
                    "id": f"request-{own_id}",
                    "addr": "192.0.2.1:4000",
                    "method": method,
                    "useragent": agent,
                },
            }
        )
