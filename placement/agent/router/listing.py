"""Lists a repository's tags: of all registries that answer in time, taken together.

A tag may have been pushed to any of them, and is pullable here all the same.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import httpx
from starlette.datastructures import QueryParams
from starlette.responses import Response

from placement.agent.registry.asking import COUNT_DIGITS_MAX, LISTING_BYTES_MAX, whole
from placement.agent.registry.errors import RegistryError
from placement.agent.router.answers import API_VERSION
from placement.agent.router.asking import Asker
from placement.agent.router.asks import Ask, Client, Refusal
from placement.agent.router.places import ASKED_MAX, Places
from placement.core.oci import Repository
from placement.core.topology import Region

PAGE_COUNT_MAX: Final = 10_000
"""Tags in one answer; the next page begins after them."""


class Listing:
    """Lists tags for clients, with their own rights."""

    def __init__(self, asker: Asker, places: Places) -> None:
        """Ask by *asker* all that *places* names."""
        self._asker = asker
        self._places = places

    async def tags(
        self, client: Client, repository: Repository, query: QueryParams
    ) -> Response:
        """Return a page of tags in order, as ``n`` and ``last`` say."""
        given = query.get("n", "")
        plain = given.isascii() and given.isdigit()
        stated = int(given[:COUNT_DIGITS_MAX]) if plain else PAGE_COUNT_MAX
        count, last = min(stated, PAGE_COUNT_MAX), query.get("last", "")
        places, refusal = self._places, Refusal()
        near = [places.region, places.origin, *places.near()]
        path = f"/v2/{repository}/tags/list?n={count}"
        path += f"&last={quote(last)}" if last else ""
        found = await self._lists(places.well(near), Ask("GET", path, client), refusal)
        if not found:
            return refusal.response("NAME_UNKNOWN")
        names = sorted({name for tags in found for name in tags if name > last})
        page = names[:count]
        headers = {**API_VERSION}
        if page and (len(names) > count or any(len(t) >= count for t in found)):
            after = f"/v2/{repository}/tags/list?n={count}&last={quote(page[-1])}"
            headers["Link"] = f'<{after}>; rel="next"'
        body = json.dumps({"name": repository, "tags": page})
        return Response(body, 200, headers, "application/json")

    async def _lists(
        self, regions: Sequence[Region], ask: Ask, refusal: Refusal
    ) -> list[list[str]]:
        asked = [self._list(region, ask, refusal) for region in regions[:ASKED_MAX]]
        found = await asyncio.gather(*asked)
        return [tags for tags in found if tags is not None]

    async def _list(
        self, region: Region, ask: Ask, refusal: Refusal
    ) -> list[str] | None:
        seconds = self._places.answer_seconds(region)
        response = await self._asker.one(region, ask, seconds)
        if response is None:
            refusal.silent = True
            return None
        try:
            if response.status_code != httpx.codes.OK:
                self._asker.hear_refusal(region, response, refusal)
                return None
            body = await whole(response, LISTING_BYTES_MAX)
            listed = json.loads(body).get("tags") or []
            return [n for n in listed if isinstance(n, str) and n.isascii()]
        except (RegistryError, httpx.HTTPError):
            self._asker.suspect(region, "broke")
        except (ValueError, AttributeError, TypeError, RecursionError):
            pass  # it answered, and not with a list
        finally:
            await response.aclose()
        refusal.silent = True
        return None
