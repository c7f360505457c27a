"""The past for tests: logs with a service over them, and one that stopped earlier."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import grpc
from google.protobuf.message import Message as ProtoMessage
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from placement.adapters.memory import MemoryEventLog
from placement.adapters.sqlite.older import OlderCheckpointFiles
from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.agent.feeds.captured import envelopes_in, records_in
from placement.agent.feeds.distribution import translate
from placement.agent.feeds.translation import FeedSettings
from placement.api.server import ServerSettings, build_server
from placement.core.event import Name
from placement.core.fold import FOLD_VERSION, fold
from placement.core.lookup import list_replicas
from placement.core.state import State
from placement.core.topology import Region
from placement.ports import EventLog, Message
from placement.runtime.checkpoint import Saver
from placement.runtime.past import Past, PastSettings
from placement.runtime.publisher import Publisher
from placement.runtime.view import View
from placement.v1 import basis_pb2 as basis_pb
from placement.v1 import operations_service_pb2 as operations_pb
from placement.v1 import placement_service_pb2 as pb
from placement.v1 import replication_service_pb2 as replication_pb
from placement.v1 import report_service_pb2 as report_pb
from placement.v1.operations_service_pb2_grpc import OperationsServiceStub
from placement.v1.placement_service_pb2_grpc import PlacementServiceStub
from placement.v1.replication_service_pb2_grpc import ReplicationServiceStub
from placement.v1.report_service_pb2_grpc import ReportServiceStub
from placement.wire.events import decode_message, encode_message
from placement.wire.page_tokens import FIRST
from tests.builders import SECOND_NS, START_NS, TOPOLOGY
from tests.golden_logs import RELEASES

EPOCH: Final = "memory-1"
CAPTURES: Final = Path(__file__).parents[1] / "placement/data/notifications"
ALL_CAPTURES: Final = CAPTURES.parents[3] / "shared/data/distribution-notifications"
IDLE_SECONDS: Final = 0.02
INTERVAL_S: Final = 1.0
ROOM: Final = 2**30

REFUSED: Final = "refused:"

Question = tuple[str, ProtoMessage]
"""A method, and what it is asked."""


def captured_log() -> list[Message]:
    """Return what a real registry posted as a log, each stored when it happened.

    All of what was captured, where it is there; a bare clone carries a part.
    """
    found: list[Message] = []
    time_ns = START_NS
    paths = sorted(ALL_CAPTURES.glob("[0-8]*.json")) or sorted(CAPTURES.glob("*.json"))
    for path in paths:
        document = json.loads(path.read_text("utf-8"))
        for region, envelope in envelopes_in(document):
            feed = FeedSettings(region=region or Region("iad"), publisher=Name(""))
            translated = translate(envelope, feed, records_in(document))
            for event in translated.events:
                subject, body, _ = encode_message([event])
                number = len(found) + 1
                time_ns = max(time_ns + SECOND_NS, event.occur_time_ns or 0)
                found.append(Message(number, time_ns, subject, body))
    return found


async def stored(messages: Sequence[Message]) -> MemoryEventLog:
    """Return a log that holds *messages*, each stored at its time."""
    now_ns = 0
    log = MemoryEventLog(lambda: now_ns, idle_seconds=IDLE_SECONDS)
    for message in messages:
        now_ns = message.store_time_ns
        await log.append(message.subject, message.body, f"m{message.sequence}")
    return log


def folded_to(messages: Sequence[Message], sequence: int) -> State:
    """Return the state after *sequence*, folded message by message."""
    state = State()
    for message in messages[:sequence]:
        fold(state, decode_message(message))
    return state


def older_files(directory: Path, bytes_max: int = ROOM) -> OlderCheckpointFiles:
    """Return the older checkpoints of a service in *directory*."""
    path = directory / "checkpoint.sqlite"
    return OlderCheckpointFiles(path, 2, INTERVAL_S, bytes_max)


async def keep(
    older: OlderCheckpointFiles,
    directory: Path,
    state: State,
    epoch: str = EPOCH,
    fold_version: int = FOLD_VERSION,
) -> None:
    """Let *state* be one of the *older* checkpoints in *directory*."""
    path = directory / "made.sqlite"
    for table in state.tables().values():
        table.mark_all_dirty()
    store = SqliteCheckpointStore(path)
    await Saver(store, fold_version).save(state, epoch)
    await store.settle()
    await store.close()
    older.retire(path)


@dataclass
class Asked:
    """A server of a view, and plain stubs that ask it."""

    view: View
    channel: grpc.aio.Channel
    past: Past | None = None

    async def answer(self, question: Question, sequence: int = 0) -> bytes:
        """Return what it answers, or refuses, but for the time of answering.

        As of a *sequence*, if there is one.
        """
        method, request = question
        asked: Any = type(request)()
        asked.CopyFrom(request)
        if sequence:
            asked.as_of.sequence = sequence
        try:
            answer = await getattr(self._stub(method), method)(asked, timeout=60)
        except grpc.aio.AioRpcError as error:
            return _refusal(error)
        for field in ("state", "staleness", "notes"):
            answer.basis.ClearField(field)
        body: bytes = answer.SerializeToString(deterministic=True)
        return body

    def _stub(self, method: str) -> Any:  # noqa: ANN401 - a stub of an aio channel
        kinds: tuple[Any, ...] = (
            PlacementServiceStub,
            ReplicationServiceStub,
            OperationsServiceStub,
            ReportServiceStub,
        )
        stubs = (kind(self.channel) for kind in kinds)
        return next(stub for stub in stubs if hasattr(stub, method))


def _refusal(error: grpc.aio.AioRpcError) -> bytes:
    status: Any = rpc_status.from_call(error)  # type: ignore[arg-type]  # alike enough
    assert status is not None, error
    found = [f"{REFUSED} {error.code().name} {error.details()}"]
    for packed in status.details:
        info = error_details_pb2.ErrorInfo()
        if packed.Unpack(info):
            found.append(f"{info.reason} {sorted(info.metadata.items())}")
    return "\n".join(found).encode()


@asynccontextmanager
async def serving(
    log: EventLog, view: View, past: Past | None = None
) -> AsyncIterator[Asked]:
    """Serve *view* on a free port of this machine."""
    server = build_server(
        ServerSettings(past=past, default_deadline_ms=60_000),
        view,
        TOPOLOGY,
        Publisher(log, view),
        view.now_ns,
    )
    target = f"127.0.0.1:{await server.start()}"
    try:
        async with grpc.aio.insecure_channel(target) as channel:
            yield Asked(view, channel, past)
    finally:
        await server.stop(0)
        if past is not None:
            await past.close()


def view_of(state: State) -> View:
    """Return a view of *state* whose clock is the log's: it stopped there."""
    view = View(lambda: state.store_time_ns)
    view.replace(state, EPOCH, restored=False)
    view.caught_up()
    return view


