"""Asks an HTTP page of this installation: its status and text, or why there is none."""

from dataclasses import dataclass
from typing import Final

import httpx

from placement.config import split_address
from placement.doctor.site import CALL_SECONDS

PAGE_BYTES_MAX: Final = 4 << 20
ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what such a listener is asked by


@dataclass(frozen=True, slots=True)
class Page:
    """What came back."""

    status: int
    text: str
    trouble: str = ""
    """Why nothing came; empty: something did."""

    @property
    def good(self) -> bool:
        """Whether it is as it should be."""
        return not self.trouble and self.status == httpx.codes.OK

    @property
    def shown(self) -> str:
        """How it went, for people."""
        return self.trouble or f"it answered {self.status}"


async def page(listen: str, path: str, *, secure: bool = False) -> Page:
    """Return what *path* is at the address *listen*, HOST:PORT; never raises.

    The certificate of a *secure* one is not verified: who is there is not the question.
    """
    host, port = split_address(listen)
    shown = ANYWHERE.get(host, f"[{host}]" if ":" in host else host)
    scheme = "https" if secure else "http"
    url = f"{scheme}://{shown}:{port}{path}"
    body = bytearray()
    try:
        async with (
            httpx.AsyncClient(
                timeout=CALL_SECONDS,
                trust_env=False,
                verify=False,  # noqa: S501 - see above
            ) as client,
            client.stream("GET", url) as answer,
        ):
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > PAGE_BYTES_MAX:
                    break
    except (httpx.HTTPError, OSError) as error:
        return Page(0, "", f"{url}: {str(error) or repr(error)}")
    return Page(answer.status_code, body.decode("utf-8", "replace"))
