"""A checkpoint from a peer: offered, received, proven, adopted, or refused."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest

from placement.adapters.sqlite.copying import CopyError
from placement.adapters.sqlite.proof import chunk_hash
from placement.cli.status import bootstrapping
from placement.client import PlacementClient
from placement.core.fingerprint import fingerprint
from placement.core.fold import FOLD_VERSION
from placement.faults import FaultPoint, armed
from placement.offers import HashedChunk, Offer, Peer, PeerError, offer
from placement.ports import Chunk, LogReplacedError
from placement.runtime import bootstrap as bootstrap_module
from placement.runtime import projector
from placement.runtime.replay import replay
from placement.runtime.sharing import SharingSettings
from tests.bootstrap_nodes import (
    GIVING,
    TAKING,
    WAIT_S,
    Change,
    Item,
    Meddler,
    Node,
    filled,
    new_log,
    store_each,
)
from tests.projecting import pushes
from tests.small_pages import small_pages

COUNT = 60


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let even a small state have many chunks, and be written in many batches."""
    monkeypatch.setattr(projector, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(bootstrap_module, "BATCH_BYTES", 2_000)
    with small_pages():
        yield


async def test_checkpoint_of_a_peer_is_adopted_and_the_tail_folded(
    tmp_path: Path,
) -> None:
    """The new one folds only what came after, and its own next start needs no peer."""
    log, giver = await filled(tmp_path, COUNT)
    async with giver.running() as given:
        await given.live_at(COUNT)
        taker = Node(tmp_path / "taker", log, [given.peer])
        async with taker.running() as taken:
            await taken.live_at(COUNT)
            first = taken.projector._lines.shown.first_sequence  # noqa: SLF001 - what it folded itself
            await store_each(log, pushes(5, COUNT))
            await taken.require_equal(log)

    assert first == COUNT + 1
    assert taken.bootstrap.counts["adopted"] == 1
    assert taker.file.exists()
    assert not list(taker.directory.glob("*incoming*"))
    async with Node(taker.directory, log, [given.peer]).running() as again:
        await again.require_equal(log)
        assert not again.bootstrap.counts.total(), "nobody was asked"


async def test_checkpoint_is_whole_while_the_peer_folds_and_saves(
    tmp_path: Path,
) -> None:
    """Each offer, made in the midst of writing, is the state at its own sequence."""
    log, giver = await filled(tmp_path, COUNT)
    giver = replace(giver, giving=replace(GIVING, fresh_seconds=0.0))
    async with giver.running() as given:
        await given.live_at(COUNT)

        async def write() -> None:
            for number in range(COUNT, 100 * COUNT):
                await store_each(log, pushes(1, number))
                await asyncio.sleep(0.005)

        writing = asyncio.create_task(write())
        found = []
        for number in range(4):
            node = Node(tmp_path / f"taker-{number}", log, [given.peer])
            async with node.running() as taken:
                await taken.until(lambda run=taken: run.view.epoch != "")  # type: ignore[misc]  # bound now
                assert taken.bootstrap.counts["adopted"] == 1
                found.append(taken.projector._lines.shown.first_sequence - 1)  # noqa: SLF001 - the checkpoint's
                await taken.live_at(found[-1] + 1)
        writing.cancel()
        await asyncio.wait({writing})

    for number, sequence in enumerate(found):
        last = Node(tmp_path / f"taker-{number}", log)
        async with last.running() as taken:
            await taken.require_equal(log)
        assert (await replay(log, sequence)).sequence == sequence
    assert found == sorted(set(found)), "each is another one"


def first_chunk(said: list[Item]) -> HashedChunk:
    """Return the first chunk of *said*."""
    assert isinstance(said[1], HashedChunk)
    return said[1]


def flipped(said: list[Item]) -> list[Item]:
    """Flip a bit of a chunk, and leave its hash."""
    (table, number, body), own = (
        (
            first_chunk(said).chunk.table,
            first_chunk(said).chunk.number,
            first_chunk(said).chunk.body,
        ),
        first_chunk(said).own_hash,
    )
    changed = bytes([body[0] ^ 1]) + body[1:]
    return [said[0], HashedChunk(Chunk(table, number, changed), own), *said[2:]]


def rehashed(said: list[Item]) -> list[Item]:
    """Flip a bit of a chunk, and hash it again."""
    chunk = first_chunk(said).chunk
    body = chunk.body[:-1] + bytes([chunk.body[-1] ^ 1])
    own = chunk_hash(chunk.table, chunk.number, body)
    changed = HashedChunk(replace(chunk, body=body), own)
    return [said[0], changed, *said[2:]]


def told_anew(said: list[Item], **header: object) -> list[Item]:
    """Return *said* with another header, and an id that fits."""
    offered, *chunks = said
    assert isinstance(offered, Offer)
    seal = str(header.pop("seal", offered.seal))
    hashes = [each.own_hash for each in chunks if isinstance(each, HashedChunk)]
    bodies = [each.chunk.body for each in chunks if isinstance(each, HashedChunk)]
    size = (len(hashes), sum(map(len, bodies)))
    changed = replace(offered.header, **header)  # type: ignore[arg-type]  # of its own fields
    return [offer(changed, seal, size, hashes), *chunks]


def foreign_table(said: list[Item]) -> list[Item]:
    """Let the last chunk be of a table that there is not, all hashes right."""
    last = said[-1]
    assert isinstance(last, HashedChunk)
    chunk = replace(last.chunk, table="zzz")
    own = chunk_hash(chunk.table, chunk.number, chunk.body)
    return told_anew([*said[:-1], HashedChunk(chunk, own)])


def huge(said: list[Item]) -> list[Item]:
    """Offer more than anybody has room for."""
    offered = said[0]
    assert isinstance(offered, Offer)
    return [replace(offered, body_bytes=2**60), *said[1:]]


MEDDLINGS: dict[str, tuple[Change, str]] = {
    "a flipped bit": (flipped, "is not as it was sent"),
    "a flipped bit, hashed again": (rehashed, "are not the"),
    "a chunk too many": (lambda said: [*said, said[-1]], "more than"),
    "chunks in another order": (
        lambda said: [said[0], *reversed(said[1:])],
        "comes after",
    ),
    "a chunk twice": (lambda said: [*said[:2], said[1], *said[3:]], "comes after"),
    "no offer": (lambda said: said[1:], "offers nothing"),
    "nothing at all": (lambda _: [], "offers nothing"),
    "more bytes than there is room": (huge, "bytes"),
    "another seal": (lambda said: told_anew(said, seal="0" * 32), "has seal"),
    "another log": (lambda said: told_anew(said, epoch="other"), "epoch is"),
    "a message that is another one": (
        lambda said: told_anew(said, message_hash=b"other"),
        "is not the one",
    ),
    "a message that is not there yet": (
        lambda said: told_anew(said, sequence=10**6),
        "the log ends at",
    ),
    "another fold version": (
        lambda said: told_anew(said, fold_version=FOLD_VERSION + 1),
        "folded by version",
    ),
    "a table that there is not": (foreign_table, "no table"),
}


@pytest.mark.parametrize("name", list(MEDDLINGS))
async def test_what_is_not_as_it_should_be_is_refused_and_the_log_folded(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is wrong is said, and nothing of it stays or is ever shown."""
    change, why = MEDDLINGS[name]
    log, giver = await filled(tmp_path, COUNT)
    async with giver.running() as given:
        await given.live_at(COUNT)
        meddler = Meddler(given.peer, change)
        alone = Node(tmp_path / "alone", log, [meddler])
        async with alone.running() as taken:
            await taken.require_equal(log)
            assert taken.bootstrap.counts["adopted"] == 0
            assert taken.bootstrap.counts["refused"] == 1
            assert taken.projector._lines.shown.first_sequence == 1  # noqa: SLF001 - it folded all

    assert why in caplog.text
    assert not list(alone.directory.glob("*incoming*"))


async def test_next_peer_is_asked_where_one_is_refused(tmp_path: Path) -> None:
    """One peer that is wrong keeps nobody from another one."""
    log, giver = await filled(tmp_path, COUNT)
    async with giver.running() as given:
        await given.live_at(COUNT)
        peers: list[Peer] = [Nobody(), Meddler(given.peer, flipped), given.peer]
        async with Node(tmp_path / "taker", log, peers).running() as taken:
            await taken.require_equal(log)

    assert taken.bootstrap.counts == {
        "adopted": 1,
        "refused": 1,
        "broken": 1,
        "gave_up": 0,
    }


async def test_broken_connection_goes_on_where_it_was(tmp_path: Path) -> None:
    """However often it breaks, each chunk comes once."""
    log, giver = await filled(tmp_path, COUNT)
    async with giver.running() as given:
        await given.live_at(COUNT)
        meddler = Meddler(given.peer, breaks_after=12)
        node = Node(tmp_path / "taker", log, [meddler])
        async with node.running() as taken:
            await taken.require_equal(log)
            offered = given.sharing._offer  # noqa: SLF001 - what was given

    assert offered is not None
    assert taken.bootstrap.counts["adopted"] == 1
    assert taken.bootstrap.received_bytes == offered.body_bytes
    held = [count for _, count in meddler.streams]
    assert len(held) > 5
    assert held == sorted(held)
    assert {each for each, _ in meddler.streams} == {"", offered.checkpoint_id}


class Nobody:
    """A peer that never gives anything."""

    name = "nobody"

    def __init__(self) -> None:
        """Begin unasked."""
        self.asked = 0

    async def stream(
        self, fold_version: int, checkpoint_id: str, held_count: int
    ) -> AsyncGenerator[Item, None]:
        """Raise that it is not the time."""
        self.asked += 1
        why = f"not now: {fold_version}, {checkpoint_id}, {held_count}"
        given: list[Item] = []
        for item in given:
            yield item
        raise PeerError(why, again=True)


async def test_peer_that_gives_nothing_again_and_again_is_given_up(
    tmp_path: Path,
) -> None:
    """A peer that is asked six times in vain is not asked for ever."""
    log, giver = await filled(tmp_path, COUNT)

    nobody = Nobody()
    async with Node(giver.directory, log, [nobody]).running() as run:
        await run.require_equal(log)

    assert nobody.asked == bootstrap_module.ATTEMPTS_MAX
    assert run.bootstrap.counts["broken"] == 1


async def test_all_of_it_has_a_limit_in_time(tmp_path: Path) -> None:
    """A peer that drips is left, and the log is folded."""
    log, giver = await filled(tmp_path, COUNT)
    async with giver.running() as given:
        await given.live_at(COUNT)
        meddler = Meddler(given.peer, breaks_after=1)
        taking = replace(TAKING, seconds_max=0.3, retry_seconds=0.25)
        async with Node(
            tmp_path / "taker", log, [meddler], taking=taking
        ).running() as taken:
            await taken.require_equal(log)

    assert taken.bootstrap.counts["gave_up"] == 1
    assert not list((tmp_path / "taker").glob("*incoming*"))


async def test_service_whose_log_was_trimmed_comes_back(tmp_path: Path) -> None:
    """What the log no longer holds is in a peer's checkpoint, and only there."""
    log, giver = await filled(tmp_path, COUNT)
    behind = Node(tmp_path / "behind", log)
    async with behind.running() as run:
        await run.require_equal(log)
    async with giver.running() as given:
        await store_each(log, pushes(20, COUNT))
        await given.require_equal(log)
        whole = fingerprint(given.view.state)
        log.trim(COUNT + 10)
        with pytest.raises(LogReplacedError):
            async with behind.running() as run:
                await run.task

        repaired = replace(behind, peers=[given.peer])
        async with repaired.running() as run:
            await run.live_at(COUNT + 20)

            assert run.bootstrap.counts["adopted"] == 1
            assert fingerprint(run.view.state) == whole


async def test_new_service_on_a_trimmed_log_begins_from_a_peer(tmp_path: Path) -> None:
    """Where even the message of the checkpoint is gone, the log's name must do."""
    log, giver = await filled(tmp_path, COUNT)
    async with giver.running() as given:
        await given.live_at(COUNT)
        log.trim(COUNT + 1)
        async with Node(tmp_path / "new", log, [given.peer]).running() as run:
            await run.live_at(COUNT)
            await store_each(log, pushes(3, COUNT))
            await run.live_at(COUNT + 3)
            await given.live_at(COUNT + 3)

            assert fingerprint(run.view.state) == fingerprint(given.view.state)


async def test_checkpoint_far_behind_is_replaced_and_answers_meanwhile(
    tmp_path: Path,
) -> None:
    """A state that lacks more than it may goes on answering until a newer one comes."""
    log, giver = await filled(tmp_path, COUNT)
    old = Node(tmp_path / "old", log)
    async with old.running() as run:
        await run.require_equal(log)
    await store_each(log, pushes(COUNT, COUNT))
    async with giver.running() as given:
        await given.require_equal(log)
        near = replace(old, peers=[given.peer], directory=tmp_path / "old")
        async with near.running() as run:
            await run.require_equal(log)
            assert not run.bootstrap.counts.total(), "it is near enough"

        far = Node(tmp_path / "far", log, [given.peer])
        async with Node(far.directory, log).running() as run:
            await run.require_equal(log)
        await store_each(log, pushes(COUNT, 2 * COUNT))
        await given.require_equal(log)
        taking = replace(TAKING, behind_messages=COUNT - 1)
        async with replace(far, taking=taking).running() as run:
            assert run.view.state.sequence == 2 * COUNT, "it answers from its own"
            await run.require_equal(log)
            assert run.bootstrap.counts["adopted"] == 1
        async with Node(far.directory, log).running() as run:
            await run.require_equal(log)


async def test_only_so_many_read_at_once(tmp_path: Path) -> None:
    """One too many is told to come again, and a reader who leaves makes room."""
    _, giver = await filled(tmp_path, COUNT)
    one = SharingSettings(streams_max=1, bytes_per_second=65_536)
    async with replace(giver, giving=one).running() as given:
        await given.live_at(COUNT)
        async with aclosing(given.peer.stream(FOLD_VERSION, "", 0)) as first:
            assert isinstance(await anext(first), Offer)
            with pytest.raises(PeerError, match="CHECKPOINT_BUSY") as caught:
                await anext(given.peer.stream(FOLD_VERSION, "", 0))
            assert caught.value.again
            assert given.sharing.readers == 1
        await given.until(lambda: not given.sharing.readers)

        async with aclosing(given.peer.stream(FOLD_VERSION, "", 0)) as second:
            assert isinstance(await anext(second), Offer)
        assert given.sharing.counts["busy"] == 1


async def test_reader_who_leaves_while_a_copy_is_made_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing goes on for somebody who is gone, and the next one is served."""
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(_path: Path, stop: Event, _new: Path) -> Path:
        loop.call_soon_threadsafe(began.set)
        assert stop.wait(WAIT_S)
        message = "it was told to stop"
        raise CopyError(message)

    log, giver = await filled(tmp_path, COUNT)
    async with giver.running() as given:
        await given.live_at(COUNT)
        with monkeypatch.context() as patched:
            patched.setattr("placement.adapters.sqlite.sharing.copied", slowly)
            leaver = asyncio.ensure_future(
                anext(given.peer.stream(FOLD_VERSION, "", 0))
            )
            await began.wait()
            leaver.cancel()
            await asyncio.wait({leaver})
            await given.until(lambda: not given.sharing.readers)

        async with Node(tmp_path / "taker", log, [given.peer]).running() as taken:
            await taken.require_equal(log)
            assert taken.bootstrap.counts["adopted"] == 1


async def test_service_that_is_not_whole_shares_nothing(tmp_path: Path) -> None:
    """Neither before it is folded to the end, nor what other rules would fold."""
    node = Node(tmp_path / "giver", new_log())
    nothing = replace(node, giving=SharingSettings(streams_max=0))
    async with nothing.running() as run:
        with pytest.raises(PeerError, match="streams_max") as caught:
            await anext(run.peer.stream(FOLD_VERSION, "", 0))
        assert not caught.value.again
    async with node.running() as run:
        for fold_version, why in (
            (FOLD_VERSION, "CHECKPOINT_UNSHARED"),
            (FOLD_VERSION + 1, "CHECKPOINT_REFUSED"),
        ):
            with pytest.raises(PeerError, match=why) as caught:
                await anext(run.peer.stream(fold_version, "", 0))
            assert not caught.value.again


async def test_copy_is_reused_while_it_is_fresh_and_deleted_when_nobody_comes(
    tmp_path: Path,
) -> None:
    """Several new services cost one copy, which does not stay."""
    log, giver = await filled(tmp_path, COUNT)
    copy = giver.directory / "checkpoint.shared.sqlite"
    async with giver.running() as given:
        await given.live_at(COUNT)
        offers = []
        for number in range(2):
            node = Node(tmp_path / f"taker-{number}", log, [given.peer])
            async with node.running() as taken:
                await taken.live_at(COUNT)
                offers.append(given.sharing._offer)  # noqa: SLF001 - what was given
        assert copy.exists()
        given.sharing.settings = replace(GIVING, keep_seconds=0.05)
        async with aclosing(given.peer.stream(FOLD_VERSION, "", 0)) as last:
            offers.append(await anext(last))  # type: ignore[arg-type]  # the offer
        await given.until(lambda: not copy.exists())

    assert offers[0] is offers[1]
    assert offers[1] == offers[2]


async def test_operator_sees_from_whom_and_how_far(tmp_path: Path) -> None:
    """While it is received, the service says so of itself."""
    log, giver = await filled(tmp_path, COUNT)
    slow = replace(GIVING, bytes_per_second=65_536)
    seen = []
    async with replace(giver, giving=slow).running() as given:
        await given.live_at(COUNT)
        node = Node(tmp_path / "taker", log, [given.peer])
        async with node.running() as taken, PlacementClient(taken.target) as client:
            while not taken.bootstrap.counts["adopted"]:
                info = await client.get_service_info()
                if info.HasField("bootstrap"):
                    seen.append(info.bootstrap)
            await taken.require_equal(log)
            assert not (await client.get_service_info()).HasField("bootstrap")

    assert {each.peer for each in seen} == {given.target}
    received = [each.received_bytes for each in seen]
    assert received == sorted(received)
    assert len(set(received)) > 2


def test_status_says_how_far_in_words() -> None:
    """What ``placement status`` shows while a checkpoint is taken over."""
    assert bootstrapping(None) == ""
    waiting = {"peer": "a:1", "received_bytes": "0", "total_bytes": "0"}
    assert bootstrapping(waiting) == "waiting for a:1"
    part = {"peer": "a:1", "received_bytes": "43000000", "total_bytes": "100000000"}
    assert bootstrapping(part).startswith("43 % of ")
    assert bootstrapping(part).endswith(" from a:1")


async def test_disk_without_room_leaves_the_log_to_be_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit is not begun, and no other peer is asked for the same."""
    log, giver = await filled(tmp_path, COUNT)
    async with giver.running() as given:
        await given.live_at(COUNT)
        offered = [each async for each in given.peer.stream(FOLD_VERSION, "", 0)]
        monkeypatch.setattr(
            "placement.adapters.sqlite.staging.shutil.disk_usage",
            lambda _: SimpleNamespace(free=1_000),
        )
        node = Node(tmp_path / "taker", log, [given.peer, given.peer])
        async with node.running() as taken:
            await taken.require_equal(log)

    assert len(offered) > 10
    assert taken.bootstrap.counts == {
        "adopted": 0,
        "refused": 0,
        "broken": 0,
        "gave_up": 1,
    }


async def test_checkpoint_that_cannot_take_its_place_costs_only_a_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one is put aside by then: what is saved next is whole all the same."""
    log, giver = await filled(tmp_path, COUNT)
    old = Node(tmp_path / "old", log)
    async with old.running() as run:
        await run.require_equal(log)
    await store_each(log, pushes(COUNT, COUNT))

    def fails(*_: object) -> None:
        raise OSError(28, "no room for a name")

    async with giver.running() as given:
        await given.require_equal(log)
        with monkeypatch.context() as patched:
            patched.setattr(
                "placement.adapters.sqlite.generations.move_into_place", fails
            )
            taking = replace(TAKING, behind_messages=1)
            node = replace(old, peers=[given.peer], taking=taking)
            async with node.running() as run:
                await run.require_equal(log)
                assert run.bootstrap.counts["gave_up"] == 1

    async with old.running() as run:
        assert run.view.state.sequence == 2 * COUNT, "it was saved"
        await run.require_equal(log)


@pytest.mark.parametrize("point", [FaultPoint.BEFORE_ADOPTED, FaultPoint.AMID_ADOPTED])
async def test_service_that_is_stopped_while_it_adopts_leaves_it_whole(
    tmp_path: Path, point: FaultPoint
) -> None:
    """Told to end just then, it adopts, and saves nothing over what it adopted."""
    log, giver = await filled(tmp_path, COUNT)
    async with giver.running() as given:
        await given.live_at(COUNT)
        node = Node(tmp_path / "taker", log, [given.peer])
        async with node.running() as taken:

            def stop(reached: FaultPoint) -> None:
                if reached is point:
                    taken.task.cancel()

            with armed(stop):
                await asyncio.wait({taken.task})
            assert taken.task.cancelled()

    async with Node(node.directory, log).running() as again:
        assert again.view.state.sequence == COUNT, "it was adopted"
        await again.require_equal(log)
    assert not list(node.directory.glob("*damaged*"))