def live_view(messages: Sequence[Message], later_ns: int = 3_600 * SECOND_NS) -> View:
    """Return a view of all *messages*, of a time after the last one."""
    state = folded_to(messages, len(messages))
    now_ns = state.store_time_ns + later_ns
    view = View(lambda: now_ns)
    view.replace(state, EPOCH, restored=False)
    view.caught_up()
    return view


def past_of(
    log: EventLog,
    view: View,
    older: OlderCheckpointFiles,
    settings: PastSettings | None = None,
) -> Past:
    """Return the past of *view*."""
    return Past(log, view, older, view.now_ns, settings or PastSettings())


def questions(state: State, chance: Random) -> Iterator[Question]:
    """Yield one question of each kind about what *state* knows, or may not know yet."""
    replicas = list(list_replicas(state, None, None, FIRST))
    regions = sorted(TOPOLOGY.regions)
    region = chance.choice(regions)
    about = chance.choice(replicas)
    name, digest = about.repository, about.digest
    tags = [tag for tag, _ in state.tags_in(state.find_repository(name))]
    reference = chance.choice([digest, chance.choice([digest, *tags])])
    beside = [each.digest for each in replicas if each.repository == name][:20]
    yield (
        "RankSources",
        pb.RankSourcesRequest(repository=name, digest=digest, region=region),
    )
    yield (
        "BatchRankSources",
        pb.BatchRankSourcesRequest(repository=name, digests=beside, region=region),
    )
    keys = b"".join(bytes.fromhex(each.partition(":")[2]) for each in beside)
    yield (
        "BatchRankSourcesPacked",
        pb.BatchRankSourcesPackedRequest(
            repository=name, sha256_digests=keys, region=region
        ),
    )
    one: Any = {"repository": name, "reference": reference}
    yield "ResolveReference", pb.ResolveReferenceRequest(**one)
    yield "GetPlacement", pb.GetPlacementRequest(**one)
    yield "PlanPull", pb.PlanPullRequest(**one, region=region)
    yield "ExplainAnswer", pb.ExplainAnswerRequest(**one, region=region)
    yield (
        "EstimateStarts",
        pb.EstimateStartsRequest(images=[pb.ImageSelector(**one)], candidates="any"),
    )
    yield (
        "RankPushTargets",
        pb.RankPushTargetsRequest(repository=name, region=region),
    )
    yield "ListRoutes", pb.ListRoutesRequest(include_unobserved=chance.random() < 0.2)
    yield "ListReplicas", pb.ListReplicasRequest(page_size=chance.choice((3, 1_000)))
    yield from _about_decisions(state, chance, name)


def _about_decisions(state: State, chance: Random, name: str) -> Iterator[Question]:
    decisions = sorted(key.decode() for key, _ in state.decisions.rows())
    yield (
        "PreviewReplications",
        replication_pb.PreviewReplicationsRequest(
            repository=chance.choice(("", name)), max_replication_count=20
        ),
    )
    yield (
        "ListReplications",
        replication_pb.ListReplicationsRequest(page_size=chance.choice((5, 1_000))),
    )
    if decisions:
        chosen = chance.choice(decisions)
        request = replication_pb.GetReplicationRequest(replication_id=chosen)
        yield "GetReplication", request
    machine = f"machine-{chance.randrange(RELEASES)}"
    yield "ExplainStart", replication_pb.ExplainStartRequest(machine_id=machine)
    yield "ListOrders", operations_pb.ListOrdersRequest()
    grouping = report_pb.ReportGrouping.Value("REPORT_GROUPING_REGION")
    yield "GetReport", report_pb.GetReportRequest(grouping=grouping)


def at(sequence: int) -> basis_pb.AsOf:
    """Return the point after a message."""
    return basis_pb.AsOf(sequence=sequence)
