"""Copies content into our registry: blobs, then manifests, then the index, verified."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from placement.agent.registry.client import Registry
from placement.agent.registry.errors import (
    NotThereError,
    RegistryError,
    RegistryRefusedError,
    RegistryUnreachableError,
)
from placement.agent.registry.manifests import MANIFEST_BYTES_MAX, Manifest
from placement.agent.replicator.failures import CopyFailedError, at_source, at_target
from placement.agent.replicator.moving import Mover
from placement.agent.replicator.progress import Progress
from placement.core.facts.values import FailureCause
from placement.core.oci import (
    ContentKind,
    Descriptor,
    Digest,
    Repository,
    content_kind,
)

MANIFESTS_MAX: Final = 1024
"""Of one image: its index, and all that it refers to."""
BODIES_BYTES_MAX: Final = 64 << 20
"""Of all manifests of one image, which are held until all blobs are there."""
DEPTH_MAX: Final = 4
"""Indexes may refer to indexes."""
ELSEWHERE: Final = ("foreign", "nondistributable")
"""Layers whose media types say so are not kept in registries.

Source: image-spec 1.1, "Non-Distributable Layers".
"""
MANIFEST_KINDS: Final = frozenset({ContentKind.MANIFEST, ContentKind.INDEX})


@dataclass(slots=True)
class Image:
    """All of an image: manifests, children first, and its blobs, each once."""

    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    asked_count: int = 0
    """Manifests that were or are to be looked into, each as often as it is named."""
    body_bytes: int = 0
    blobs: dict[Digest, Descriptor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be copied, from where (the best first), and how it comes on."""

    repository: Repository
    digest: Digest
    media_type: str
    sources: Sequence[Registry]
    progress: Progress
    is_blob: bool = False
    """Whether it is known to be a blob, of whatever media type."""


class Copier:
    """Copies into one registry; at most so many blobs of an image at once."""

    def __init__(self, target: Registry, mover: Mover, blobs_at_once: int) -> None:
        """Copy into *target*, blobs by *mover*."""
        self._target = target
        self._mover = mover
        self._blobs_at_once = blobs_at_once

    async def copy(self, wanted: Wanted) -> tuple[Manifest, ...]:
        """Return the manifests that are here now, children first; none: it is a blob.

        What is here already is not moved again. Raises CopyFailedError.
        """
        image = Image()
        limit = asyncio.Semaphore(self._blobs_at_once)
        root = Descriptor(wanted.digest, wanted.media_type)
        if wanted.is_blob or content_kind(root.media_type) is ContentKind.BLOB:
            image.blobs[root.digest] = root
        else:
            await self._look_into(image, wanted, root, limit, 0)
        largest_first = sorted(image.blobs.values(), key=lambda b: -b.size_bytes)
        await _all_of([self._blob(wanted, blob, limit) for blob in largest_first])
        for manifest in image.manifests.values():
            await self._put(wanted.repository, manifest)
        return tuple(image.manifests.values())

    async def _look_into(
        self,
        image: Image,
        wanted: Wanted,
        content: Descriptor,
        limit: asyncio.Semaphore,
        depth: int,
    ) -> None:
        """Add *content* and all that it refers to, children first, to *image*."""
        if depth > DEPTH_MAX:
            raise _too_large(wanted)
        async with limit:
            manifest = await self._manifest(wanted, content)
        if manifest is None:
            image.blobs[content.digest] = content
            return
        children = []
        for child in manifest.references:
            if content_kind(child.media_type) in MANIFEST_KINDS:
                children.append(child)
            elif not any(word in child.media_type for word in ELSEWHERE):
                image.blobs.setdefault(child.digest, child)
        image.asked_count += len(children)
        image.body_bytes += len(manifest.body)
        if image.asked_count > MANIFESTS_MAX or image.body_bytes > BODIES_BYTES_MAX:
            raise _too_large(wanted)
        looks = [
            self._look_into(image, wanted, child, limit, depth + 1)
            for child in children
        ]
        await _all_of(looks)
        image.manifests[content.digest] = manifest

    async def _manifest(self, wanted: Wanted, content: Descriptor) -> Manifest | None:
        """Return a manifest, ours if it is here; None: *content* is a blob."""
        repository, digest = wanted.repository, content.digest
        with at_target(), suppress(NotThereError):
            return await read_content(self._target, repository, content)
        failure: CopyFailedError | None = None
        for source in wanted.sources:
            try:
                with at_source():
                    found = await read_content(source, repository, content)
            except CopyFailedError as error:
                failure = worse(failure, error)
            else:
                wanted.progress.source_region = source.settings.region
                return found
        if failure is None:
            message = f"no source is known for {digest}"
            failure = CopyFailedError(message, FailureCause.SOURCE)
        raise failure

    async def _blob(
        self, wanted: Wanted, blob: Descriptor, limit: asyncio.Semaphore
    ) -> None:
        async with limit:
            await self._mover.ensure(
                wanted.repository, blob, wanted.sources, wanted.progress
            )

    async def _put(self, repository: Repository, manifest: Manifest) -> None:
        """Store *manifest* as it is, unless it is here; and look again."""
        digest = manifest.descriptor.digest
        with at_target():
            if await self._target.find_manifest(repository, digest) is not None:
                return
            await self._target.put_manifest(repository, digest, manifest)
            found = await self._target.find_manifest(repository, digest)
        if found is None or found.digest != digest:
            message = f"our registry took the manifest {digest} and does not have it"
            raise CopyFailedError(message, FailureCause.TARGET)


def _too_large(wanted: Wanted) -> CopyFailedError:
    """Return the refusal of an image that nobody has built in good faith."""
    message = (
        f"{wanted.digest} refers to more than {MANIFESTS_MAX} manifests, or more than "
        f"{DEPTH_MAX} deep"
    )
    cause = FailureCause.CONTENT_CORRUPT
    return CopyFailedError(message, cause, retryable=False)


def worse(one: CopyFailedError | None, other: CopyFailedError) -> CopyFailedError:
    """Return the failure to tell of: that content is gone only if all say so."""
    if one is None or one.cause is FailureCause.CONTENT_GONE:
        return other
    return one


async def read_content(
    registry: Registry, repository: Repository, content: Descriptor
) -> Manifest | None:
    """Return the manifest that *content* is; None: it is a blob, which is not read.

    Where its media type is not known, it is looked for as a blob first: asked for a
    manifest that is a layer, docker-registry 2.8 reads all of the layer and answers
    500; and zot has every manifest as a blob, too.
    """
    size: int | None = None
    if not content.media_type:
        size = await registry.find_blob(repository, content.digest)
        if size is not None and size > MANIFEST_BYTES_MAX:
            return None
    try:
        return await registry.manifest(repository, content.digest)
    except (RegistryUnreachableError, RegistryRefusedError):
        raise
    except RegistryError:
        if size is None:
            raise
        return None


async def _all_of(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Return once all is done; what fails does not stop what else is on its way."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    for failure in failures:
        if not isinstance(failure, CopyFailedError):
            raise failure
    for failure in failures:
        raise failure
