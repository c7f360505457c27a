"""Opens a scheduler's API: within limits, verified, with a token that may change."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from placement.agent.starts.streams import Api, ApiSettings
from placement.core.errors import InputError

CONNECTIONS_MAX: Final = 8
"""Two streams, a listing, and questions about single things."""


@asynccontextmanager
async def opened(
    settings: ApiSettings, ca_file: Path | None = None
) -> AsyncIterator[Api]:
    """Give the API with connections of its own, which are closed at the end.

    Raises InputError when *ca_file* is no file of authorities.
    """
    try:
        verified = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        remedy = f"name a PEM file of authorities that can be read ({error})"
        raise InputError("ca_file", str(ca_file), remedy) from None
    limits = httpx.Limits(
        max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX
    )
    async with httpx.AsyncClient(
        limits=limits, verify=verified, trust_env=False
    ) as http:
        yield Api(settings, http)


def kubernetes_settings(url: str, token_file: Path | None) -> ApiSettings:
    """Return how Kubernetes is asked: the service account's token is renewed hourly."""
    return ApiSettings(url=url, token=_reading(token_file))


def nomad_settings(url: str, token_file: Path | None) -> ApiSettings:
    """Return how Nomad is asked."""
    token = _reading(token_file)
    return ApiSettings(url=url, token=token, header="X-Nomad-Token", scheme="")


def _reading(token_file: Path | None) -> Callable[[], str] | None:
    """Return what reads the token, as it is then; None without a file."""
    if token_file is None:
        return None
    return lambda: token_file.read_text(encoding="utf-8").strip()
