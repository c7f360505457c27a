"""Where every call is brought: answered from the replica, or else by the service."""

from typing import Final

import grpc

from placement.agent.door.answers import DoorAnswers
from placement.agent.door.service import Metadata, Service, ServiceUnreachableError
from placement.agent.door.settling import ElsewhereError, Settling
from placement.api.answering import parsed
from placement.api.reading import ANSWER_MARGIN_S
from placement.api.reasons import REASONS
from placement.client.local import LocalPlacements
from placement.core.errors import PlacementError

SERVICE_SECONDS: Final = 1.0
"""So long may the service take where the replica has an answer as well."""
PREFIX: Final = "/placement.v1.PlacementService/"


class Desk:
    """Answers calls of one service, as it would."""

    def __init__(self, local: LocalPlacements, service: Service) -> None:
        """Answer from *local*, and let *service* answer the rest."""
        self.local = local
        self.service = service
        self._methods = {
            PREFIX + name: method for name, method in DoorAnswers(local).methods.items()
        }

    def answers(self, path: str) -> bool:
        """Say whether a method can be answered from the replica."""
        return path in self._methods

    async def answer(
        self,
        path: str,
        body: bytes,
        remaining_s: float | None,
        metadata: Metadata = (),
    ) -> bytes:
        """Return the answer of a method that ``answers``, as it travels.

        *remaining_s* is what the caller gives; None: without an end. Raises
        PlacementError, and AioRpcError with what the service said instead.
        """
        try:
            return await self._locally(path, body, remaining_s, alone=False)
        except ElsewhereError:
            timeout_s = SERVICE_SECONDS
            if remaining_s is not None:
                left_s = max(0.0, remaining_s - ANSWER_MARGIN_S)
                timeout_s = min(timeout_s, left_s)
        try:
            return await self.service.unary(path, body, timeout_s, metadata)
        except ServiceUnreachableError:
            pass
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
        return await self._locally(path, body, remaining_s, alone=True)

    async def _locally(
        self, path: str, body: bytes, remaining_s: float | None, *, alone: bool
    ) -> bytes:
        """Return the replica's answer; raises ElsewhereError while not *alone*.

        What the replica does not know, the service may: only alone is that an error.
        """
        method = self._methods[path]
        request = parsed(method.parse, body)
        settling = Settling(self.local, remaining_s, alone=alone)
        try:
            response = await method.answer(request, settling)
        except PlacementError as error:
            absent = REASONS[error.reason].code is grpc.StatusCode.NOT_FOUND
            if absent and not alone:
                raise ElsewhereError from None
            raise
        return bytes(response.SerializeToString())
