"""gRPC reflection, behind the same guards as every other call."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from grpc_reflection.v1alpha import reflection

from placement.api.answering import Context, Guard
from placement.api.status import status_of
from placement.core.errors import PlacementError

METHOD: Final = f"/{reflection.SERVICE_NAME}/ServerReflectionInfo"


class GuardedReflection(reflection.aio.ReflectionServicer):
    """Tells of the services to whom the guards let in."""

    def __init__(self, names: Sequence[str], guards: Sequence[Guard]) -> None:
        """Tell of the services of these *names*."""
        super().__init__(names)
        self._guards = guards

    async def ServerReflectionInfo(  # type: ignore[override]  # noqa: N802 - as its stub should say
        self,
        request_iterator: Any,  # noqa: ANN401 - gRPC's own type has no stub
        context: Context,
    ) -> AsyncIterator[Any]:
        """Answer each question, once the guards let the caller in."""
        try:
            for guard in self._guards:
                guard.enter(METHOD, context)
        except PlacementError as error:
            await context.abort_with_status(status_of(error))
        answers: Any = super().ServerReflectionInfo(request_iterator, context)
        async for response in answers:
            yield response
