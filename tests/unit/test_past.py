"""Past states: from what they are folded, who shares them, and what they may cost."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from placement.adapters.memory import MemoryEventLog
from placement.adapters.sqlite import older as older_module
from placement.adapters.sqlite.copying import generation_path
from placement.adapters.sqlite.proof import DamageError
from placement.adapters.sqlite.unchanging import opened
from placement.core.errors import InputError, NumberInvalidError, TimeInvalidError
from placement.core.fingerprint import fingerprint
from placement.core.fold import FOLD_VERSION
from placement.ports import (
    CheckpointHeader,
    LogReplacedError,
    LogStatus,
    LogUnavailableError,
)
from placement.runtime.past import FOLDS_MAX, Past, PastSettings
from placement.runtime.past_bases import Bases, bases
from placement.runtime.past_errors import (
    AsOfAheadError,
    AsOfBusyError,
    AsOfFoldingError,
    AsOfGoneError,
    AsOfLimitError,
    AsOfUnsupportedError,
)
from placement.runtime.past_folding import PastFold
from placement.runtime.view import ServingState, View
from placement.v1 import basis_pb2 as basis_pb
from placement.v1 import placement_service_pb2 as pb
from placement.wire.as_of import AsOf, decode_as_of, encode_as_of, parse_as_of
from placement.wire.requests import Consistency, decode_freshness
from tests.builders import SECOND_NS, START_NS
from tests.golden_logs import every_fact_log
from tests.past import EPOCH, folded_to, keep, live_view, older_files, past_of, stored

MESSAGES = [
    message._replace(store_time_ns=START_NS + message.sequence * SECOND_NS)
    for message in every_fact_log(7)[:60]
]
LAST = len(MESSAGES)
PATIENCE_S = 30.0
EMPTY_HANDED = 0.05


def header(sequence: int, epoch: str = EPOCH, version: int = 0) -> CheckpointHeader:
    """Return a checkpoint's header."""
    return CheckpointHeader(epoch, sequence, sequence, version or FOLD_VERSION, b"h")


def found(
    *sequences: int, first: int = 1, last: int = 1_000, epoch: str = EPOCH
) -> Bases:
    """Return what a log from *first* to *last* allows with checkpoints there."""
    status = LogStatus(EPOCH, first, last)
    return bases(status, epoch, map(header, sequences), lambda _: "")


def near(chosen: Bases, sequence: int, most: int = 10_000) -> list[int]:
    """Return from what *sequence* is folded, the best first."""
    return [each.sequence for each in chosen.nearest(sequence, most)]


# Which checkpoint.


def test_nearest_checkpoint_comes_first_and_none_that_is_later() -> None:
    """The others come next, should it be damaged; the log's start is the last."""
    assert near(found(900, 100, 500), 600) == [500, 100]
    assert near(found(900, 100, 500), 500) == [500, 100]
    assert near(found(900, 100, 500), 99) == []


def test_checkpoint_of_no_use_is_left_out() -> None:
    """Of another log or version, after the log's end, or that folded too much."""
    status = LogStatus(EPOCH, 1, 1_000)
    headers = [
        header(100),
        header(200, epoch="other"),
        header(300, version=FOLD_VERSION + 1),
        header(400),
        header(1_001),
        header(500, epoch=f"{EPOCH}~1-0a"),
    ]
    chosen = bases(status, EPOCH, headers, lambda n: "quarantined" * (n == 400))

    assert [each.sequence for each in chosen.headers] == [100, 500]


def test_checkpoint_before_a_trimmed_log_needs_the_whole_name() -> None:
    """Where the log cannot say any more whether it is of this life; nor may any lack.

    The next message must be there.
    """
    status = LogStatus(EPOCH, 501, 1_000)
    lives = [header(500), header(500, epoch=f"{EPOCH}~1-0a"), header(499)]

    chosen = bases(status, EPOCH, lives, lambda _: "")

    assert [(each.epoch, each.sequence) for each in chosen.headers] == [(EPOCH, 500)]


