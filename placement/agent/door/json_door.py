"""The door for HTTP and JSON: one address for each method, for shells and people."""

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any, Final

import grpc
import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from placement.agent.door.desk import Desk
from placement.agent.door.methods import METHODS, JsonMethod
from placement.agent.door.queries import QUERIES, request_of
from placement.agent.door.refusing import Refused, refused
from placement.api.listener import is_loopback
from placement.core.errors import InputError, PlacementError
from placement.hosting import Hosting, host_app, open_listener, port_of
from placement.runtime.view import ServingState
from placement.wire.json import fill, plain
from placement.wire.requests import REQUEST_BYTES_MAX

CALL_SECONDS_MAX: Final = 10.0
CONNECTIONS_MAX: Final = 256

log = structlog.get_logger(__name__)


class JsonDoor:
    """Reads requests from JSON, lets the desk answer, and writes JSON."""

    def __init__(self, desk: Desk) -> None:
        """Let *desk* answer."""
        self._desk = desk

    async def post(self, request: Request) -> Response:
        """Answer ``POST /v1/{Method}`` with the method's request as its body."""

        async def answer() -> dict[str, Any]:
            name = str(request.path_params["method"])
            return await self._answer(name, _decoded(await _body(request)))

        return await self._guarded(request, answer)

    async def get(self, request: Request) -> Response:
        """Answer ``GET /v1/{question}`` with its parts in the address."""

        async def answer() -> dict[str, Any]:
            name = str(request.path_params["question"])
            query = QUERIES.get(name)
            if query is None:
                raise InputError("question", name, f"ask {', '.join(QUERIES)}")
            asked = {
                key: request.query_params.getlist(key) for key in request.query_params
            }
            return await self._answer(query.method, request_of(query, asked))

        return await self._guarded(request, answer)

    async def health(self, _request: Request) -> Response:
        """Say what answers rest on now."""
        basis = self._desk.local.basis
        serves = basis.state is not ServingState.REBUILDING
        return JSONResponse(
            {
                "status": "SERVING" if serves else "NOT_SERVING",
                "state": basis.state.name,
                "staleness_seconds": round(basis.staleness_ns / 1e9, 3),
                "sequence": basis.sequence,
            },
            200 if serves else 503,
        )

    async def _answer(self, name: str, value: object) -> dict[str, Any]:
        method = METHODS.get(name)
        if method is None:
            raise InputError("method", name, "give the name of a method of the API")
        if method.streams:
            remedy = "ask for streams over gRPC"
            raise InputError("method", name, remedy)
        return await self._called(method, value)

    async def _called(self, method: JsonMethod, value: object) -> dict[str, Any]:
        request = method.request()
        fill(request, value)
        body, desk = request.SerializeToString(), self._desk
        if desk.answers(method.path):
            answer = await desk.answer(method.path, body, CALL_SECONDS_MAX)
        else:
            answer = await desk.service.unary(method.path, body, CALL_SECONDS_MAX)
        response = method.response()
        response.ParseFromString(answer)
        return plain(response)

    async def _guarded(self, request: Request, answer: Callable[[], Any]) -> Response:
        """Return the answer, or why there is none."""
        try:
            _check_caller(request)
            return JSONResponse(await answer())
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except (PlacementError, grpc.aio.AioRpcError) as error:
            return _refusal(refused(error))
        except Exception:
            error_id = secrets.token_hex(8)
            path = request.url.path
            log.exception("call_failed", method=path, error_id=error_id)
            return _refusal(refused(error_id))


def _check_caller(request: Request) -> None:
    """Raise InputError for a page in a browser: it is not who runs on this machine.

    Its own host names may lead here as well, so that only loopback's are taken.
    """
    if "origin" in request.headers:
        remedy = "ask from a program of this machine, not from a web page"
        raise InputError("Origin", request.headers["origin"], remedy)
    host = request.headers.get("host", "")
    name = host.rpartition(":")[0] if not host.endswith("]") else host
    if not is_loopback(name or host):
        raise InputError("Host", host, "ask 127.0.0.1 or localhost")


async def _body(request: Request) -> bytes:
    """Return the whole body; raises InputError once it is too large, or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(CALL_SECONDS_MAX):
            async for chunk in request.stream():
                body += chunk
                if len(body) > REQUEST_BYTES_MAX:
                    remedy = f"post at most {REQUEST_BYTES_MAX} bytes"
                    raise InputError("body", "too large", remedy)
    except TimeoutError:
        remedy = f"post all of it within {CALL_SECONDS_MAX:g} seconds"
        raise InputError("body", f"{len(body)} bytes", remedy) from None
    return bytes(body)


def _decoded(body: bytes) -> object:
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError):
        remedy = "post the method's request as a JSON object"
        raise InputError("body", f"{len(body)} bytes", remedy) from None


def _refusal(refused: Refused) -> Response:
    return JSONResponse(refused.body, refused.http_status)


def json_app(desk: Desk) -> Starlette:
    """Return the door as an ASGI app."""
    door = JsonDoor(desk)
    return Starlette(
        routes=[
            Route("/v1/{method}", door.post, methods=["POST"]),
            Route("/v1/{question}", door.get, methods=["GET"]),
            Route("/healthz", door.health, methods=["GET"]),
        ]
    )


async def serve_json(
    app: Starlette, host: str, port: int, on_listening: Callable[[int], None]
) -> None:
    """Serve *app* until cancelled; raises InputError for an address that is taken."""
    try:
        listener = open_listener(host, port)
    except OSError as error:
        remedy = f"listen somewhere else ({error.strerror})"
        raise InputError("agent.door.http_listen", f"{host}:{port}", remedy) from None
    on_listening(port_of(listener))
    await host_app(app, listener, Hosting(CONNECTIONS_MAX))
