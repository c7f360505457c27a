"""A channel, and calls over it: within a deadline, repeated while that may help."""

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import grpc
import stamina

from placement import tracing
from placement.client.errors import PlacementCallError, call_error, patience_s
from placement.core.errors import InputError

Request = TypeVar("Request")
Response = TypeVar("Response")

RESPONSE_BYTES_MAX: Final = 16 * 1024 * 1024
"""The largest is BatchRankSources of 1,024 digests with 32 sources each."""
ATTEMPTS_MAX: Final = 20
FIRST_WAIT_S: Final = 0.05
JITTER_S: Final = 0.1
LAST_WAIT_S: Final = 0.5
CONNECT_AGAIN_MS: Final = 100

OPTIONS: Final = (
    ("grpc.max_receive_message_length", RESPONSE_BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", CONNECT_AGAIN_MS),
    ("grpc.min_reconnect_backoff_ms", CONNECT_AGAIN_MS),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How the client knows the service, and how the service knows the client."""

    ca_file: Path | None = None
    """Who signed the service's certificate; None: whom the system trusts."""
    cert_file: Path | None = None
    """The client's own certificate chain, where the service asks for one."""
    key_file: Path | None = None


def open_channel(target: str, tls: ClientTls | None) -> grpc.aio.Channel:
    """Return a channel to *target*; raises InputError for files that cannot be read."""
    if tls is None:
        return grpc.aio.insecure_channel(target, OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(tls.ca_file, "ca_file"),
        private_key=_read(tls.key_file, "key_file"),
        certificate_chain=_read(tls.cert_file, "cert_file"),
    )
    return grpc.aio.secure_channel(target, credentials, OPTIONS)


def _read(path: Path | None, field: str) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        remedy = f"give a file that can be read ({error.strerror})"
        raise InputError(field, path, remedy) from None


async def call(
    method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
    request: Request,
    timeout_s: float,
) -> Response:
    """Return the answer of *method*, asked again while the service is UNAVAILABLE.

    A service that has no room, and says when it will have some, is asked again then.
    Raises PlacementCallError, at the latest when *timeout_s* is over.
    """
    clock = asyncio.get_running_loop().time
    deadline_s = clock() + timeout_s

    def may_help(error: Exception) -> bool | float:
        if not isinstance(error, PlacementCallError):
            return False
        wait_s: bool | float = error.code is grpc.StatusCode.UNAVAILABLE
        if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            wait_s = patience_s(error, random.random())  # noqa: S311 - no secret
        fits = clock() + max(wait_s, LAST_WAIT_S) < deadline_s
        return wait_s if fits else False

    async for attempt in stamina.retry_context(
        on=may_help,
        attempts=ATTEMPTS_MAX,
        timeout=timeout_s,
        wait_initial=FIRST_WAIT_S,
        wait_max=LAST_WAIT_S,
        wait_jitter=JITTER_S,
    ):
        with attempt:
            return await _once(method, request, deadline_s - clock())
    raise AssertionError  # the last attempt returns or raises


async def _once(
    method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
    request: Request,
    timeout_s: float,
) -> Response:
    traced = tuple(tracing.headers().items()) or None
    started = method(request, timeout=max(0.0, timeout_s), metadata=traced)
    try:
        return await started
    except grpc.aio.AioRpcError as error:
        raise call_error(error) from None
    finally:
        started.cancel()  # grpc.aio never collects what is abandoned
