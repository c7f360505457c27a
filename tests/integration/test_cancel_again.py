"""A decision that is called off again, in the same words, by who may not see it."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from placement.client.errors import call_error
from placement.core.event import (
    Identifier,
    ReplicationPlanned,
    ReplicationSubject,
)
from placement.v1 import replication_service_pb2 as pb
from tests.authorized import Guarded, guarded
from tests.builders import AMS, FRA, MANIFEST, WEB, A, event, pushed
from tests.certificates import Papers

AGAIN = pb.CancelReplicationRequest(
    replication_id="r-1", actor="ops", reason="it is not needed"
)
PLANNED = ReplicationPlanned(
    ReplicationSubject(Identifier("r-1"), WEB, A, FRA), AMS, 100, trigger_sequence=1
)


@pytest.fixture
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    """A service that asks everybody who they are, with one copy to fra decided."""
    async with guarded(Papers(tmp_path_factory.mktemp("papers"))) as served:
        await served.stage.happen(
            pushed("a", AMS, media_type=MANIFEST), event(FRA, PLANNED)
        )
        yield served


async def called_off(service: Guarded, path: str) -> str:
    """Return why the call of a client is refused; empty: it is answered."""
    async with service.channel(path) as channel:
        call: Any = channel.unary_unary(
            "/placement.v1.ReplicationService/CancelReplication"
        )
        try:
            await call(AGAIN.SerializeToString(), timeout=20)
        except grpc.aio.AioRpcError as error:
            return call_error(error).reason
    return ""


async def test_call_that_was_made_before_tells_nobody_else_of_it(
    service: Guarded,
) -> None:
    """Whose decision it is comes before whether it was called off in such words."""
    reasons = [await called_off(service, "operator")]
    await service.stage.fold_all()
    reasons += [
        await called_off(service, path)
        for path in ("operator", "region/ams/scheduler", "tenant/other/scheduler")
    ]

    assert reasons[2:] == ["REGION_FORBIDDEN", "REPLICATION_UNKNOWN"]
    assert reasons[1] == ""
