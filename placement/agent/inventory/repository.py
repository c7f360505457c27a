"""One repository: its tags, what they lead to, what else it is believed to hold."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, TypeVar

import structlog

from placement.agent.inventory.asking import Asker, together
from placement.agent.inventory.known import Known
from placement.agent.inventory.manifests import ManifestCache
from placement.agent.inventory.pages import Pages
from placement.agent.inventory.probe import Probe
from placement.agent.inventory.settings import (
    CONTENTS_MAX,
    DEPTH_MAX,
    LISTING_PAGES_MAX,
    TAGS_AT_ONCE,
)
from placement.agent.registry.client import Registry
from placement.agent.registry.errors import (
    ContentDamagedError,
    NotThereError,
    RegistryError,
)
from placement.agent.registry.listing import Page
from placement.core.errors import PlacementError
from placement.core.event import InventoryAbsence, InventoryContent, TagMoved
from placement.core.oci import (
    ContentKind,
    Descriptor,
    Digest,
    Repository,
    Tag,
    content_kind,
)

NOT_JSON: Final = "application/vnd.docker.distribution.manifest.v1"
"""Schema 1: signed, so that its digest is not that of its bytes."""
Item = TypeVar("Item")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Means:
    """What reading a repository takes; one for all repositories of a scan."""

    registry: Registry
    known: Known
    asker: Asker
    manifests: ManifestCache
    pages: Pages
    check_blobs: bool


@dataclass
class Tally:
    """What was found in one repository."""

    tag_count: int = 0
    content_count: int = 0
    content_bytes: int = 0
    absence_count: int = 0
    removed_tag_count: int = 0
    failed_count: int = 0
    """What could not be told, so that the scan is not complete."""


class RepositoryScan:
    """Reads one repository once."""

    def __init__(
        self, means: Means, repository: Repository, held: dict[Digest, int]
    ) -> None:
        """Read *repository*; *held* is believed to be there, with sizes."""
        self._registry = means.registry
        self._known = means.known
        self._ask = means.asker.ask
        self._manifests = means.manifests
        self._pages = means.pages
        self._check_blobs = means.check_blobs
        self._repository = repository
        self._held = held
        self._asked: set[Digest] = set()
        """What is, or was, asked for: nothing is asked for twice."""
        self._found: dict[Digest, int] = {}
        """What is there, with its size."""
        self.tally = Tally()

    async def read(self) -> Tally:
        """Tell the pages all that is there, and what is not; return how much it was.

        Raises RegistryError when the registry fails, and what reporting raises.
        """
        after = ""
        for _ in range(LISTING_PAGES_MAX):
            page = await self._ask(self._tags_after(after))
            for tags in _in_parts(page.names, TAGS_AT_ONCE):
                await self._tagged(tags)
            if page.next_after is None or page.next_after == after:
                break
            after = page.next_after
        return await self.look_for_the_rest()

    async def look_for_the_rest(self) -> Tally:
        """Ask by digest for all that was believed to be there and was not seen."""
        unseen = [digest for digest in self._held if digest not in self._found]
        for digests in _in_parts(unseen, TAGS_AT_ONCE):
            await together(self._look_for(digest) for digest in digests)
        return self.tally

    def _tags_after(self, after: str) -> Callable[[], Awaitable[Page[Tag]]]:
        return lambda: self._registry.tags(self._repository, after)

    async def _tagged(self, tags: Iterable[Tag]) -> None:
        """Read what *tags* point to; one that is gone meanwhile points nowhere."""
        listed = list(tags)
        pointed = await together(self._manifest_at(tag) for tag in listed)
        by_digest: dict[Digest, tuple[Descriptor, list[Tag]]] = {}
        for tag, target in zip(listed, pointed, strict=True):
            if target is not None:
                by_digest.setdefault(target.digest, (target, []))[1].append(tag)
        self.tally.tag_count += sum(len(named) for _, named in by_digest.values())
        await together(
            self._manifest(target, tuple(named)) for target, named in by_digest.values()
        )

    async def _manifest_at(self, reference: Tag | Digest) -> Descriptor | None:
        return await self._ask(
            lambda: self._registry.find_manifest(self._repository, reference)
        )

    async def _manifest(
        self, target: Descriptor, tags: tuple[Tag, ...] = (), depth: int = 0
    ) -> None:
        """Tell of a manifest that a HEAD found, and of all that it refers to."""
        if not self._claim(target.digest):
            if tags:
                await self._tell(target, (), tags)
            return
        references = await self._references(target)
        if references is None:
            return
        self._count(target)
        index = content_kind(target.media_type) is ContentKind.INDEX
        if depth < DEPTH_MAX:
            await together(
                self._referred(one, depth, manifest=index or _is_manifest(one))
                for one in references
            )
        measured = tuple(
            replace(one, size_bytes=self._found.get(one.digest) or one.size_bytes)
            for one in references
        )
        await self._tell(target, measured, tags)

    async def _references(self, target: Descriptor) -> tuple[Descriptor, ...] | None:
        """Return what a manifest refers to; None when it cannot be read any more."""
        known = self._manifests.get(target.digest)
        if known is not None:
            return known
        if target.media_type.startswith(NOT_JSON):
            return ()
        try:
            manifest = await self._ask(
                lambda: self._registry.manifest(self._repository, target.digest)
            )
        except NotThereError:
            return None
        except ContentDamagedError as error:
            self.tally.failed_count += 1
            log.warning("manifest_damaged", error=str(error))
            return None
        self._manifests.put(target.digest, manifest.references)
        return manifest.references

    async def _referred(
        self, content: Descriptor, depth: int, *, manifest: bool
    ) -> None:
        """Tell of what a manifest refers to, if it is there."""
        if content.digest in self._asked:
            return
        if manifest:
            child = await self._manifest_at(content.digest)
            if child is not None:
                await self._manifest(child, depth=depth + 1)
            return
        self._claim(content.digest)
        size_bytes: int | None = content.size_bytes
        if self._check_blobs:
            size_bytes = await self._blob_size(content.digest)
        if size_bytes is not None:
            there = replace(content, size_bytes=size_bytes or content.size_bytes)
            self._count(there)
            await self._tell(there)

    async def _blob_size(self, digest: Digest) -> int | None:
        return await self._ask(
            lambda: self._registry.find_blob(self._repository, digest)
        )

    async def _look_for(self, digest: Digest) -> None:
        """Tell whether something is there to which nothing led.

        What was a manifest and what a blob nobody remembers, so both are asked for:
        blobs first, since Distribution answers 500 for a blob asked for as a manifest.
        """
        if digest in self._found:
            return  # an untagged manifest that was found meanwhile refers to it
        size_bytes = await self._blob_size(digest)
        if size_bytes is not None:
            probe = Probe(self._registry, self._ask, self._repository)
            size_bytes = await probe.readable(digest, size_bytes)
        else:
            target = await self._manifest_at(digest)
            if target is not None:
                await self._manifest(target)
                return
        if digest in self._found:
            return
        if size_bytes is None:
            self.tally.absence_count += 1
            absence = InventoryAbsence(digest, self._repository)
            await self._pages.add_absence(absence)
            await self._remove_tags(digest)
            return
        there = Descriptor(digest, "", size_bytes)
        self._count(there)
        await self._tell(there)

    async def _remove_tags(self, digest: Digest) -> None:
        """Tell of the tags that were believed to point to what is gone, and are too."""
        try:
            tags = await self._known.tags(self._repository, digest)
        except PlacementError as error:
            self.tally.failed_count += 1
            log.warning("tags_unknown", reason=error.reason, error=str(error))
            return
        for tag in tags:
            if await self._manifest_at(tag) is None:
                self.tally.removed_tag_count += 1
                removed = TagMoved(self._repository, tag)
                await self._pages.add_removed_tag(removed)

    def _claim(self, digest: Digest) -> bool:
        """Say whether nobody has asked for *digest* yet, and ask for it."""
        if digest in self._asked:
            return False
        if len(self._asked) >= CONTENTS_MAX:
            message = f"{self._repository} holds more than {CONTENTS_MAX} contents"
            raise RegistryError(message, repository=self._repository)
        self._asked.add(digest)
        return True

    def _count(self, content: Descriptor) -> None:
        """Remember that *content* is there."""
        if content.digest in self._found:
            return
        self._found[content.digest] = content.size_bytes
        self.tally.content_count += 1
        self.tally.content_bytes += content.size_bytes

    async def _tell(
        self,
        content: Descriptor,
        references: tuple[Descriptor, ...] = (),
        tags: tuple[Tag, ...] = (),
    ) -> None:
        """Tell the pages that *content* is there."""
        believed = self._held.get(content.digest, 0)
        if believed and content.size_bytes not in (0, believed):
            log.warning(
                "size_contradicted",
                repository=self._repository,
                digest=content.digest,
                size_bytes=content.size_bytes,
                believed_bytes=believed,
            )
            content = replace(content, size_bytes=0)
        entry = InventoryContent(content, self._repository, references, tags)
        await self._pages.add_content(entry)


def _is_manifest(content: Descriptor) -> bool:
    kind = content_kind(content.media_type)
    return kind in (ContentKind.MANIFEST, ContentKind.INDEX)


def _in_parts(items: Iterable[Item], count: int) -> Iterator[tuple[Item, ...]]:
    remaining = iter(items)
    while part := tuple(islice(remaining, count)):
        yield part
