"""A token service for docker-registry's ``auth.token``: who may do what, signed RS256.

It signs by the program ``openssl``, which the machines of tests have, so that no
library of cryptography is needed. It speaks distribution's token protocol: GET with
basic credentials, a service and scopes; it grants what a user may do, and no more.

    with TokenService(directory, {"reader": User("secret", ("pull",))}) as service:
        configuration = service.registry_section()     # docker-registry's YAML
        service.realm                                  # what clients are sent to

Source: distribution/distribution, docs/content/spec/auth/{token,jwt,scope}.md.
"""

import base64
import json
import secrets
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ISSUER: Final = "placement-tests"
SERVICE: Final = "registry"
DEADLINE_SECONDS: Final = 10.0
EVERYTHING: Final = ("pull", "push", "delete", "*")


@dataclass(frozen=True)
class User:
    """A user's password, what they may do, and in which repositories (prefixes)."""

    password: str = field(repr=False)
    actions: tuple[str, ...] = EVERYTHING
    prefixes: tuple[str, ...] = ("",)


class TokenService:
    """Runs in a thread, by itself on a free port of loopback, until it is left."""

    def __init__(
        self,
        directory: Path,
        users: Mapping[str, User],
        life_seconds: int = 300,
        address: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        """Take *directory*'s key and certificate, or make them; *users* by name."""
        directory.mkdir(parents=True, exist_ok=True)
        self._key = directory / "token.key"
        self.certificate = directory / "token.pem"
        self.users = dict(users)
        self.life_seconds = life_seconds
        self.counts: Counter[str] = Counter()
        """How often each user was given a token; the empty name: nobody's."""
        if not self.certificate.exists():
            make_certificate(self._key, self.certificate)
        self._chain = "".join(self.certificate.read_text().splitlines()[1:-1])
        self._socket = socket.create_server(address)
        app = Starlette(routes=[Route("/token", self._answer)])
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), daemon=True
        )

    @property
    def realm(self) -> str:
        """Where clients ask for tokens."""
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}/token"

    def registry_section(self) -> dict[str, Any]:
        """Return the section ``auth`` of docker-registry's configuration."""
        settings = {
            "realm": self.realm,
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(self.certificate),
        }
        return {"token": settings}

    def __enter__(self) -> Self:
        """Return it once it answers."""
        self._thread.start()
        ends = time.monotonic() + DEADLINE_SECONDS
        while not self._server.started:
            assert time.monotonic() < ends, "the token service did not start"
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self._server.should_exit = True
        self._thread.join(DEADLINE_SECONDS)
        self._socket.close()

    def _answer(self, request: Request) -> Response:
        """Give a token for what the asker may do of what was asked for."""
        name, password = basic_credentials(request.headers.get("Authorization", ""))
        user = self.users.get(name)
        if name and (user is None or user.password != password):
            return JSONResponse({"details": "who is that?"}, 401)
        self.counts[name] += 1
        asked = [
            scope
            for value in request.query_params.getlist("scope")
            for scope in value.split()
        ]
        access = [granted(scope, user) for scope in asked]
        token = self.signed(name, [one for one in access if one["actions"]])
        body = {"token": token, "expires_in": self.life_seconds}
        return JSONResponse(body)

    def signed(self, name: str, access: list[dict[str, Any]]) -> str:
        """Return a token for *name* that grants *access*."""
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self._chain]}
        claims = {
            "iss": ISSUER,
            "sub": name,
            "aud": SERVICE,
            "exp": now + self.life_seconds,
            "nbf": now - 10,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": access,
        }
        plain = f"{encoded(header)}.{encoded(claims)}"
        command = ["openssl", "dgst", "-sha256", "-sign", str(self._key)]
        done = subprocess.run(
            command, input=plain.encode(), check=True, capture_output=True, timeout=10
        )
        return f"{plain}.{unpadded(done.stdout)}"


def granted(scope: str, user: User | None) -> dict[str, Any]:
    """Return what *user* may do of a *scope* such as ``repository:acme/web:pull``."""
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    allowed = user.actions if user else ()
    inside = user is not None and any(name.startswith(p) for p in user.prefixes)
    kept = [one for one in actions.split(",") if inside and one in allowed]
    return {"type": kind, "name": name, "actions": kept}


def make_certificate(key: Path, certificate: Path) -> None:
    """Write a key and a certificate for 127.0.0.1 that it signs itself."""
    command = [
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
        *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(certificate)),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def basic_credentials(header: str) -> tuple[str, str]:
    """Return the user and password of an Authorization; empty: none were sent."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    name, _, password = base64.b64decode(rest).decode().partition(":")
    return name, password


def encoded(part: object) -> str:
    """Return a part of a JWT as JSON, in its base64."""
    return unpadded(json.dumps(part, separators=(",", ":")).encode())


def unpadded(body: bytes) -> str:
    """Return *body* in the base64 of JWTs."""
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()