def test_trimmed_log_says_the_earliest_that_can_be_asked_for() -> None:
    """Its own beginning is of no use without a checkpoint before it."""
    with pytest.raises(AsOfGoneError, match=r"earliest .* is message 700") as raised:
        found(700, first=600).nearest(650, 10_000)

    assert raised.value.metadata["earliest_sequence"] == "700"
    assert near(found(700, first=600), 700) == [700]
    with pytest.raises(AsOfGoneError, match="until a checkpoint is kept"):
        found(first=600).nearest(650, 10_000)


def test_too_many_messages_are_refused_with_the_limit_and_the_remedy() -> None:
    """Counted from the nearest checkpoint, or from the log's start."""
    assert near(found(500), 550, most=50) == [500]
    assert near(found(), 50, most=50) == []
    for chosen, sequence in ((found(500), 551), (found(), 51)):
        with pytest.raises(
            AsOfLimitError, match=r"messages_max allows 50.*replay --to"
        ):
            chosen.nearest(sequence, 50)


# What is asked for.


def test_point_is_written_as_a_sequence_a_time_or_how_long_ago() -> None:
    """As people write it, and as a request holds it."""
    now_ns = START_NS

    assert parse_as_of("4711", now_ns) == AsOf(sequence=4711)
    assert parse_as_of("1h30m ago", now_ns) == AsOf(time_ns=now_ns - 5_400 * SECOND_NS)
    utc = parse_as_of("2026-11-30T12:00:00Z", now_ns)
    assert parse_as_of("2026-11-30T14:00:00+02:00", now_ns) == utc
    for point in (utc, AsOf(sequence=7)):
        proto = encode_as_of(point)
        assert proto is not None
        assert decode_as_of(proto) == point


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("0", NumberInvalidError),
        ("99999999999999999999", InputError),
        ("-3", InputError),
        ("yesterday", InputError),
        ("ago", InputError),
        ("0h ago", InputError),
        ("2h", InputError),
        ("2026-11-30T12:00:00", InputError),
        ("1960-01-01T00:00:00Z", TimeInvalidError),
        ("", InputError),
    ],
)
def test_what_is_no_point_is_refused(text: str, error: type[Exception]) -> None:
    """A time without its offset could be meant anywhere."""
    with pytest.raises(error, match="--as-of"):
        parse_as_of(text, START_NS, "--as-of")


def test_request_asks_for_a_point_or_for_freshness() -> None:
    """What was does not get fresher. An empty point is none."""
    asked = pb.GetPlacementRequest(as_of=basis_pb.AsOf())
    assert decode_freshness(asked) == Consistency()
    asked.as_of.sequence = 7
    assert decode_freshness(asked) == Consistency(as_of=AsOf(sequence=7))
    asked.consistency.token = "v1.e.1"  # noqa: S105 - no secret
    with pytest.raises(InputError, match="leave consistency out"):
        decode_freshness(asked)


# What is folded.


@asynccontextmanager
async def past(
    directory: Path, settings: PastSettings | None = None
) -> AsyncIterator[tuple[Past, MemoryEventLog, View]]:
    """Give the past of a service that folded all messages, and kept no checkpoint."""
    log, view = await stored(MESSAGES), live_view(MESSAGES)
    made = past_of(log, view, older_files(directory), settings)
    try:
        yield made, log, view
    finally:
        await made.close()


async def same(made: Past, point: AsOf, sequence: int) -> None:
    """See that the state of *point* is the one after message *sequence*."""
    async with made.view_at(point, PATIENCE_S) as view:
        basis = view.basis()
        assert fingerprint(view.state) == fingerprint(folded_to(MESSAGES, sequence))
        assert (basis.sequence, basis.state) == (sequence, ServingState.PAST)
        assert basis.answer_time_ns == MESSAGES[sequence - 1].store_time_ns


