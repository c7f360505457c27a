"""The reference model's half about learning: versions, trials, and how they ended."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

from tests.model_content import App, Content, Row, When
from tests.model_use import HOUR_NS, Usage, Use, kind_of

FIRST, MEMBER, FORMER, YOUNG, SECOND, OTHER = range(1, 7)
DAY_NS = 24 * HOUR_NS
SECOND_NS = 10**9
LAGS = 15
CAPACITIES = {"app_outcomes": 64, "pooled_outcomes": 1024}

Place = tuple[str, str]
"""Repository, digest."""


class Version(NamedTuple):
    """Something that was given a tag, or that started without one."""

    place: Place
    app: App
    shape: str
    order_ns: int
    number: int
    """How many versions of the app were pushed by then."""


class Trial(NamedTuple):
    """Whether a version will start in a region; *trigger* is PUSH or a region."""

    version: Version
    region: str
    trigger: str
    known: int
    order_ns: int
    time_ns: int


@dataclass
class Learned:
    """Every version, every open trial, and every outcome."""

    content: Content
    use: Usage
    versions_open: int
    shapes_max: int
    versions: list[Version] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    pushes: Counter[App] = field(default_factory=Counter)
    first_starts: dict[App, int] = field(default_factory=dict)
    shapes: set[str] = field(default_factory=set)
    latest: dict[App, tuple[str, str]] = field(default_factory=dict)
    bursts: dict[tuple[App, str], list[int]] = field(default_factory=dict)
    outcomes: dict[tuple[str | bytes | int, ...], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """In the order in which they came: seconds until a hit, 0 for a miss."""

    def tag(
        self, when: When, repository: str, digest: str | None, tag: str | None
    ) -> None:
        """A first tag makes a version, and ends what was open of elsewhere."""
        if when.late or digest is None or tag is None:
            return
        media = self.content.digests[digest].media_type
        known = any(v.place == (repository, digest) for v in self.versions)
        if known or (media and kind_of(media) == "blob"):
            return
        app = self.content.own(when, repository)
        self.expire(when)
        self.pushes[app] += 1
        mine = [t for t in self.trials if t.version.app == app]
        self.end([t for t in mine if t.known == OTHER])
        version = self.add(when, (repository, digest), app, tag)
        self.open(when, version, "PUSH")

    def pull(self, when: When, use: Use | None, tag: str | None) -> None:
        """An image's pull stands in for a start while nobody reports any."""
        if use is not None and use.of_app and not self.use.starts_said:
            self.start(when, use, tag)

    def start(self, when: When, use: Use | None, tag: str | None) -> None:
        """A version's first start in a region ends trials there, and opens others."""
        if use is None:
            return
        region = self.content.regions[use.region]
        last_ns = max(region.last_start_ns, use.time_ns)
        self.content.regions[use.region] = replace(region, last_start_ns=last_ns)
        self.first_starts.setdefault(use.app, use.time_ns)
        place = (use.repository, use.digest)
        version = self.version_of(place)
        burst = self.bursts.get((use.app, use.region), [0, 0, 0])
        images = self.images(version.place) if version else [place]
        if self.starts(images, use.region) > 1:
            burst[1] += 0 <= use.time_ns - burst[2] <= 60 * SECOND_NS
            return
        began = [burst[0] + 1, burst[1] + 1, max(burst[2], use.time_ns)]
        self.bursts[use.app, use.region] = began
        self.expire(when)
        version = version or self.add(when, place, use.app, tag or "")
        here = [t for t in self.trials if t.region == use.region]
        self.end([t for t in here if t.version == version], use.time_ns)
        mine = [t for t in here if t.version.app == use.app]
        self.end([t for t in mine if t.version.order_ns < version.order_ns])
        self.open(when, version, use.region)

    def add(self, when: When, place: Place, app: App, tag: str) -> Version:
        """Remember a version."""
        shape = shape_of(tag)
        if shape not in self.shapes and len(self.shapes) >= self.shapes_max:
            shape = ""
        self.shapes.add(shape)
        self.latest[app] = place
        number = self.pushes[app]
        self.versions.append(Version(place, app, shape, when.stored_ns, number))
        return self.versions[-1]

    def version_of(self, place: Place) -> Version | None:
        """Return the version that a place is, or the newest index that holds it."""
        for version in self.versions:
            if version.place == place:
                return version
        mine = [v for v in self.versions if v.place[0] == place[0]]
        for version in reversed(mine[-self.versions_open :]):
            if place in self.images(version.place)[1:]:
                return version
        return None

    def images(self, place: Place) -> list[Place]:
        """Return a version's own place, and those of its platforms."""
        repository, digest = place
        known = self.content.digests[digest]
        if kind_of(known.media_type) != "index":
            return [place]
        children = dict.fromkeys(child for child, _ in known.references)
        return [place, *((repository, child) for child in children if child != digest)]

    def starts(self, images: list[Place], region: str) -> int:
        """Return how often any of a version's *images* was used in a region."""
        wanted = set(images)
        kind = "start" if self.use.starts_said else "pull"
        uses = [u for u in self.use.uses if (u.region, u.kind) == (region, kind)]
        return sum((u.repository, u.digest) in wanted for u in uses)

    def open(self, when: When, version: Version, trigger: str) -> None:
        """Open a trial for each live region that the version has not started in."""
        if any((t.version, t.trigger) == (version, trigger) for t in self.trials):
            return
        oldest_ns = max(1, when.time_ns - 120 * DAY_NS)
        for region, said in self.content.regions.items():
            live = said.last_start_ns >= oldest_ns
            if live and not self.starts(self.images(version.place), region):
                known = self.known(version.app, region)
                opened = (known, when.stored_ns, when.time_ns)
                self.trials.append(Trial(version, region, trigger, *opened))
        mine = [t for t in self.trials if t.version.app == version.app]
        orders = sorted({t.version.order_ns for t in mine})
        closed = orders[: -self.versions_open]
        self.end([t for t in mine if t.version.order_ns in closed])

    def known(self, app: App, region: str) -> int:
        """Return what is known of an app in a region: its class."""
        if app not in self.first_starts:
            return FIRST
        kind = "start" if self.use.starts_said else "pull"
        times = [
            u.time_ns
            for u in self.use.uses
            if u.of_app and (u.app, u.region, u.kind) == (app, region, kind)
        ]
        if times:
            withdrawn_ns = self.use.withdrawn.get((app, region), 0)
            return FORMER if withdrawn_ns > max(times) else MEMBER
        return {0: YOUNG, 1: YOUNG, 2: SECOND}.get(self.pushes[app], OTHER)

    def expire(self, when: When) -> None:
        """What has been open for 30 days is a miss, each trial by itself."""
        oldest_ns = when.stored_ns - 30 * DAY_NS
        for trial in [t for t in self.trials if t.order_ns < oldest_ns]:
            self.end([trial])

    def end(self, trials: Sequence[Trial], hit_ns: int | None = None) -> None:
        """End *trials* as misses, or as hits at *hit_ns*.

        Of one version and region, an outcome counts once for each key.
        """
        self.trials = [t for t in self.trials if t not in trials]
        told = set()
        for trial in trials:
            lag_ns = 0 if hit_ns is None else hit_ns - trial.time_ns
            if hit_ns is not None and lag_ns < SECOND_NS:
                continue
            for key in keys_of(trial):
                if (trial.version, trial.region, key) not in told:
                    told.add((trial.version, trial.region, key))
                    self.outcomes[key].append(lag_ns // SECOND_NS)

    def rows(self) -> Iterator[Row]:
        """Yield everything as the fold's canonical rows."""
        for app in self.content.apps:
            newest = self.latest.get(app, ("", ""))
            about = (self.pushes[app], self.first_starts.get(app, 0), *newest)
            yield ("app", "\0".join(app).encode(), *about)
        for (app, region), counted in self.bursts.items():
            yield ("burst", "\0".join(app), region, *counted)
        for v in self.versions:
            named = (*v.place, "\0".join(v.app), v.shape.encode())
            yield ("version", *named, v.order_ns, v.number)
        for t in self.trials:
            asked = (*t.version.place, t.trigger, t.region)
            yield ("trial", *asked, t.known, t.order_ns, t.time_ns)
        for key, lags in self.outcomes.items():
            yield ("outcomes", *key, len(lags), *ring_of(str(key[0]), lags))


def keys_of(trial: Trial) -> set[tuple[str | bytes | int, ...]]:
    """Return where an outcome counts: everywhere, its organization, and its app."""
    app, known = trial.version.app, trial.known
    kind = "PUSH" if trial.trigger == "PUSH" else "ANY_START"
    stranger = known in {YOUNG, SECOND, OTHER}
    where = "*" if stranger else trial.region
    named = "\0".join(app).encode()
    scopes: set[tuple[str, bytes, str, str]] = {
        ("pooled_outcomes", b"*", "*", kind),
        ("pooled_outcomes", app[0].encode(), trial.region, trial.trigger),
        ("app_outcomes", named, where, kind),
        ("app_outcomes", named, where, trial.trigger),
    }
    return {(*scope, trial.version.shape.encode(), known) for scope in scopes}


def ring_of(table: str, lags: Sequence[int]) -> tuple[int, ...]:
    """Return the newest outcomes as bits, bit 0 the newest, and the hits' lag codes."""
    newest = list(reversed(lags))
    kept = newest[: CAPACITIES[table]]
    bits = sum(1 << place for place, lag in enumerate(kept) if lag)
    hits = [lag for lag in newest if lag][:LAGS]
    return (bits, *(code_of(lag) for lag in hits))


def code_of(lag: int) -> int:
    """Return the least power of two that is more than *lag* seconds; 15 at most."""
    return next((code for code in range(1, 15) if lag < 2**code), 15)


def shape_of(tag: str) -> str:
    """Return a tag without what makes it one version."""
    kept = ""
    for is_hex, letters in groupby(tag, lambda letter: letter in "0123456789abcdef"):
        run = "".join(letters)
        random = is_hex and len(run) >= (12 if run.isdigit() else 7)
        kept += "#" if random else run
        if random:
            break
    grouped = groupby(kept, lambda letter: "9" if letter.isdigit() else "")
    plain = "".join(nine or "".join(letters) for nine, letters in grouped)
    while "9.9" in plain:
        plain = plain.replace("9.9", "9")
    return plain[:14]
