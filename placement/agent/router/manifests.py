"""Answers GET and HEAD of manifests: tags are resolved first, then read by digest."""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Final

import httpx
from starlette.responses import Response

from placement.agent.registry.asking import whole
from placement.agent.registry.errors import RegistryError
from placement.agent.registry.manifests import (
    MANIFEST_BYTES_MAX,
    digest_of,
    parse_manifest,
)
from placement.agent.router.answers import headed, relayed_headers, unavailable
from placement.agent.router.asking import Asker
from placement.agent.router.asks import CONDITION, Answer, Ask, Client, Refusal
from placement.agent.router.filling import Filling
from placement.agent.router.places import Places, Wanted
from placement.agent.router.reports import Reports
from placement.agent.router.tags import Pointed, Tags
from placement.core.errors import InputError
from placement.core.oci import Repository, Tag
from placement.core.topology import Region

UNKNOWN: Final = "MANIFEST_UNKNOWN"
READ_TRIES_MAX: Final = 4
"""How often one manifest is read anew because its bytes broke, or were others."""


class Manifests:
    """Manifests for clients, with their own rights."""

    def __init__(  # noqa: PLR0913 - what a manifest's way depends on
        self,
        asker: Asker,
        places: Places,
        *,
        tags: Tags,
        filling: Filling | None,
        reports: Reports,
        counts: Counter[str],
    ) -> None:
        """Answer from *places*; *filling* keeps what came from elsewhere."""
        self._asker = asker
        self._places = places
        self._tags = tags
        self._filling = filling
        self._reports = reports
        self._counts = counts

    async def tagged(
        self, client: Client, repository: Repository, tag: Tag, *, head: bool
    ) -> Response:
        """Answer with what *tag* points to now."""
        pointed = await self._tags.resolve(client, repository, tag)
        if isinstance(pointed, Refusal):
            self._counts["unknown"] += 1
            return pointed.response(UNKNOWN)
        self._counts["tag_asked" if pointed.headed else "tag_known"] += 1
        if head and pointed.headed is not None and CONDITION not in client.passed:
            return pointed.headed
        wanted = Wanted(repository, pointed.digest)
        return await self.read(client, wanted, pointed, head=head)

    async def read(
        self,
        client: Client,
        wanted: Wanted,
        pointed: Pointed | None = None,
        *,
        head: bool,
    ) -> Response:
        """Answer with the manifest of a digest, from whoever gives it."""
        path = f"/v2/{wanted.repository}/manifests/{wanted.digest}"
        ask = Ask("HEAD" if head else "GET", path, client)
        hint = pointed.region if pointed else None
        broken: list[Region] = []
        for _ in range(READ_TRIES_MAX):
            candidates = self._places.candidates(wanted, hint)
            regions = [one for one in candidates if one not in broken]
            answer = await self._asker.first(regions, ask)
            if isinstance(answer, Refusal):
                self._counts["unknown"] += 1
                return answer.response(UNKNOWN)
            found = await self._whole(answer, client, wanted)
            if found is not None:
                return found
            broken.append(answer.region)
        return unavailable()

    async def _whole(
        self, answer: Answer, client: Client, wanted: Wanted
    ) -> Response | None:
        """Return an answer with its body, verified; None if that cannot be had."""
        response = answer.response
        try:
            if response.request.method == "HEAD" or response.status_code != 200:  # noqa: PLR2004 - HTTP
                return headed(response)
            async with asyncio.timeout(2 * self._asker.stall_seconds):
                body = await whole(response, MANIFEST_BYTES_MAX)
        except (httpx.HTTPError, httpx.StreamError, RegistryError, TimeoutError):
            self._asker.suspect(answer.region, "broke")
            return None
        finally:
            await response.aclose()
        if digest_of(body, wanted.digest.partition(":")[0]) != wanted.digest:
            self._counts["corrupted"] += 1
            self._places.damaged([answer.region], wanted)
            return None
        here = answer.region == self._places.region
        self._counts["local" if here else "streamed"] += 1
        if not here:
            self._counts["far_bytes"] += len(body)
            media_type = response.headers.get("Content-Type", "")
            self._keep(body, media_type, wanted, answer.region)
            self._reports.pulled(wanted, answer.region, len(body), client.user_agent)
        headers = relayed_headers(response)
        headers |= {
            "Content-Length": str(len(body)),
            "Docker-Content-Digest": wanted.digest,
        }
        return Response(body, 200, headers)

    def _keep(
        self, body: bytes, media_type: str, wanted: Wanted, source: Region
    ) -> None:
        if self._filling is None:
            return
        with suppress(InputError):
            algorithm = wanted.digest.partition(":")[0]
            manifest = parse_manifest(body, media_type, algorithm)
            self._filling.image(wanted, manifest, source)
