"""Keeps what came from elsewhere in our region's registry: blobs, then their manifest.

With the agent's own credentials, into the same repository, and only what a client with
rights to it has pulled. A manifest is stored once all that it refers to is here; until
then it is asked for elsewhere.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from placement.agent.proven import Proven
from placement.agent.quiet import Quiet
from placement.agent.registry.client import Registry
from placement.agent.registry.errors import RegistryError
from placement.agent.registry.manifests import Manifest
from placement.agent.router.flights import Landed
from placement.agent.router.places import Wanted
from placement.agent.router.reports import Reports
from placement.core.oci import ContentKind, Descriptor, content_kind
from placement.core.topology import Region

ATTEMPTS_MAX: Final = 4
BACK_OFF_SECONDS: Final = 0.5
REFERENCES_MAX: Final = 1024
IMAGES_MAX: Final = 256
"""Images whose blobs are awaited."""
IMAGE_SECONDS_MAX: Final = 900.0
LOOK_SECONDS: Final = 20.0
"""How often what is missing is looked for, when nothing tells that it came."""

log = structlog.get_logger(__name__)


class Filling:
    """Puts contents into one registry."""

    def __init__(  # noqa: PLR0913 - what keeping depends on
        self,
        own: Registry,
        reports: Reports,
        *,
        proven: Proven,
        counts: Counter[str],
        chance: Callable[[], float],
        quiet: Quiet,
    ) -> None:
        """Put into *own* by its own credentials; never while garbage is collected.

        What was put counts as *proven*: it was verified when it came.
        """
        self._quiet = quiet
        self._own = own
        self._reports = reports
        self._proven = proven
        self._counts = counts
        self._chance = chance
        self._images: dict[Wanted, asyncio.Task[None]] = {}
        self._moved = asyncio.Event()

    async def land(self, landed: Landed) -> None:
        """Store a blob; failures are counted, and the next pull tries again."""
        try:
            await self._repeated(lambda: self._put(landed))
        except RegistryError as error:
            self._counts["fill_failed"] += 1
            log.warning("fill_failed", digest=landed.wanted.digest, error=str(error))
            return
        self._counts["filled"] += 1
        self._arrived()
        await self._reports.landed(landed)

    def image(self, wanted: Wanted, manifest: Manifest, source: Region) -> None:
        """Store a manifest once all that it refers to is here; do not wait."""
        if wanted in self._images or len(self._images) >= IMAGES_MAX:
            return
        if len(manifest.references) > REFERENCES_MAX:
            return  # nobody built that in good faith: each is asked for again and again
        task = asyncio.create_task(self._complete(wanted, manifest, source))
        self._images[wanted] = task
        task.add_done_callback(lambda _: self._images.pop(wanted, None))

    async def close(self) -> None:
        """Give up what is awaited."""
        tasks = list(self._images.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _put(self, landed: Landed) -> None:
        wanted = landed.wanted
        repository, digest = wanted.repository, wanted.digest
        async with self._quiet.busy():
            if await self._own.find_blob(repository, digest) is not None:
                return
            address = await self._own.begin_upload(repository)
            content = Descriptor(digest, "", landed.spool.size_bytes)
            chunks = landed.spool.chunks()
            await self._own.finish_upload(repository, address, content, chunks)
        self._proven.stored(repository, digest)

    async def _complete(
        self, wanted: Wanted, manifest: Manifest, source: Region
    ) -> None:
        """Wait for everything of an image, and store its manifest."""
        try:
            async with asyncio.timeout(IMAGE_SECONDS_MAX):
                moved = self._moved
                while not await self._put_whole(wanted, manifest):
                    await _until(moved)
                    moved = self._moved
        except TimeoutError:
            self._counts["image_incomplete"] += 1
            return
        except RegistryError as error:
            self._counts["fill_failed"] += 1
            log.warning("image_failed", digest=wanted.digest, error=str(error))
            return
        self._counts["image_filled"] += 1
        self._arrived()
        await self._reports.stored(wanted, manifest, source)

    async def _put_whole(self, wanted: Wanted, manifest: Manifest) -> bool:
        """Store *manifest* if all that it refers to is here; say whether it was.

        Garbage collection may take what no manifest refers to yet: so all is looked at
        and the manifest put while none runs.
        """
        async with self._quiet.busy():
            for one in manifest.references:
                if not await self._holds(wanted, one):
                    return False
            await self._repeated(
                lambda: self._own.put_manifest(
                    wanted.repository, wanted.digest, manifest
                )
            )
        return True

    async def _holds(self, image: Wanted, part: Descriptor) -> bool:
        wanted = Wanted(image.repository, part.digest)
        if content_kind(part.media_type) in (ContentKind.MANIFEST, ContentKind.INDEX):
            found = await self._own.find_manifest(wanted.repository, wanted.digest)
            return found is not None
        return await self._own.find_blob(wanted.repository, wanted.digest) is not None

    def _arrived(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def _repeated(self, put: Callable[[], Awaitable[None]]) -> None:
        """Await what *put* gives, again after a while if that may help."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                await put()
            except RegistryError as error:
                if not error.retryable or attempt == ATTEMPTS_MAX - 1:
                    raise
                longest_s = BACK_OFF_SECONDS * 2**attempt
                await asyncio.sleep(longest_s * (0.5 + self._chance() / 2))
            else:
                return


async def _until(moved: asyncio.Event) -> None:
    """Return when something came, or it is time to look."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await moved.wait()
    except TimeoutError:
        return
