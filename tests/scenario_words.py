"""The words of scenarios that tell what happened: a line of text to an event."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from placement.core.event import (
    ClientKind,
    ContentAnnounced,
    ContentEvicted,
    ContentPulled,
    ContentPushed,
    ContentReplicated,
    DurationNs,
    Fact,
    Identifier,
    InventoryAbsence,
    InventoryContent,
    InventoryTaken,
    MachineGroup,
    MachinesCounted,
    MachineStarted,
    MachineStopped,
    RegionChanged,
    RegionState,
    StartsRequested,
    TagMoved,
    TimeNs,
    TransferMeasured,
)
from placement.core.oci import Descriptor, Digest, Platform, Repository, Tag
from placement.core.topology import Region
from tests.builders import INDEX, LAYER, MANIFEST, digest

Options = dict[str, str]

_UNITS: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_KINDS: Final = {"layer": LAYER, "manifest": MANIFEST, "index": INDEX}


def parse_size(text: str) -> int:
    """Return ``10MiB`` in bytes."""
    found = re.fullmatch(r"(\d+)([KMG]iB|B)", text)
    assert found, f"no size: {text}"
    return int(found[1]) * _UNITS[found[2]]


def parse_span_ns(text: str) -> int:
    """Return ``2h`` in nanoseconds."""
    found = re.fullmatch(r"(\d+)([smhd])", text)
    assert found, f"no span of time: {text}"
    return int(found[1]) * _SECONDS[found[2]] * 10**9


def parse_duration_ns(text: str) -> DurationNs:
    """Return ``2.5s`` in nanoseconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)s", text)
    assert found, f"no duration: {text}"
    return DurationNs(round(float(found[1]) * 1e9))


class Names:
    """The names that a scenario gives to contents, and what it said of them."""

    def __init__(self) -> None:
        """Begin with no names."""
        self._by_digest: dict[Digest, str] = {}
        self._sizes: dict[str, int] = {}
        self._types: dict[str, str] = {}

    def digest(self, name: str) -> Digest:
        """Return the digest that *name* stands for."""
        found = digest(name)
        self._by_digest[found] = name
        return found

    def name(self, found: Digest) -> str:
        """Return the name of a digest."""
        return self._by_digest[found]

    def describe(self, name: str, options: Options) -> Descriptor:
        """Return the descriptor of *name*: what is said now, or was said first."""
        named, _, platform = name.partition("@")
        size = self._sizes.get(named, 0)
        if "size" in options:
            size = parse_size(options["size"])
            self._sizes.setdefault(named, size)
        if "kind" in options:
            self._types[named] = _KINDS[options["kind"]]
        media = self._types.get(named, LAYER)
        built_for = Platform(*platform.split("/")) if platform else None
        return Descriptor(self.digest(named), media, size, built_for)


Word = Callable[[Names, int, Sequence[str], Options], Fact]


def _push(names: Names, _: int, words: Sequence[str], options: Options) -> Fact:
    repository, name = words
    references = [r for r in options.get("refs", "").split(",") if r]
    if references and "kind" not in options:
        options = options | {"kind": "manifest"}
    return ContentPushed(
        names.describe(name, options),
        Repository(repository),
        Tag(options["tag"]) if "tag" in options else None,
        tuple(names.describe(reference, {}) for reference in references),
    )


def _announce(names: Names, _: int, words: Sequence[str], options: Options) -> Fact:
    repository, name = words
    held = parse_size(options.get("held", "0B"))
    return ContentAnnounced(names.describe(name, {}), Repository(repository), held)


def _copy(names: Names, _: int, words: Sequence[str], options: Options) -> Fact:
    repository, *copied = words
    contents = tuple(names.describe(name, {}) for name in copied)
    verified = options.get("verified") == "yes"
    return ContentReplicated(contents, Repository(repository), verified=verified)


def _evict(names: Names, _: int, words: Sequence[str], options: Options) -> Fact:
    del options
    repository, *removed = words
    if removed == ["*"]:
        return ContentEvicted(Repository(repository), whole_repository=True)
    return ContentEvicted(Repository(repository), tuple(map(names.digest, removed)))


def _tag(names: Names, _: int, words: Sequence[str], options: Options) -> Fact:
    del options
    repository, tag, *pointed = words
    to = names.digest(pointed[0]) if pointed else None
    return TagMoved(Repository(repository), Tag(tag), to)


def _pull(names: Names, _: int, words: Sequence[str], options: Options) -> Fact:
    repository, name = words
    kind = ClientKind[options.get("by", "runtime").upper()]
    tag = Tag(options.get("tag", "latest"))
    return ContentPulled(
        names.digest(name), Repository(repository), tag, client_kind=kind
    )


def _start(names: Names, _: int, words: Sequence[str], options: Options) -> Fact:
    del options
    repository, name, machine = words
    return MachineStarted(
        names.digest(name), Repository(repository), Identifier(machine)
    )


def _request(_: Names, __: int, words: Sequence[str], options: Options) -> Fact:
    [repository] = words
    regions = tuple(map(Region, options["in"].split(",")))
    return StartsRequested(Repository(repository), Tag(options["tag"]), regions)


def _stop(_: Names, __: int, words: Sequence[str], options: Options) -> Fact:
    del options
    [machine] = words
    return MachineStopped(Identifier(machine))


def _count(names: Names, now_ns: int, words: Sequence[str], options: Options) -> Fact:
    repository, name, *machines = words
    scan_ns = TimeNs(now_ns - parse_span_ns(options.get("scan", "0s")))
    found = tuple(map(Identifier, machines))
    group = MachineGroup(Repository(repository), names.digest(name), found)
    return MachinesCounted(scan_ns, complete=True, groups=(group,))


def _inventory(
    names: Names, now_ns: int, words: Sequence[str], options: Options
) -> Fact:
    repository, *listed = words
    scan_ns = TimeNs(now_ns - parse_span_ns(options.get("scan", "0s")))
    owner = Repository(repository)
    gone = [name.removeprefix("no:") for name in listed if name.startswith("no:")]
    there = [name for name in listed if not name.startswith("no:")]
    return InventoryTaken(
        scan_ns,
        complete=True,
        contents=tuple(InventoryContent(names.describe(n, {}), owner) for n in there),
        absences=tuple(InventoryAbsence(names.digest(name), owner) for name in gone),
    )


def _transfer(_: Names, __: int, words: Sequence[str], options: Options) -> Fact:
    del options
    source, size, took = words
    return TransferMeasured(Region(source), parse_size(size), parse_duration_ns(took))


def _region(_: Names, __: int, words: Sequence[str], options: Options) -> Fact:
    del options
    region, state = words
    return RegionChanged(Region(region), RegionState[state.upper()])


WORDS: Final[dict[str, Word]] = {
    "push": _push,
    "announce": _announce,
    "copy": _copy,
    "evict": _evict,
    "tag": _tag,
    "pull": _pull,
    "start": _start,
    "request": _request,
    "stop": _stop,
    "count": _count,
    "inventory": _inventory,
    "transfer": _transfer,
    "region": _region,
}
"""Each as ``word region ... option=value``; what follows depends on the word."""
