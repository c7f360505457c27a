"""Putting content into a registry, and removing it."""

from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

import httpx

from placement.agent.registry.asking import Asking, pulls, pushes
from placement.agent.registry.errors import (
    ContentDamagedError,
    NotThereError,
    RegistryError,
)
from placement.agent.registry.exchange import Call
from placement.agent.registry.manifests import Manifest
from placement.core.oci import Descriptor, Digest, Repository, Tag

STORING: Final = httpx.Timeout(30.0, connect=5.0, read=300.0)
"""A registry answers once it has stored a blob, which may move it to elsewhere."""


class Writing(Asking):
    """How content is put into a registry: blobs by upload or mount, then manifests."""

    async def mount(
        self, repository: Repository, digest: Digest, origin: Repository
    ) -> str:
        """Let *repository* have the blob that *origin* has in the same registry.

        Returns empty when that is done, else the address of an upload that was begun.
        """
        query = f"?mount={digest}&from={quote(origin, safe='/')}"
        scope = f"{pushes(repository)} {pulls(origin)}"
        return await self._begun(repository, query, scope, (201, 202))

    async def begin_upload(self, repository: Repository) -> str:
        """Return the address of a new upload."""
        return await self._begun(repository, "", pushes(repository), (202,))

    async def finish_upload(
        self,
        repository: Repository,
        address: str,
        blob: Descriptor,
        chunks: AsyncIterator[bytes],
    ) -> None:
        """Send the whole of *blob*, of a known size; the registry verifies its digest.

        Raises ContentDamagedError when the registry found that the bytes are others.
        Whatever *chunks* raises goes through, and the upload is void.
        """
        join = "&" if "?" in address else "?"
        headers = {
            "Content-Length": str(blob.size_bytes),
            "Content-Type": "application/octet-stream",
        }
        call = Call(
            "PUT",
            f"{address}{join}digest={quote(blob.digest)}",
            pushes(repository),
            (201,),
            headers,
            chunks,
            STORING,
        )
        try:
            async with self._exchange.answered(call):
                pass
        except RegistryError as error:
            if "DIGEST_INVALID" in str(error):
                message = f"the registry found other bytes than those of {blob.digest}"
                raise ContentDamagedError(message, digest=blob.digest) from error
            raise

    async def cancel_upload(self, repository: Repository, address: str) -> None:
        """Let the registry forget an upload."""
        call = Call("DELETE", address, pushes(repository), (202, 204, 404))
        async with self._exchange.answered(call):
            pass

    async def put_manifest(
        self, repository: Repository, reference: Digest | Tag, manifest: Manifest
    ) -> None:
        """Store a manifest, its bytes as they are."""
        headers = {"Content-Type": manifest.descriptor.media_type}
        call = Call(
            "PUT",
            self.manifest_url(repository, reference),
            pushes(repository),
            (201,),
            headers,
            manifest.body,
        )
        async with self._exchange.answered(call):
            pass

    async def delete_manifest(self, repository: Repository, digest: Digest) -> bool:
        """Remove a manifest with all of its tags; False: there was none."""
        return await self._deleted(repository, self.manifest_url(repository, digest))

    async def delete_blob(self, repository: Repository, digest: Digest) -> bool:
        """Remove a blob from one repository; False: there was none."""
        return await self._deleted(repository, self.blob_url(repository, digest))

    async def _deleted(self, repository: Repository, url: str) -> bool:
        call = Call("DELETE", url, f"repository:{repository}:delete", (202,))
        try:
            async with self._exchange.answered(call):
                return True
        except NotThereError:
            return False

    async def _begun(
        self,
        repository: Repository,
        query: str,
        scope: str,
        expected: tuple[int, ...],
    ) -> str:
        url = f"{self.settings.base}/v2/{repository}/blobs/uploads/{query}"
        headers = {"Content-Length": "0"}
        call = Call("POST", url, scope, expected, headers)
        async with self._exchange.answered(call) as response:
            if response.status_code == httpx.codes.CREATED:
                return ""
            location = response.headers.get("Location", "")
            return self._at_home(httpx.URL(url).join(location)) if location else url

    def _at_home(self, address: httpx.URL) -> str:
        """Return an upload's address, at the registry as we know it.

        Our credentials and our bytes go there: to the registry and to nobody else. One
        behind a proxy may take itself for another scheme or port.
        """
        base = httpx.URL(self.settings.base)
        if address.host != base.host:
            message = f"{base} sends an upload to another host, {address.host}"
            raise RegistryError(message, url=str(base))
        return str(base.copy_with(raw_path=address.raw_path))
