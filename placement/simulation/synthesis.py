"""A trace becomes the facts of our own log: pushes, starts, and apps withdrawn.

What the trace does not say comes from the assumptions. Each (repository, tag) is one
image: a manifest and its layers, pushed to the home region *delta* before its first
start anywhere. With a layer share of 0 an image is one layer; with 0.8 an app has one
base layer of 80 % of the bytes, which every version keeps from its predecessor and
which is pushed once, and each version has a layer of its own for the other 20 %.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from heapq import merge
from operator import itemgetter
from typing import Final

from placement.core.event import (
    AppWithdrawn,
    ContentPushed,
    Event,
    Identifier,
    MachineStarted,
    Name,
    TimeNs,
)
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.simulation.assumptions import Assumptions, RegionMap
from placement.simulation.names import app_of
from placement.simulation.trace import Kind, Trace, TraceRow

MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST_BYTES: Final = 1_000
"""Of an image's size, so that all of its contents together have that size."""
PUBLISHER: Final = Name("simulation")
SECOND_NS: Final = 10**9


@dataclass(frozen=True, slots=True)
class Image:
    """One version of an app: its manifest and its layers, the shared one first."""

    manifest: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def size_bytes(self) -> int:
        """Return the size of all of its contents."""
        return self.manifest.size_bytes + sum(x.size_bytes for x in self.layers)


Instant = tuple[int, list[Event]]
"""A time in nanoseconds and all that happened then; pushes come before starts."""
_Ordered = tuple[int, int, Event]
"""Time, rank within one time, what happened."""
_Version = tuple[Repository, Tag]


class Synthesis:
    """The facts of one trace, in the order of time; they may be read several times."""

    def __init__(
        self,
        trace: Trace,
        regions: RegionMap,
        assumptions: Assumptions,
        *,
        upload_s: float = 0.0,
    ) -> None:
        """Keep what is needed; layers are pushed *upload_s* before their manifest.

        upload_s >= 0, seconds; with 0 both are pushed at the same moment, the layers
        first.
        """
        self._rows = trace.rows
        self._regions = regions
        self._delta_ns = round(assumptions.delta_s * SECOND_NS)
        self._upload_ns = round(upload_s * SECOND_NS)
        self.first_starts_s = _first_starts(trace.rows)
        """When each (repository, tag) first started anywhere, in that order."""
        self.images = {
            version: image_of(*version, assumptions) for version in self.first_starts_s
        }
        """The image of each (repository, tag)."""

    def instants(self) -> Iterator[Instant]:
        """Yield everything that happens, in order, one moment at a time."""
        streams = (self._layers_pushed(), self._manifests_pushed(), self._told())
        found: list[Event] = []
        now_ns = 0
        for time_ns, _, happening in merge(*streams, key=itemgetter(0, 1)):
            if time_ns != now_ns and found:
                yield now_ns, found
                found = []
            now_ns = time_ns
            found.append(happening)
        if found:
            yield now_ns, found

    def _layers_pushed(self) -> Iterator[_Ordered]:
        pushed: set[Digest] = set()
        for version, first_s in self.first_starts_s.items():
            for layer in self.images[version].layers:
                if layer.digest not in pushed:
                    pushed.add(layer.digest)
                    fact = ContentPushed(layer, version[0])
                    yield self._pushed(first_s, self._upload_ns, 0, fact)

    def _manifests_pushed(self) -> Iterator[_Ordered]:
        for (repository, tag), first_s in self.first_starts_s.items():
            image = self.images[repository, tag]
            fact = ContentPushed(image.manifest, repository, tag, image.layers)
            yield self._pushed(first_s, 0, 1, fact)

    def _pushed(
        self, first_s: int, upload_ns: int, rank: int, fact: ContentPushed
    ) -> _Ordered:
        time_ns = max(1, first_s * SECOND_NS - self._delta_ns - upload_ns)
        name = fact.content.digest.partition(":")[2]
        event_id = Identifier(f"push-{name}")
        region = self._regions.home
        return time_ns, rank, Event(event_id, region, fact, TimeNs(time_ns), PUBLISHER)

    def _told(self) -> Iterator[_Ordered]:
        for number, row in enumerate(self._rows):
            time_ns = TimeNs(row.time_s * SECOND_NS)
            region = self._regions.codes[row.region]
            fact: AppWithdrawn | MachineStarted
            if row.kind is Kind.REMOVE or row.tag is None:
                name, fact = f"withdrawal-{number}", AppWithdrawn(row.repository)
            else:
                name = f"start-{number}"
                fact = MachineStarted(
                    self.images[row.repository, row.tag].manifest.digest,
                    row.repository,
                    Identifier(f"machine-{number}"),
                    row.tag,
                )
            event = Event(Identifier(name), region, fact, time_ns, PUBLISHER)
            yield time_ns, 2, event


def image_of(repository: Repository, tag: Tag, assumptions: Assumptions) -> Image:
    """Return the image that stands for one version of an app."""
    size = assumptions.sizes.size_bytes(app_of(repository)) - MANIFEST_BYTES
    shared = round(assumptions.layer_share * size)
    layers = [Descriptor(_digest("layer", repository, tag), LAYER_TYPE, size - shared)]
    if shared:
        base = Descriptor(_digest("base", repository), LAYER_TYPE, shared)
        layers.insert(0, base)
    digest = _digest("manifest", repository, tag)
    return Image(Descriptor(digest, MANIFEST_TYPE, MANIFEST_BYTES), tuple(layers))


def _first_starts(rows: Iterable[TraceRow]) -> dict[_Version, int]:
    found: dict[_Version, int] = {}
    for row in rows:
        if row.kind is Kind.START and row.tag is not None:
            found.setdefault((row.repository, row.tag), row.time_s)
    return found


def _digest(*words: str) -> Digest:
    return Digest("sha256:" + sha256("\n".join(words).encode()).hexdigest())
