"""What is asked for a client, who the client is, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

import httpx
from starlette.responses import Response

from placement.agent.router.answers import unavailable, unknown
from placement.core.topology import Region

CONDITION: Final = "If-None-Match"
"""The header with which a client says what it has."""
REFUSED_MAX: Final = 2
VERIFYING: Final = (
    *("containerd/", "containers/", "cri-o/", "libpod/", "podman/", "skopeo/"),
    *("buildah/", "buildkit/", "docker/", "go-containerregistry/", "crane/"),
    *("oras/", "oras-go", "regclient/", "nerdctl/", "kaniko/"),
)
"""How clients call themselves that verify every blob: prefixes, in lower case."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: their rights, what they are, and what they say of the answer."""

    authorization: str | None = field(repr=False)
    user_agent: str
    passed: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    """Where it asks from; empty: nobody knows."""

    @property
    def verifies(self) -> bool:
        """Whether it compares what it gets with the digest that it asked for."""
        return self.user_agent.lower().startswith(VERIFYING)

    @property
    def unconditional(self) -> Self:
        """The client, as if it had nothing yet: any answer tells of the content."""
        passed = {n: v for n, v in self.passed.items() if n != CONDITION}
        return replace(self, passed=passed)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of any registry for *client*."""

    method: str
    path: str
    client: Client
    headers: Mapping[str, str] = field(default_factory=dict)
    """Instead of those that the client passed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A registry's open answer; whoever has it closes it."""

    region: Region
    response: httpx.Response


@dataclass(slots=True)
class Refusal:
    """Nobody gave it: what they said, for the client to be told the one same thing."""

    challenge: Response | None = None
    """Our own region's, if it was asked: the same whoever else was."""
    refused_count: int = 0
    no_count: int = 0
    """Answers of any kind that were not the content."""
    silent: bool = False
    """Whether somebody who might have it did not answer."""
    unreached: list[Region] = field(default_factory=list)
    """To whom no connection held, the last time that they were asked."""

    def final(self, client: Client) -> bool:
        """Say whether to ask others is in vain: who has no credentials needs some.

        Those that two registries refused are most likely too old.
        """
        most = 1 if client.authorization is None else REFUSED_MAX
        return self.refused_count >= most

    def response(self, code: str) -> Response:
        """Return what the client is told; *code* names the kind of what is unknown."""
        if self.challenge is not None:
            return self.challenge
        silent = self.silent or self.unreached
        return unavailable() if silent else unknown(code)
