"""Reading content from a registry: manifests whole, blobs as they come."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx

from placement.agent.registry.asking import Asking, count_of, pulls, whole
from placement.agent.registry.errors import (
    ContentDamagedError,
    NotThereError,
    RegistryError,
)
from placement.agent.registry.exchange import Call
from placement.agent.registry.manifests import (
    ACCEPT,
    MANIFEST_BYTES_MAX,
    Manifest,
    parse_manifest,
)
from placement.core.errors import InputError
from placement.core.oci import (
    Descriptor,
    Digest,
    Repository,
    Tag,
    is_digest,
    parse_digest,
)


@dataclass(frozen=True, slots=True)
class Opened:
    """Content that is being read; *start* is where in it *chunks* begin."""

    chunks: AsyncIterator[bytes]
    start: int
    size_bytes: int
    """Of the whole content; 0 when the registry does not say."""


class Reading(Asking):
    """What a registry holds, and its bytes."""

    async def manifest(
        self, repository: Repository, reference: Digest | Tag
    ) -> Manifest:
        """Return a manifest; raises ContentDamagedError if its bytes are others."""
        call = Call("GET", self.manifest_url(repository, reference), pulls(repository))
        async with self._exchange.answered(replace(call, headers=ACCEPT)) as response:
            body = await whole(response, MANIFEST_BYTES_MAX)
            media_type = response.headers.get("Content-Type", "")
        algorithm = reference.partition(":")[0] if is_digest(reference) else "sha256"
        try:
            manifest = parse_manifest(body, media_type, algorithm)
        except InputError as error:
            message = f"{call.url} is no manifest: {error}"
            raise ContentDamagedError(message, url=call.url) from error
        if is_digest(reference) and manifest.descriptor.digest != reference:
            message = f"{call.url} has the digest {manifest.descriptor.digest}"
            raise ContentDamagedError(message, url=call.url)
        return manifest

    async def find_manifest(
        self,
        repository: Repository,
        reference: Digest | Tag,
    ) -> Descriptor | None:
        """Return what a HEAD says of a manifest; None where there is none (404)."""
        call = Call(
            "HEAD",
            self.manifest_url(repository, reference),
            pulls(repository),
        )
        try:
            async with self._exchange.answered(
                replace(call, headers=ACCEPT)
            ) as response:
                headers = response.headers
        except NotThereError:
            return None
        stated = headers.get("Docker-Content-Digest", "")
        if not stated and is_digest(reference):
            stated = reference
        try:
            digest = parse_digest(stated, "Docker-Content-Digest")
        except InputError as error:
            message = f"{call.url}: {error}"
            raise RegistryError(message, url=call.url) from error
        return Descriptor(
            digest,
            headers.get("Content-Type", ""),
            count_of(headers.get("Content-Length", "")),
        )

    async def find_blob(self, repository: Repository, digest: Digest) -> int | None:
        """Return a blob's size in bytes; None where there is none (404)."""
        call = Call("HEAD", self.blob_url(repository, digest), pulls(repository))
        try:
            async with self._exchange.answered(call) as response:
                return count_of(response.headers.get("Content-Length", ""))
        except NotThereError:
            return None

    @asynccontextmanager
    async def open_blob(
        self, repository: Repository, digest: Digest, start: int = 0
    ) -> AsyncIterator[Opened]:
        """Give a blob's bytes from *start* on, unverified.

        A registry that knows no ranges begins at 0: see ``Opened.start``. What breaks
        while the bytes are read raises RegistryUnreachableError.
        """
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        url = self.blob_url(repository, digest)
        call = Call("GET", url, pulls(repository), (200, 206), headers)
        async with self._exchange.answered(call) as response:
            partial = response.status_code == httpx.codes.PARTIAL_CONTENT
            left = count_of(response.headers.get("Content-Length", ""))
            begun = start if partial else 0
            yield Opened(response.aiter_raw(), begun, begun + left if left else 0)