async def test_state_is_the_one_after_the_message_or_the_last_one_before_a_time(
    tmp_path: Path,
) -> None:
    """Stored at that very time counts, too."""
    time_ns = MESSAGES[40].store_time_ns
    async with past(tmp_path) as (made, _, _):
        await same(made, AsOf(sequence=17), 17)
        await same(made, AsOf(time_ns=time_ns), 41)
        await same(made, AsOf(time_ns=time_ns - 1), 40)
        await same(made, AsOf(time_ns=MESSAGES[-1].store_time_ns + 1), LAST)

        assert made.counts["messages"] == 17 + 41 + 40 + LAST


async def test_fold_begins_at_the_nearest_checkpoint_that_is_whole(
    tmp_path: Path,
) -> None:
    """A damaged one is forgotten, and the one before it does."""
    older = older_files(tmp_path)
    for sequence in (10, 30):
        await keep(older, tmp_path, folded_to(MESSAGES, sequence))
    async with past(tmp_path) as (made, _, _):
        await same(made, AsOf(sequence=33), 33)
        assert made.counts["messages"] == 3

        newest = max((tmp_path / "past").glob("*.sqlite"))
        body = bytearray(newest.read_bytes())
        body[len(body) // 2] ^= 1
        newest.write_bytes(body)
        await same(made, AsOf(sequence=34), 34)

        assert made.counts["messages"] == 3 + 24
        assert (made.counts["loaded"], made.counts["damaged"]) == (2, 1)
        assert not newest.exists()


async def test_checkpoint_of_a_lost_life_is_not_used(tmp_path: Path) -> None:
    """The log holds another message where it ends."""
    other = [*MESSAGES[:29], MESSAGES[29]._replace(store_time_ns=START_NS + 1)]
    await keep(older_files(tmp_path), tmp_path, folded_to(other, 30))
    async with past(tmp_path) as (made, _, _):
        await same(made, AsOf(sequence=33), 33)

        assert made.counts["loaded"] == 0


async def test_checkpoint_that_is_moved_on_meanwhile_is_found_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotation between two looks: it is at neither place, and then at the other."""
    older, opens = older_files(tmp_path), opened
    await keep(older, tmp_path, folded_to(MESSAGES, 30))
    [kept] = (tmp_path / "past").glob("*.sqlite")
    copy = generation_path(tmp_path / "checkpoint.sqlite", 2)
    kept.rename(copy)
    [header] = await older.headers()
    seen: list[Path] = []

    def rotating(path: Path) -> sqlite3.Connection:
        seen.append(path)
        if seen == [copy, copy]:
            copy.rename(kept)
        return opens(path)

    monkeypatch.setattr(older_module, "opened", rotating)
    chunks = [one async for batch in older.read(header) for one in batch]

    assert chunks
    assert seen == [copy, copy, kept, kept]


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "unreadable"])
async def test_checkpoint_that_is_not_to_be_read_now_is_not_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, gone: bool
) -> None:
    """The one before it does, and the next question finds it again."""
    older = older_files(tmp_path)
    for sequence in (10, 30):
        await keep(older, tmp_path, folded_to(MESSAGES, sequence))
    newest = max((tmp_path / "past").glob("*.sqlite"))
    aside, opens = newest.with_name("aside"), opened
    begun = PastFold.run

    def failing(path: Path) -> sqlite3.Connection:
        if path == newest:
            message = "disk I/O error"
            raise sqlite3.OperationalError(message)
        return opens(path)

    async def missing(self: PastFold, found: Bases, messages_max: int) -> object:
        if gone:
            newest.rename(aside)
        else:
            patched.setattr(older_module, "opened", failing)
        return await begun(self, found, messages_max)

    async with past(tmp_path) as (made, _, _):
        with monkeypatch.context() as patched:
            patched.setattr(PastFold, "run", missing)
            await same(made, AsOf(sequence=33), 33)
        assert made.counts["messages"] == 23
        if gone:
            aside.rename(newest)
        await same(made, AsOf(sequence=34), 34)

        assert made.counts["messages"] == 23 + 4
        assert made.counts["damaged"] == 0
    assert newest.exists()


async def test_trimmed_log_is_asked_from_a_checkpoint_on(tmp_path: Path) -> None:
    """By sequence and by time."""
    older = older_files(tmp_path)
    await keep(older, tmp_path, folded_to(MESSAGES, 30))
    async with past(tmp_path) as (made, log, _):
        log.trim(31)
        await same(made, AsOf(sequence=45), 45)
        await same(made, AsOf(time_ns=MESSAGES[29].store_time_ns), 30)
        for point in (AsOf(sequence=29), AsOf(time_ns=MESSAGES[28].store_time_ns)):
            with pytest.raises(AsOfGoneError) as raised:
                await made.take(point, PATIENCE_S)
            assert raised.value.earliest_sequence == 30


# What is refused.


async def test_point_that_has_not_come_is_refused(tmp_path: Path) -> None:
    """Nor one that is stored and not folded yet."""
    async with past(tmp_path) as (made, log, view):
        await log.append("placement.events.v1.ams.content_pulled", b"", "more")
        now_ns = view.now_ns()
        for point in (
            AsOf(sequence=LAST + 1),
            AsOf(time_ns=now_ns + 1),
            AsOf(time_ns=now_ns),
        ):
            with pytest.raises(AsOfAheadError, match=f"after message {LAST}"):
                await made.take(point, PATIENCE_S)


async def test_time_before_the_epoch_is_refused_with_its_begin(tmp_path: Path) -> None:
    """So that one knows what to ask for instead."""
    async with past(tmp_path) as (made, _, _):
        with pytest.raises(AsOfGoneError, match="is message 1, stored at"):
            await made.take(AsOf(time_ns=MESSAGES[0].store_time_ns - 1), PATIENCE_S)


async def test_broken_epoch_has_no_past_until_the_log_is_folded(tmp_path: Path) -> None:
    """Of which log a sequence would be, nobody could say; not even of one in memory."""
    async with past(tmp_path) as (made, log, view):
        await same(made, AsOf(sequence=5), 5)
        view.broken("the log was replaced")
        with pytest.raises(LogReplacedError, match="ask again when"):
            await made.take(AsOf(sequence=5), PATIENCE_S)
        log.replace()
        view.replace(folded_to(MESSAGES, LAST), EPOCH, restored=False)
        with pytest.raises(LogReplacedError, match="ask again when"):
            await made.take(AsOf(sequence=5), PATIENCE_S)


async def test_log_out_of_reach_is_said(tmp_path: Path) -> None:
    """Asking again helps once it is back; what is in memory answers meanwhile."""
    async with past(tmp_path) as (made, log, _):
        await same(made, AsOf(sequence=5), 5)
        log.stop()
        await same(made, AsOf(sequence=5), 5)
        with pytest.raises(LogUnavailableError):
            await made.take(AsOf(sequence=6), PATIENCE_S)
        log.resume()
        await same(made, AsOf(sequence=6), 6)


async def test_switched_off_there_is_no_past(tmp_path: Path) -> None:
    """And the error names the key."""
    async with past(tmp_path, PastSettings(states_max=0)) as (made, _, _):
        with pytest.raises(AsOfUnsupportedError, match="states_max is 0"):
            await made.take(AsOf(sequence=5), PATIENCE_S)


# Who shares what.


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Return what lets folds begin, or holds them."""
    opened = asyncio.Event()
    run = PastFold.run

    async def held(self: PastFold, found: Bases, messages_max: int) -> object:
        await opened.wait()
        return await run(self, found, messages_max)

    monkeypatch.setattr(PastFold, "run", held)
    return lambda there: opened.set() if there else opened.clear()


async def test_same_point_is_folded_once_however_many_ask(tmp_path: Path) -> None:
    """And is there for who asks later."""
    async with past(tmp_path) as (made, _, _):
        await asyncio.gather(*(same(made, AsOf(sequence=20), 20) for _ in range(20)))
        await same(made, AsOf(sequence=20), 20)

        assert (made.counts["whole"], made.counts["messages"]) == (1, 20)
        assert made.states.count == 1


async def test_fold_goes_on_when_who_asked_gives_up(
    tmp_path: Path, gate: Callable[[bool], None]
) -> None:
    """So that asking again succeeds; the error says that this is so."""
    async with past(tmp_path) as (made, _, _):
        with pytest.raises(AsOfFoldingError, match="goes on"):
            await made.take(AsOf(sequence=20), EMPTY_HANDED)
        gate(True)  # noqa: FBT003 - open
        await same(made, AsOf(sequence=20), 20)

        assert (made.counts["begun"], made.counts["found"]) == (1, 1)


async def test_state_that_is_read_stays_and_the_least_recent_other_goes(
    tmp_path: Path,
) -> None:
    """No more of them are in memory than may be."""
    async with past(tmp_path, PastSettings(states_max=2)) as (made, _, _):
        held = await made.take(AsOf(sequence=10), PATIENCE_S)
        await same(made, AsOf(sequence=20), 20)
        await same(made, AsOf(sequence=30), 30)
        assert made.states.count == 2
        await same(made, AsOf(sequence=30), 30)
        await same(made, AsOf(sequence=10), 10)
        assert made.counts["begun"] == 3
        held.release()
        held.release()
        await same(made, AsOf(sequence=40), 40)
        await same(made, AsOf(sequence=10), 10)

        assert made.counts["begun"] == 4
        assert held.view.state.sequence == 10


async def test_who_finds_all_states_read_waits_for_one_to_be_left(
    tmp_path: Path,
) -> None:
    """Within its deadline, after which asking again finds it."""
    async with past(tmp_path, PastSettings(states_max=1)) as (made, _, _):
        held = await made.take(AsOf(sequence=10), PATIENCE_S)
        with pytest.raises(AsOfFoldingError, match="waits for its turn"):
            await made.take(AsOf(sequence=20), EMPTY_HANDED)
        waiting = asyncio.create_task(made.take(AsOf(sequence=20), PATIENCE_S))
        await asyncio.sleep(EMPTY_HANDED)
        assert (made.states.count, len(made.states.waiting)) == (1, 1)
        held.release()

        assert (await waiting).view.state.sequence == 20
        assert made.states.count == 1


async def test_one_caller_cannot_have_all_the_turns(
    tmp_path: Path, gate: Callable[[bool], None]
) -> None:
    """Nor all callers together more than there are; who joins a fold takes none."""
    settings = PastSettings(states_max=1, caller_folds_max=2)

    async def tried(made: Past, sequence: int, caller: str) -> None:
        with pytest.raises(AsOfFoldingError):
            await made.take(AsOf(sequence=sequence), EMPTY_HANDED, caller)

    async with past(tmp_path, settings) as (made, _, _):
        await tried(made, 1, "greedy")
        await tried(made, 2, "greedy")
        with pytest.raises(AsOfBusyError, match="caller_folds_max"):
            await made.take(AsOf(sequence=3), EMPTY_HANDED, "greedy")
        await tried(made, 3, "another")
        await tried(made, 3, "greedy")
        for number in range(4, FOLDS_MAX + 1):
            await tried(made, number, f"caller-{number}")
        with pytest.raises(AsOfBusyError, match="as many as past_folds"):
            await made.take(AsOf(sequence=LAST), EMPTY_HANDED, "one more")
        gate(True)  # noqa: FBT003 - open
        await same(made, AsOf(sequence=FOLDS_MAX), FOLDS_MAX)


async def test_state_that_nobody_asked_for_lately_goes(tmp_path: Path) -> None:
    """It is as large as the live one."""
    async with past(tmp_path, PastSettings(idle_seconds=0.2)) as (made, _, _):
        held = await made.take(AsOf(sequence=10), PATIENCE_S)
        await same(made, AsOf(sequence=20), 20)
        await until(lambda: made.states.count == 1)
        await asyncio.sleep(0.3)
        assert made.states.count == 1
        held.release()
        await until(lambda: made.states.count == 0)


async def test_state_of_the_log_as_it_was_is_not_given(
    tmp_path: Path, gate: Callable[[bool], None]
) -> None:
    """Once the log is folded again beside, without what was quarantined, say."""
    async with past(tmp_path) as (made, _, view):
        waiting = asyncio.create_task(made.take(AsOf(sequence=20), PATIENCE_S))
        await until(lambda: made.counts["begun"] == 1)
        view.replace(folded_to(MESSAGES, LAST), EPOCH, restored=False)
        gate(True)  # noqa: FBT003 - open
        with pytest.raises(LogReplacedError, match="folded again meanwhile"):
            await waiting
        await same(made, AsOf(sequence=20), 20)

        assert (made.counts["whole"], made.counts["failed"]) == (1, 1)


async def until(holds: Callable[[], bool]) -> None:
    """Return once *holds*."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)


def sequences(headers: Sequence[CheckpointHeader]) -> list[int]:
    """Return where checkpoints end."""
    return sorted(each.sequence for each in headers)


async def test_older_checkpoints_of_another_log_or_version_go(tmp_path: Path) -> None:
    """As soon as one of ours is kept; those of the same log stay."""
    older = older_files(tmp_path)
    await keep(older, tmp_path, folded_to(MESSAGES, 10), "other")
    await keep(older, tmp_path, folded_to(MESSAGES, 20), EPOCH, FOLD_VERSION + 1)
    assert sequences(await older.headers()) == [20]
    await keep(older, tmp_path, folded_to(MESSAGES, 5), f"{EPOCH}~1-0a")
    await keep(older, tmp_path, folded_to(MESSAGES, 60))

    assert sequences(await older.headers()) == [5, 60]


async def test_no_older_checkpoint_is_kept_without_room(tmp_path: Path) -> None:
    """What others have no use for is left to them to replace."""
    older = older_files(tmp_path, bytes_max=0)
    await keep(older, tmp_path, folded_to(MESSAGES, 10))

    assert await older.headers() == []
    assert (tmp_path / "made.sqlite").exists()


async def test_copy_that_cannot_be_read_costs_no_older_checkpoint(
    tmp_path: Path,
) -> None:
    """Of which log it is nobody knows: it says nothing of the others."""
    older = older_files(tmp_path)
    for sequence in (10, 30):
        await keep(older, tmp_path, folded_to(MESSAGES, sequence))
    copy = tmp_path / "made.sqlite"
    for body in (None, b"", b"rubbish" * 100):
        if body is not None:
            copy.write_bytes(body)
        older.retire(copy)

    assert sequences(await older.headers()) == [10, 30]


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (PermissionError(13, "no"), [10, 30, 60]),
        (sqlite3.OperationalError("disk I/O error"), [10, 30, 60]),
        (sqlite3.DatabaseError("database disk image is malformed"), [30, 60]),
        (DamageError("it is no SQLite database"), [30, 60]),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_older_checkpoint_goes_for_damage_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, left: list[int]
) -> None:
    """What hinders reading now may be over when somebody asks about the past."""
    older, opens = older_files(tmp_path), opened
    for sequence in (10, 30):
        await keep(older, tmp_path, folded_to(MESSAGES, sequence))
    bad = min((tmp_path / "past").glob("*.sqlite"))

    def failing(path: Path) -> sqlite3.Connection:
        if path == bad:
            raise error
        return opens(path)

    with monkeypatch.context() as broken:
        broken.setattr(older_module, "opened", failing)
        await keep(older, tmp_path, folded_to(MESSAGES, 60))

    assert sequences(await older.headers()) == left
