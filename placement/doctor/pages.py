"""Asks an HTTP page of this installation: its status and text, or why there is none."""

import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import httpx

from placement.client import ClientTls
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
    hung_up: bool = False
    """Whether somebody was there, who ended the connection instead of an answer."""

    @property
    def good(self) -> bool:
        """Whether it is as it should be."""
        return not self.trouble and self.status == httpx.codes.OK

    @property
    def shown(self) -> str:
        """How it went, for people."""
        return self.trouble or f"it answered {self.status}"


async def page(
    listen: str, path: str, *, secure: bool = False, tls: ClientTls | None = None
) -> Page:
    """Return what *path* is at the address *listen*, HOST:PORT; never raises.

    The certificate of a *secure* one is not verified: who is there is not the question.
    It is shown ours, as *tls* says, where that can be read.
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
                verify=_context(tls),
            ) as client,
            client.stream("GET", url) as answer,
        ):
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > PAGE_BYTES_MAX:
                    break
    except (httpx.HTTPError, OSError) as error:
        # Whoever gets no further has not connected, or not shaken hands.
        hung_up = isinstance(
            error, httpx.ReadError | httpx.WriteError | httpx.RemoteProtocolError
        )
        return Page(0, "", f"{url}: {str(error) or repr(error)}", hung_up)
    return Page(answer.status_code, body.decode("utf-8", "replace"))


def _context(tls: ClientTls | None) -> ssl.SSLContext:
    """Return what shows our certificate, and asks for none that can be trusted."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if tls is not None and tls.cert_file is not None:
        with suppress(OSError):  # the check of certificates tells of it
            context.load_cert_chain(tls.cert_file, tls.key_file, lambda: "")
    return context
