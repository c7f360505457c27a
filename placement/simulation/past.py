"""The past of a back-test: which images were pushed, and where they started.

Times are in nanoseconds of unix time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NewType

from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from placement.simulation.assumptions import Assumptions, RegionMap
from placement.simulation.synthesis import SECOND_NS, Image, Synthesis
from placement.simulation.trace import Kind, Trace

Part = NewType("Part", int)
"""Contents that always move together: an index into ``Past.part_bytes``."""
STARTS_REPORTED: Final = "machine starts"
PULLS_INSTEAD: Final = "manifest pulls (no machine starts were reported)"


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """One image of one repository; *home* is where it was pushed.

    *layers_time_ns* <= *push_time_ns*: from when on its layers can be copied.
    """

    repository: Repository
    digest: Digest
    tag: Tag | None
    home: Region
    layers_time_ns: int
    push_time_ns: int
    parts: tuple[Part, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Start:
    """A machine of *version* started in the start region *region*."""

    time_ns: int
    version: Version
    region: Region


@dataclass(frozen=True, slots=True)
class Removal:
    """An app left a start region."""

    time_ns: int
    repository: Repository
    region: Region


@dataclass(frozen=True, slots=True)
class Past:
    """What happened: versions by push, the others by time; parts with their bytes."""

    versions: tuple[Version, ...]
    part_bytes: tuple[int, ...]
    starts: tuple[Start, ...]
    removals: tuple[Removal, ...] = ()
    stands_in_for_starts: str = STARTS_REPORTED
    """What counts as a start; figures say so."""
    left_out_count: int = 0
    """Starts that are not in it, since their push or their region is not known."""
    contents: Mapping[Digest, Part] = field(default_factory=dict)
    """The part that each content of a trace is in."""

    def span_ns(self) -> tuple[int, int]:
        """Return when the first and the last of it happened; (0, 0) if nothing did."""
        times = [version.push_time_ns for version in self.versions[:1]]
        for happened in (self.starts, self.removals):
            times += [one.time_ns for one in (*happened[:1], *happened[-1:])]
        return min(times, default=0), max(times, default=0)


def past_of(
    trace: Trace,
    regions: RegionMap,
    assumptions: Assumptions,
    *,
    upload_s: float = 0.0,
    apart: bool = False,
) -> Past:
    """Return the past of *trace*; layers are pushed *upload_s* before their manifest.

    Pushes, layers and sizes are those of the synthesis, so that both agree. A manifest
    moves with the layer that is its own, or *apart*, as a part of its own.
    """
    synthesis = Synthesis(trace, regions, assumptions, upload_s=upload_s)
    delta_ns, upload_ns = (
        round(seconds * SECOND_NS) for seconds in (assumptions.delta_s, upload_s)
    )
    parts: dict[Digest, Part] = {}
    part_bytes: list[int] = []
    versions: dict[tuple[Repository, Tag], Version] = {}
    for (repository, tag), image in synthesis.images.items():
        first_ns = synthesis.first_starts_s[repository, tag] * SECOND_NS
        versions[repository, tag] = Version(
            repository,
            image.manifest.digest,
            tag,
            regions.home,
            max(1, first_ns - delta_ns - upload_ns),
            max(1, first_ns - delta_ns),
            _parts(image, parts, part_bytes, apart=apart),
            image.size_bytes,
        )
    starts, removals = [], []
    for row in trace.rows:
        time_ns, region = row.time_s * SECOND_NS, regions.codes[row.region]
        if row.kind is Kind.REMOVE or row.tag is None:
            removals.append(Removal(time_ns, row.repository, region))
        else:
            starts.append(Start(time_ns, versions[row.repository, row.tag], region))
    pushed = tuple(versions.values())
    return Past(
        pushed, tuple(part_bytes), tuple(starts), tuple(removals), contents=parts
    )


def _parts(
    image: Image, parts: dict[Digest, Part], part_bytes: list[int], *, apart: bool
) -> tuple[Part, ...]:
    """Return the parts of *image*: its shared layers, then its own and its manifest."""
    contents = (*image.layers, image.manifest)
    for content in contents:
        if content == image.manifest and not apart:
            own = parts[image.layers[-1].digest]
            part_bytes[own] += content.size_bytes
            parts[content.digest] = own
        elif content.digest not in parts:
            parts[content.digest] = Part(len(part_bytes))
            part_bytes.append(content.size_bytes)
    return tuple(dict.fromkeys(parts[content.digest] for content in contents))
