"""What a tag points to now, asked at the registries that can know.

The log tells of a push only after it has happened, so even a LIVE state is behind by
the event's way: a tag that was pushed again a moment ago would start the old version.
Therefore the state only says whom to ask. The registries asked, all at once, are

* the region that set the tag last, as far as the state knows (its owner);
* our own region's, where pushes from here go;
* every region in which this router has seen the tag: of a tag that is pushed now here
  and now there, each side is then asked;
* the origin, if the state knows of no owner; and all others if none of these has it.

If one registry alone says something else than when this router last looked, its word
counts: that push came after the others'. If none does, nothing was pushed. Otherwise,
what the owner says counts, unless another registry has a digest that no event has told
of yet, anywhere in the repository: it was pushed after everything that the state knows,
so it is newer. (A push event sets the tag and places the content at once, so a tag
whose content is known has been weighed by the state already.) If the state moved
meanwhile, all is asked once more.

When the owner does not answer in time, the digest that is known counts while the state
is LIVE. From a STALE state no tag is answered: then the origin's word counts, or our
own registry's.

What this cannot know, for as long as the events are on their way: a tag that is pushed
in a region that neither owns it, nor is ours, nor was seen with it; and which of two
pushes in two regions was the later one, if this router looked at neither in between.
A push whose event was lost counts as new until the next inventory tells of it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import httpx
from starlette.responses import Response

from placement.agent.router.answers import headed
from placement.agent.router.asking import Asker
from placement.agent.router.asks import Ask, Client, Refusal
from placement.agent.router.places import ASKED_MAX, Places, Wanted
from placement.client.local_answers import LocalTag
from placement.core.errors import PlacementError
from placement.core.oci import Digest, Repository, Tag, parse_digest
from placement.core.topology import Region

ROUNDS_MAX: Final = 3
SEEN_MAX: Final = 16_384
"""Tags whose regions are remembered."""


@dataclass(frozen=True, slots=True)
class Pointed:
    """What a tag points to; *region* has it, and *headers* are its answer to HEAD."""

    digest: Digest
    region: Region
    headed: Response | None = None


@dataclass(slots=True)
class _Look:
    """What registries said of one tag when they were last asked."""

    answers: dict[Region, Digest | None] = field(default_factory=dict)
    """None: it was pushed there since."""
    chosen: Region | None = None

    def newest(self, found: dict[Region, Pointed]) -> Pointed | None:
        """Return whose word is newer than all others', if that follows from this."""
        if not found or not found.keys() <= self.answers.keys():
            return None
        moved = [p for p in found.values() if self.answers[p.region] != p.digest]
        if len(moved) == 1:
            return moved[0]
        if moved or self.chosen is None:
            return None
        return found.get(self.chosen)

    def keep(self, found: dict[Region, Pointed], chosen: Pointed | None) -> None:
        """Remember what was said now."""
        for region, pointed in found.items():
            if region in self.answers or len(self.answers) < ASKED_MAX:
                self.answers[region] = pointed.digest
        if chosen is not None:
            self.chosen = chosen.region


class Tags:
    """Resolves tags for clients, with the clients' own rights."""

    def __init__(self, asker: Asker, places: Places) -> None:
        """Ask by *asker* whom *places* names."""
        self._asker = asker
        self._places = places
        self._seen: dict[tuple[Repository, Tag], _Look] = {}

    async def resolve(
        self, client: Client, repository: Repository, tag: Tag
    ) -> Pointed | Refusal:
        """Return what *tag* points to; the headers are for *client*'s Accept."""
        for _ in range(ROUNDS_MAX):
            known = self._places.tag(repository, tag)
            pointed = await self._asked(client, repository, tag, known)
            again = self._places.tag(repository, tag)
            moved = (again and again.digest) != (known and known.digest)
            if not moved or isinstance(pointed, Refusal):
                break
            if again is not None and again.digest == pointed.digest:
                break
        return pointed

    def pushed(self, repository: Repository, tag: Tag, region: Region) -> None:
        """Remember that *tag* was set in *region* just now."""
        look = self._look(repository, tag)
        look.answers[region] = None

    def _look(self, repository: Repository, tag: Tag) -> _Look:
        """Return what is remembered of a tag, as the last of all to be forgotten."""
        look = self._seen.pop((repository, tag), None) or _Look()
        while len(self._seen) >= SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        self._seen[repository, tag] = look
        return look

    async def _asked(
        self,
        client: Client,
        repository: Repository,
        tag: Tag,
        known: LocalTag | None,
    ) -> Pointed | Refusal:
        places = self._places
        owner = places.origin if known is None else known.set_region
        look = self._look(repository, tag)
        seen = [places.region, *look.answers]
        asked = places.best_known(owner, seen)[:ASKED_MAX]
        refusal = Refusal()
        path = f"/v2/{repository}/manifests/{tag}"
        ask = Ask("HEAD", path, client.unconditional)
        found = await self._heads(asked, ask, refusal)
        chosen = look.newest(found) or self._chosen(repository, found, known)
        look.keep(found, chosen)
        if chosen is not None and (owner in found or places.local.basis.live):
            return chosen
        if refusal.final(client):
            return refusal
        if places.local.basis.live and known and refusal.challenge is None:
            return Pointed(known.digest, known.set_region)
        rest = [places.origin, *places.near()]
        others = [one for one in places.well(rest) if one not in asked]
        found |= await self._heads(others[:ASKED_MAX], ask, refusal)
        chosen = self._chosen(repository, found, known)
        look.keep(found, chosen)
        return chosen or refusal

    def _chosen(
        self,
        repository: Repository,
        found: dict[Region, Pointed],
        known: LocalTag | None,
    ) -> Pointed | None:
        """Return whose word counts; None: nobody's, or only what is known."""
        owned = None if known is None else found.get(known.set_region)
        if known and owned and owned.digest != known.digest:
            return owned
        for pointed in found.values():
            wanted = Wanted(repository, pointed.digest)
            same = known is not None and pointed.digest == known.digest
            if not same and not self._places.sources(wanted):
                return pointed  # no event has told of it yet
        if owned is not None:
            return owned
        if known is not None and self._places.local.basis.live:
            same_digest = (p for p in found.values() if p.digest == known.digest)
            return next(same_digest, None)
        origin = found.get(self._places.origin)
        return origin or next(iter(found.values()), None)

    async def _heads(
        self, regions: Sequence[Region], ask: Ask, refusal: Refusal
    ) -> dict[Region, Pointed]:
        """Return what each of *regions* says, those that do in their time."""
        heads = [self._head(region, ask, refusal) for region in regions]
        found = await asyncio.gather(*heads)
        return {pointed.region: pointed for pointed in found if pointed is not None}

    async def _head(self, region: Region, ask: Ask, refusal: Refusal) -> Pointed | None:
        seconds = self._places.tag_seconds(region)
        response = await self._asker.one(region, ask, seconds)
        if response is None:
            refusal.silent = True
            return None
        await response.aclose()
        if response.status_code != httpx.codes.OK:
            self._asker.hear_refusal(region, response, refusal)
            return None
        with suppress(PlacementError):
            digest = parse_digest(response.headers.get("Docker-Content-Digest", ""))
            return Pointed(digest, region, headed(response))
        return None
