"""The reference model's half about content: names, owners, what is where, tags."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field, replace
from typing import NamedTuple

from placement.core.event import (
    ContentAnnounced,
    ContentEvicted,
    ContentPushed,
    ContentReplicated,
    Event,
    InventoryTaken,
    OwnershipDeclared,
    TagMoved,
)
from placement.core.oci import Descriptor, Platform

Row = tuple[str | int | bytes, ...]
App = tuple[str, str]


class When(NamedTuple):
    """Where an event happened, when, and what orders it among others.

    *stored_ns* is the log's time, which never stands still from one event to the next.
    """

    event: Event
    region: str
    time_ns: int
    order_ns: int
    stored_ns: int
    late: bool


@dataclass(frozen=True)
class RegionOrders:
    """What was said of a region."""

    state: int = 0
    order_ns: int = 0
    expire_ns: int = 0
    inventory_ns: int = 0
    last_start_ns: int = 0


@dataclass(frozen=True)
class Owner:
    """Whose a repository is."""

    app: App | None = None
    declared_ns: int = 0
    named_ns: int = 0


@dataclass(frozen=True)
class Known:
    """What is known of a digest."""

    size_bytes: int = 0
    media_type: str = ""
    references: tuple[tuple[str, Platform | None], ...] = ()
    subject: str = ""
    original: str = ""


class Claim(NamedTuple):
    """One thing that was said of a replica."""

    phase: str
    order_ns: int
    time_ns: int
    held_bytes: int = 0


@dataclass(frozen=True)
class Pointer:
    """Where a tag points, by whom and since when."""

    digest: str
    region: str
    order_ns: int
    time_ns: int


Place = tuple[str, str, str]
"""Repository, digest, region."""


@dataclass
class Content:
    """Everything that was said of content."""

    regions: dict[str, RegionOrders] = field(default_factory=dict)
    repositories: dict[str, Owner] = field(default_factory=dict)
    digests: dict[str, Known] = field(default_factory=dict)
    places: set[tuple[str, str]] = field(default_factory=set)
    claims: dict[Place, list[Claim]] = field(default_factory=lambda: defaultdict(list))
    apps: set[App] = field(default_factory=set)
    cleared: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    tags: dict[tuple[str, str], Pointer] = field(default_factory=dict)

    def hear_of(self, region: str) -> str:
        """Remember that there is such a region."""
        self.regions.setdefault(region, RegionOrders())
        return region

    def place(self, repository: str, digest: str) -> tuple[str, str]:
        """Remember that the repository had such a digest."""
        self.places.add(self.name(repository, digest))
        return repository, digest

    def meant(self, repository: str, reference: str) -> str:
        """Return the digest that a reference means now; empty for an unknown tag."""
        if ":" in reference:
            return reference
        pointer = self.tags.get((repository, reference))
        return pointer.digest if pointer else ""

    def name(self, repository: str, digest: str) -> tuple[str, str]:
        """Remember that there are such a repository and such a digest."""
        self.repositories.setdefault(repository, Owner())
        self.digests.setdefault(digest, Known())
        return repository, digest

    def own(self, when: When, repository: str) -> App:
        """Return whose the repository is, as far as events have told."""
        owner = self.repositories.setdefault(repository, Owner())
        said = (when.event.organization, when.event.app)
        known = owner.app or (repository.split("/", maxsplit=1)[0], repository)
        app = (said[0] or known[0], said[1] or known[1])
        self.apps.add(app)
        named_ns = when.order_ns if any(said) else 0
        nobody_yet = owner.app is None
        latest = any(said) and named_ns >= owner.named_ns
        if not owner.declared_ns and (nobody_yet or latest):
            self.repositories[repository] = Owner(app, 0, named_ns)
        return app

    def declare(self, when: When, fact: OwnershipDeclared) -> None:
        """The latest declaration holds, whatever order they come in."""
        owner = self.repositories.setdefault(fact.repository, Owner())
        if when.order_ns > owner.declared_ns:
            app = (fact.organization, fact.app or fact.repository)
            self.apps.add(app)
            self.repositories[fact.repository] = Owner(
                app, when.order_ns, owner.named_ns
            )

    def describe(self, content: Descriptor) -> None:
        """The first size holds; so does the first type that says anything."""
        known = self.digests.setdefault(content.digest, Known())
        size = known.size_bytes or content.size_bytes
        media = known.media_type
        if media in ("", "application/octet-stream"):
            media = content.media_type or media
        self.digests[content.digest] = replace(known, size_bytes=size, media_type=media)

    def refer(self, digest: str, references: tuple[Descriptor, ...]) -> None:
        """The first list of references holds: content never changes."""
        if self.digests[digest].references:
            return
        for reference in references:
            self.describe(reference)
        pairs = tuple((r.digest, r.platform) for r in references)
        self.digests[digest] = replace(self.digests[digest], references=pairs)

    def claim(self, when: When, place: tuple[str, str], claim: Claim) -> None:
        """Keep what was said of a replica in the event's region."""
        key = (*place, when.region)
        cleared = self.cleared.get((place[0], when.region))
        if key not in self.claims and cleared:
            self.claims[key].append(Claim("gone", *cleared))
        self.claims[key].append(claim)

    def push(self, when: When, fact: ContentPushed) -> None:
        """Content arrived, with all that it says of itself."""
        place = self.place(fact.repository, fact.content.digest)
        self.own(when, fact.repository)
        self.describe(fact.content)
        self.refer(fact.content.digest, fact.references)
        if fact.subject_digest is not None:
            self.digests.setdefault(fact.subject_digest, Known())
            self.digests[place[1]] = replace(
                self.digests[place[1]], subject=fact.subject_digest
            )
        self.claim(when, place, Claim("complete", when.order_ns, when.time_ns))
        if fact.tag is not None:
            self.move(when, TagMoved(fact.repository, fact.tag, fact.content.digest))

    def announce(self, when: When, fact: ContentAnnounced) -> None:
        """Content is on its way."""
        place = self.place(fact.repository, fact.content.digest)
        self.own(when, fact.repository)
        self.describe(fact.content)
        claim = Claim("announced", when.order_ns, when.time_ns, fact.held_bytes)
        self.claim(when, place, claim)

    def replicate(self, when: When, fact: ContentReplicated) -> None:
        """Content arrived by a copy; the first is the one that may be a manifest."""
        self.own(when, fact.repository)
        phase = "verified" if fact.verified else "complete"
        for position, content in enumerate(fact.contents):
            place = self.place(fact.repository, content.digest)
            self.describe(content)
            self.claim(when, place, Claim(phase, when.order_ns, when.time_ns))
            if position > 0:
                continue
            self.refer(content.digest, fact.references)
            if fact.original_digest is not None:
                self.digests.setdefault(fact.original_digest, Known())
            known = self.digests[content.digest]
            if fact.original_digest not in (None, content.digest) and (
                not known.original
            ):
                self.digests[content.digest] = replace(
                    known, original=str(fact.original_digest)
                )

    def evict(self, when: When, fact: ContentEvicted) -> None:
        """Content left one repository of the region, or the whole repository did."""
        self.repositories.setdefault(fact.repository, Owner())
        gone = Claim("gone", when.order_ns, when.time_ns)
        for digest in fact.digests:
            self.claim(when, self.place(fact.repository, digest), gone)
        if not fact.whole_repository:
            return
        here = (fact.repository, when.region)
        if when.order_ns <= self.cleared.get(here, (0, 0))[0]:
            return
        self.cleared[here] = (when.order_ns, when.time_ns)
        for name, content, region in list(self.claims):
            if (name, region) == here:
                self.claim(when, (name, content), gone)
        for (name, tag), pointer in self.tags.items():
            mine = (name, pointer.region) == here
            if mine and pointer.order_ns <= when.order_ns:
                self.tags[name, tag] = replace(pointer, digest="")

    def point(self, when: When, repository: str, tag: str, digest: str) -> None:
        """Point a tag to *digest*, unless all of the repository left since."""
        if when.order_ns <= self.cleared.get((repository, when.region), (0, 0))[0]:
            digest = ""
        pointer = Pointer(digest, when.region, when.order_ns, when.time_ns)
        self.tags[repository, tag] = pointer

    def move(self, when: When, fact: TagMoved) -> None:
        """The latest move holds, whatever order they come in."""
        self.own(when, fact.repository)
        if fact.digest is not None:
            self.place(fact.repository, fact.digest)
        key = (fact.repository, fact.tag)
        before = self.tags.get(key)
        if before is None or when.order_ns >= before.order_ns:
            self.point(when, fact.repository, fact.tag, fact.digest or "")

    def inventory(self, when: When, fact: InventoryTaken) -> None:
        """What a scan saw is true as of its beginning."""
        scan_ns = min(fact.scan_time_ns, when.order_ns)
        seen = when._replace(time_ns=scan_ns, order_ns=scan_ns)
        for entry in fact.contents:
            self.own(seen, entry.repository)
            place = self.place(entry.repository, entry.content.digest)
            self.describe(entry.content)
            self.refer(entry.content.digest, entry.references)
            self.claim(seen, place, Claim("complete", scan_ns, scan_ns))
            for tag in entry.tags:
                before = self.tags.get((entry.repository, tag))
                if before is None or (
                    scan_ns > before.order_ns
                    and (before.region == when.region or not before.digest)
                ):
                    self.point(seen, entry.repository, tag, entry.content.digest)
        for absence in fact.absences:
            place = self.place(absence.repository, absence.digest)
            self.claim(seen, place, Claim("gone", scan_ns, scan_ns))
        if fact.complete:
            orders = self.regions[when.region]
            newest = max(orders.inventory_ns, scan_ns)
            self.regions[when.region] = replace(orders, inventory_ns=newest)

    def rows(self) -> Iterator[Row]:
        """Yield everything as the fold's canonical rows."""
        for region, said in self.regions.items():
            yield ("region", region.encode(), *astuple(said))
        for repository, owner in self.repositories.items():
            app = "\0".join(owner.app) if owner.app else ""
            since = (owner.declared_ns, owner.named_ns)
            yield ("repository", repository.encode(), app, *since)
        yield from (("placement", *place) for place in self.places)
        for digest, known in self.digests.items():
            count = len(known.references)
            about = (known.size_bytes, known.media_type, count)
            yield ("digest", digest.encode(), *about, known.subject, known.original)
            for position, (child, platform) in enumerate(known.references):
                shown: tuple[str, ...] = ()
                if platform is not None:
                    shown = (platform.os, platform.architecture, platform.variant)
                yield ("edge", digest.encode(), position, child, *shown)
        for place, claims in self.claims.items():
            yield ("replica", *place, *replica_of(claims))
        for here, cleared in self.cleared.items():
            yield ("cleared", *here, *cleared)
        for (repository, tag), p in self.tags.items():
            moved = (p.order_ns, p.time_ns)
            yield ("tag", repository, tag.encode(), p.digest, p.region, *moved)


def replica_of(claims: list[Claim]) -> tuple[int, ...]:
    """Return the latest time of each phase, the bytes held, and when that changed."""
    latest = {
        phase: max((c.order_ns for c in claims if c.phase == phase), default=0)
        for phase in ("gone", "announced", "complete", "verified")
    }
    newest = [
        c.held_bytes
        for c in claims
        if c.phase == "announced" and c.order_ns == latest["announced"]
    ]
    arrivals = [c.time_ns for c in claims if c.phase != "gone"]
    changes = list(arrivals)
    gone_ns = 0
    for claim in claims:
        if claim.phase == "gone" and claim.order_ns > gone_ns:
            gone_ns = claim.order_ns
            changes.append(claim.time_ns)
    created = min(arrivals, default=0)
    held = newest[-1] if newest else 0
    return (*latest.values(), held, created, max(changes))
