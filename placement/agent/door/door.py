"""The local door: one replica, one service behind it, two ways to ask."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from placement.agent.door.desk import Desk
from placement.agent.door.grpc_door import GrpcDoor
from placement.agent.door.json_door import json_app, serve_json
from placement.agent.door.service import Service
from placement.api.listener import is_loopback
from placement.client.channels import Channels
from placement.client.local import LocalPlacements
from placement.client.tls import ClientTls
from placement.core.errors import InputError

GRPC_KEY: Final = "agent.door.listen"
HTTP_KEY: Final = "agent.door.http_listen"

log = structlog.get_logger(__name__)

Address = tuple[str, int]
"""Host and port; port 0 is any free one."""


def nobody_asks(_key: str, _port: int) -> None:
    """Do nothing: nobody wants to know where the door is."""


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """Where the door is, on this machine alone; None: nowhere."""

    listen: Address | None = None
    """For gRPC."""
    http_listen: Address | None = None
    """For HTTP and JSON."""


def check_door(settings: DoorSettings) -> None:
    """Raise InputError naming the key of an address that other machines could reach.

    The door asks the service as the agent: whoever reaches it has the agent's rights.
    """
    given = ((GRPC_KEY, settings.listen), (HTTP_KEY, settings.http_listen))
    for key, address in given:
        if address is not None and not is_loopback(address[0]):
            remedy = "give a loopback address such as 127.0.0.1: the door has no lock"
            raise InputError(key, address[0], remedy)


class Door:
    """Answers the placement API on this machine until it is cancelled."""

    def __init__(
        self,
        settings: DoorSettings,
        local: LocalPlacements,
        service_target: str,
        tls: ClientTls | None = None,
        on_listening: Callable[[str, int], None] = nobody_asks,
    ) -> None:
        """Answer from *local*, a whole replica of all repositories and regions.

        *service_target* answers the rest. *on_listening* is told each key and the port
        that it came to. Raises InputError naming a key that may not be as it is.
        """
        check_door(settings)
        self._settings = settings
        self._local = local
        self._target = service_target
        self._tls = tls
        self._on_listening = on_listening

    async def run(self) -> None:
        """Serve until cancelled; raises InputError for an address that is taken."""
        channels = Channels(self._target, self._tls)
        desk = Desk(self._local, Service(channels))
        try:
            async with asyncio.TaskGroup() as tasks:
                if self._settings.listen is not None:
                    tasks.create_task(self._serve_grpc(desk, *self._settings.listen))
                if self._settings.http_listen is not None:
                    tasks.create_task(
                        self._serve_http(desk, *self._settings.http_listen)
                    )
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            await channels.close()

    async def _serve_grpc(self, desk: Desk, host: str, port: int) -> None:
        door = GrpcDoor(desk)
        self._listening(GRPC_KEY, host, await door.start(host, port))
        try:
            await asyncio.Event().wait()
        finally:
            await door.stop()

    async def _serve_http(self, desk: Desk, host: str, port: int) -> None:
        def listening(bound: int) -> None:
            self._listening(HTTP_KEY, host, bound)

        await serve_json(json_app(desk), host, port, listening)

    def _listening(self, key: str, host: str, port: int) -> None:
        log.info("door_listening", key=key, host=host, port=port)
        self._on_listening(key, port)
