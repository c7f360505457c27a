"""An export: nothing lost, nothing twice, nothing half; and what is known to be bad."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import duckdb
import pytest
from pyarrow import parquet

from placement.core.errors import InputError
from placement.core.event import (
    ClientKind,
    ContentPulled,
    Document,
    Event,
    Fact,
    Identifier,
    InventoryAbsence,
    InventoryContent,
    InventoryTaken,
    MachineGroup,
    MachinesCounted,
    MachineStarted,
    Name,
    Recorded,
    Text,
    TimeNs,
)
from placement.core.fold import FOLD_VERSION
from placement.core.oci import Repository, Tag
from placement.export import exporting, telling
from placement.export.event_rows import COLUMNS
from placement.export.hidden_names import RULES, hider_of, read_name_key
from placement.export.manifest import NAME
from placement.export.querying import answer, queries, question
from placement.export.schema import EVENTS, PULLS, STARTS, TABLES
from placement.export.views import VIEWS, view_statements
from placement.ports import Message
from placement.wire.events import FACT_NAMES, decode_message
from tests.builders import (
    DAY_NS,
    FRA,
    IAD,
    SECOND_NS,
    START_NS,
    SYD,
    WEB,
    A,
    B,
    C,
    descriptor,
    event,
    evicted,
    pulled,
    pushed,
    started,
)
from tests.decided import Decided
from tests.exporting import (
    TEST_KEY,
    TimedLog,
    asked,
    exported,
    files_of,
    log_of_messages,
    manifest_of,
    rows_of,
)
from tests.golden_logs import FOLDER, read_log

EVERY_FACT = FOLDER / "3-every-subject.jsonl"
FACT_MESSAGES = 290
"""Of three days, with every fact; the rest of the log leaps from day to day."""
NAMED_TYPES = (Repository, Tag, Identifier, Name, Text, Document)
NO_NAMES = frozenset({"media_type", "policy_digest"})
FACTORS = frozenset(f"id-{number}" for number in range(6))
"""What the captured log calls the numbers of decisions: a planner's words, no names."""
SHORT = 4
"""Shorter names stand in other words, too."""


def golden_messages() -> list[Message]:
    """Return a captured log that holds every fact."""
    return read_log(EVERY_FACT)[1][:FACT_MESSAGES]


class KilledError(Exception):
    """The process ended."""


class DyingLog(TimedLog):
    """A log whose reader dies after so many messages."""

    lives = 1_000_000

    async def read(
        self, after_sequence: int, epoch: str = ""
    ) -> AsyncIterator[Sequence[Message]]:
        """Yield messages one by one, until it is over."""
        async for batch in super().read(after_sequence, epoch):
            for message in batch:
                self.lives -= 1
                if self.lives < 0:
                    raise KilledError
                yield [message]
            if not batch:
                yield []


def test_every_field_of_every_fact_has_a_column() -> None:
    """What a publisher said is never dropped, and no column is for nothing."""
    names = {column.name for column in EVENTS.columns}

    assert set(COLUMNS) == set(get_args(Fact))
    assert all(set(columns) <= names for columns in COLUMNS.values())
    for fact, columns in COLUMNS.items():
        assert len(columns) >= len(fields(fact)), fact


async def test_every_event_of_the_log_is_a_row(tmp_path: Path) -> None:
    """In order, with what the fold made of it."""
    messages = golden_messages()
    await exported(await log_of_messages(messages), tmp_path)

    rows = rows_of(tmp_path, "events")

    places = [
        (message.sequence, item.batch_index)
        for message in messages
        for item in decode_message(message).items
    ]
    assert [(row["sequence"], row["batch_index"]) for row in rows] == places
    found = {row["status"] for row in rows}
    assert found == {"folded", "duplicate", "set_aside"}
    assert all(row["set_aside_reason"] for row in rows if row["status"] == "set_aside")
    assert {row["fact"] for row in rows} - {None} == set(FACT_NAMES)


async def test_runs_tell_what_single_events_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folding many messages together changes no row."""
    told = []
    for name, least in (("runs", 0), ("single", 1 << 40)):
        monkeypatch.setattr(telling, "RUN_BYTES_MIN", least)
        await exported(await log_of_messages(golden_messages()), tmp_path / name)
        told.append(files_of(tmp_path / name))

    assert told[0] == told[1]


@pytest.mark.parametrize("lives", [0, 57, 201])
async def test_export_goes_on_where_it_died(lives: int, tmp_path: Path) -> None:
    """It ends with the same files as one that never died."""
    messages = golden_messages()[:220]
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    log = DyingLog()
    for message in messages:
        await log.store(message.store_time_ns, message.subject, message.body)
    await exported(log, whole, events_per_file=50)

    log.lives = lives
    with pytest.raises(KilledError):
        await exported(log, resumed, events_per_file=50)
    halfway = files_of(resumed)
    log.lives = 1_000_000
    await exported(log, resumed)

    assert files_of(resumed) == files_of(whole)
    assert all(
        files_of(resumed)[name] == body
        for name, body in halfway.items()
        if name.endswith(".parquet")
    )


async def test_strays_of_a_kill_are_removed(tmp_path: Path) -> None:
    """A file that the manifest does not name is none of the export."""
    log = await log_of_messages(golden_messages()[:40])
    await exported(log, tmp_path)
    before = files_of(tmp_path)
    stray = tmp_path / "starts" / "day=2026-11-18" / "001-0000000000000099.parquet"
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"half")

    await exported(log, tmp_path)

    assert files_of(tmp_path) == before


async def test_tables_of_others_are_left_alone(tmp_path: Path) -> None:
    """Without a manifest nobody knows whose they are, also not below a day."""
    log = await log_of_messages(golden_messages()[:40])
    others = tmp_path / "events" / "2025" / "mine.parquet"
    others.parent.mkdir(parents=True)
    others.write_bytes(b"mine")

    with pytest.raises(InputError, match=r"DIRECTORY.*events/2025/mine\.parquet"):
        await exported(log, tmp_path)

    assert files_of(tmp_path) == {"events/2025/mine.parquet": b"mine"}


async def test_export_adds_what_is_new(tmp_path: Path) -> None:
    """Old files stay as they are, and all rows together are those of one export."""
    log = await log_of_messages(golden_messages()[:200])
    await exported(log, tmp_path / "once")
    await exported(log, tmp_path / "twice", until=(100, 0))
    before = files_of(tmp_path / "twice")

    await exported(log, tmp_path / "twice")
    again = await exported(log, tmp_path / "twice")

    after = files_of(tmp_path / "twice")
    assert again.messages == 0
    assert {n: after[n] for n in before if n not in {NAME, VIEWS}} == {
        n: body for n, body in before.items() if n not in {NAME, VIEWS}
    }
    for table in TABLES:
        if table.name != "outcomes":
            once, twice = (rows_of(tmp_path / n, table.name) for n in ("once", "twice"))
            assert once == twice, table.name


async def test_export_of_another_fold_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same events would mean one thing in old files and another in new ones."""
    log = await log_of_messages(golden_messages()[:20])
    await exported(log, tmp_path)
    before = files_of(tmp_path)
    monkeypatch.setattr(exporting, "FOLD_VERSION", FOLD_VERSION + 1)

    with pytest.raises(InputError, match=r"DIRECTORY.*a new directory"):
        await exported(log, tmp_path)

    assert files_of(tmp_path) == before


async def test_column_that_old_files_lack_is_empty_there(tmp_path: Path) -> None:
    """Columns are added without another version of the schema."""
    log = await log_of_messages(golden_messages()[:100])
    await exported(log, tmp_path, until=(50, 0))
    files = manifest_of(tmp_path).files
    old = next(file.path for file in files if file.table == "pulls")
    table = parquet.read_table(tmp_path / old)
    parquet.write_table(table.drop_columns(["pull_duration_ns"]), tmp_path / old)
    await exported(log, tmp_path)

    with duckdb.connect(":memory:") as connection:
        connection.execute(view_statements(manifest_of(tmp_path), f"{tmp_path}/"))
        found = connection.execute(
            "SELECT count(*) FROM pulls WHERE pull_duration_ns IS NULL"
        ).fetchone()
        assert found is not None
        assert found[0] >= table.num_rows


async def test_outcomes_are_restated_until_they_are_final(tmp_path: Path) -> None:
    """Each version tells anew what may change; the window over, it is told no more."""
    story = Decided()
    story.release("a").complete(story.plan("a"))
    log = await TimedLog().tell(story.told)
    await exported(log, tmp_path)
    [first] = asked(tmp_path, "decisions_by_reason")
    assert (first["undecided"], first["used"]) == (1, 0)

    for days in (1, 40, 41):
        story.told.clear()
        story.start("a", after_s=days * DAY_NS / SECOND_NS if days > 1 else 1)
        await log.tell(story.told)
        await exported(log, tmp_path)

    versions = [
        (r["version"], r["final"], r["use"]) for r in rows_of(tmp_path, "outcomes")
    ]
    assert versions == [(1, False, "undecided"), (2, False, "used"), (3, True, "used")]
    [last] = asked(tmp_path, "decisions_by_reason")
    assert (last["undecided"], last["used"]) == (0, 1)


# Names that are not to be told.


def names_in(value: object, kind: object = None, field: str = "") -> Iterator[str]:
    """Yield every name that a fact holds, by the types of its fields."""
    if is_dataclass(value) and not isinstance(value, type):
        hints = get_type_hints(type(value))
        for each in fields(value):
            yield from names_in(getattr(value, each.name), hints[each.name], each.name)
    elif isinstance(value, tuple):
        for each in value:
            yield from names_in(each, (get_args(kind) or (None,))[0], field)
    elif isinstance(value, str) and field not in NO_NAMES:
        kinds = {kind, *get_args(kind)}
        if kinds & set(NAMED_TYPES) and not value.startswith("sha"):
            yield value


async def test_no_name_is_left_where_names_are_hashed(tmp_path: Path) -> None:
    """Not in a column, a file's footer, the manifest or a view."""
    messages = golden_messages()
    planted = {
        name
        for message in messages
        for item in decode_message(message).items
        if isinstance(item, Recorded)
        for name in names_in(item.event)
        if len(name) >= SHORT and name not in RULES
    } - FACTORS
    assert len(planted) > 100
    await exported(await log_of_messages(messages), tmp_path, key=TEST_KEY)

    told = [body.decode("utf-8", "replace") for body in files_of(tmp_path).values()]
    told += [
        json.dumps(row, default=str, ensure_ascii=False)
        for table in TABLES
        for row in rows_of(tmp_path, table.name)
    ]

    left = {name for name in planted for text in told if name in text}
    assert not {name for name in left if not _ordinary(name)}


def _ordinary(name: str) -> bool:
    """Say whether a name is a word of ours, which stands there for other reasons."""
    words = {column.name for table in TABLES for column in table.columns}
    return any(name in word for word in words)


async def test_hashed_names_still_join(tmp_path: Path) -> None:
    """A repository, an app or an organization has one hash, in every table and run."""
    plain, hashed = tmp_path / "plain", tmp_path / "hashed"
    log = await log_of_messages(golden_messages()[:200])
    await exported(log, plain)
    await exported(log, hashed, key=TEST_KEY, until=(100, 0))
    await exported(log, hashed, key=TEST_KEY)

    hidden: dict[str, set[str]] = {}
    for table in ("events", "pulls", "starts", "decisions", "outcomes"):
        pairs = zip(_last(plain, table), _last(hashed, table), strict=True)
        for one, other in pairs:
            for name in ("repository", "app", "organization"):
                if one[name] is not None:
                    hidden.setdefault(one[name], set()).add(other[name])
    assert all(len(found) == 1 for found in hidden.values())
    assert len({each for found in hidden.values() for each in found}) == len(hidden)


def _last(directory: Path, table: str) -> list[dict[str, Any]]:
    rows = rows_of(directory, table)
    if table != "outcomes":
        return rows
    last = max(row["version"] for row in rows)
    return [row for row in rows if row["version"] == last]


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ("application/vnd.oci.image.manifest.v1+json", True),
        ("application/vnd.oci.image.layer.v1.tar+zstd", True),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", True),
        ("application/vnd.oci.secret-project.config.v1+json", False),
        ("application/vnd.oci.image.manifest.v1+json; of=acme", False),
        ("application/vnd.cncf.acme", False),
        ("linux/amd64", True),
        ("linux/arm64/v8", True),
        ("unknown/unknown", True),
        ("linux/acme-board", False),
        ("linux/arm64/acme", False),
        ("linux/amd64\n", False),
    ],
)
def test_only_standard_types_and_platforms_stay(said: str, *, stays: bool) -> None:
    """What merely begins as one may go on with anybody's name."""
    hidden = TEST_KEY.hider()
    told = said if stays else hidden(said)

    for table, column in ((PULLS, "media_type"), (STARTS, "platform")):
        assert hider_of(table, hidden)({column: said}) == {column: told}
    entry = {"media_type": said, "platform": None}
    row = hider_of(EVENTS, hidden)({"references": [entry]})
    assert row == {"references": [{"media_type": told, "platform": None}]}


async def test_another_key_is_refused(tmp_path: Path) -> None:
    """Names hashed in two ways would not join: the error names the option."""
    log = await log_of_messages(golden_messages()[:5])
    await exported(log, tmp_path, key=TEST_KEY)

    with pytest.raises(InputError, match="--hash-names"):
        await exported(log, tmp_path)


def test_short_keys_are_refused(tmp_path: Path) -> None:
    """A key that can be guessed hides nothing, and an error never shows it."""
    file = tmp_path / "key"
    file.write_text("guessme")

    with pytest.raises(InputError, match="--hash-key-file") as refused:
        read_name_key(file)

    assert "guessme" not in str(refused.value)


# What is known to be bad.


def _at(seconds: float, one: Event) -> tuple[int, Event]:
    return START_NS + round(seconds * SECOND_NS), one


async def test_an_inventory_proves_that_a_feed_was_down(tmp_path: Path) -> None:
    """What it finds though no push was told, or not though no removal was."""
    first = InventoryTaken(TimeNs(START_NS + 10 * SECOND_NS), complete=True)
    second = InventoryTaken(
        TimeNs(START_NS + 100 * SECOND_NS),
        complete=True,
        contents=(InventoryContent(descriptor("b"), WEB),),
        absences=(InventoryAbsence(A, WEB), InventoryAbsence(C, WEB)),
    )
    log = await TimedLog().tell(
        [
            _at(1, pushed("a", IAD)),
            _at(11, event(IAD, first)),
            _at(20, pulled("a", IAD)),
            _at(101, event(IAD, second)),
            _at(110, pulled("a", IAD)),
        ]
    )
    await exported(log, tmp_path)

    [bad] = rows_of(tmp_path, "intervals")

    assert (bad["kind"], bad["feed"], bad["region"]) == ("feed_down", "content", "iad")
    assert bad["missed_count"] == 2
    assert (bad["start_time"].second, bad["end_time"].minute) == (
        _second(10),
        _minute(100),
    )
    usable = answer(tmp_path, "apps").rows
    every = answer(tmp_path, "apps", with_known_bad=True).rows
    place = answer(tmp_path, "apps").columns.index("pulls")
    assert (usable[0][place], every[0][place]) == (1, 2)


async def test_pulls_are_left_out_by_the_region_that_tells_of_them(
    tmp_path: Path,
) -> None:
    """Its feed was down, wherever the client was; another's was not."""
    looks = [
        InventoryTaken(TimeNs(START_NS + at * SECOND_NS), complete=True, contents=found)
        for at, found in ((10, ()), (100, (InventoryContent(descriptor("b"), WEB),)))
    ]
    near, far = (
        ContentPulled(A, WEB, client_region=client, source_region=IAD)
        for client in (SYD, IAD)
    )
    log = await TimedLog().tell(
        [
            _at(1, pushed("a", IAD)),
            _at(11, event(IAD, looks[0])),
            _at(20, event(IAD, near)),
            _at(21, event(SYD, far)),
            _at(101, event(IAD, looks[1])),
        ]
    )
    await exported(log, tmp_path)

    [bad] = rows_of(tmp_path, "intervals")
    with duckdb.connect(":memory:") as connection:
        connection.execute(view_statements(manifest_of(tmp_path), f"{tmp_path}/"))
        told = connection.execute("SELECT registry_region, region FROM usable_pulls")

        assert bad["region"] == "iad"
        assert told.fetchall() == [("syd", "iad")]


def _second(after: int) -> int:
    return (START_NS // SECOND_NS + after) % 60


def _minute(after: int) -> int:
    return (START_NS // SECOND_NS + after) // 60 % 60


async def test_a_first_inventory_proves_nothing(tmp_path: Path) -> None:
    """It imports what was there before the service."""
    contents = (InventoryContent(descriptor("b"), WEB),)
    page = InventoryTaken(TimeNs(START_NS), complete=True, contents=contents)
    await exported(await TimedLog().tell([_at(1, event(IAD, page))]), tmp_path)

    assert rows_of(tmp_path, "intervals") == []


async def test_a_count_proves_that_starts_were_lost(tmp_path: Path) -> None:
    """A machine that runs though no start was told, or not though no stop was."""
    before, after = START_NS + 10 * SECOND_NS, START_NS + 100 * SECOND_NS
    known, lost = Identifier("known"), Identifier("lost")
    start = MachineStarted(A, WEB, known)
    first, second = (
        MachinesCounted(
            TimeNs(at_ns), complete=True, groups=(MachineGroup(WEB, A, (machine,)),)
        )
        for at_ns, machine in ((before, known), (after, lost))
    )
    log = await TimedLog().tell(
        [
            _at(1, event(SYD, start)),
            _at(11, event(SYD, first)),
            _at(101, event(SYD, second)),
        ]
    )
    await exported(log, tmp_path)

    [bad] = rows_of(tmp_path, "intervals")

    assert (bad["kind"], bad["feed"], bad["region"]) == ("feed_down", "machines", "syd")
    assert bad["missed_count"] == 2


async def test_a_trimmed_log_has_a_gap(tmp_path: Path) -> None:
    """From the last message that was exported, or from ever, to the first there is."""
    log = await log_of_messages(golden_messages()[:60])
    await exported(log, tmp_path / "before", until=(20, 0))
    log.trim(41)
    for name in ("before", "fresh"):
        await exported(log, tmp_path / name)

    [known], [fresh] = (
        [
            each
            for each in rows_of(tmp_path / name, "intervals")
            if each["kind"] == "gap"
        ]
        for name in ("before", "fresh")
    )
    assert (known["missed_count"], fresh["missed_count"]) == (20, 40)
    assert known["start_time"] is not None
    assert fresh["start_time"] is None
    assert known["region"] is None


async def test_another_log_is_another_epoch(tmp_path: Path) -> None:
    """What both logs hold counts once, and the break is known to be bad."""
    log, story = TimedLog(), []
    for number in range(4):
        fact = MachineStarted(A, WEB, Identifier(f"m-{number}"))
        story.append(_at(number, Event(Identifier(f"s-{number}"), SYD, fact)))
    await log.tell(story)
    await exported(log, tmp_path)
    log.replace()
    late = Event(Identifier("s-9"), SYD, MachineStarted(A, WEB, Identifier("m-9")))
    await log.tell(
        [(at + 100 * SECOND_NS, one) for at, one in [*story[2:], _at(4, late)]]
    )

    await exported(log, tmp_path)

    manifest = manifest_of(tmp_path)
    assert [each.number for each in manifest.epochs] == [1, 2]
    assert len(rows_of(tmp_path, "starts")) == 7
    [row] = asked(tmp_path, "starts_local", with_known_bad=True)
    assert row["starts"] == 5
    [bad] = rows_of(tmp_path, "intervals")
    assert (bad["kind"], bad["epoch"]) == ("epoch_break", 2)


async def test_a_rewound_log_is_another_epoch(tmp_path: Path) -> None:
    """Its name is the same: the last message tells."""
    log = await log_of_messages(golden_messages()[:30])
    await exported(log, tmp_path)
    log.rewind(20)
    for number in range(20):
        await log.tell([_at(10**6 + number, evicted("b", FRA))])

    await exported(log, tmp_path)

    epochs = manifest_of(tmp_path).epochs
    assert [(each.number, each.last_sequence) for each in epochs] == [(1, 30), (2, 40)]
    assert B not in {row["digest"] for row in rows_of(tmp_path, "starts")}


# Queries.


def test_every_query_says_what_it_answers() -> None:
    """A question, and each column."""
    ready = queries()

    assert len(ready) >= 6
    for text in ready.values():
        assert question(text).endswith("?")


@pytest.mark.parametrize(
    ("name", "other"),
    [("a?", "ab"), ("a*", "ab"), ("a[bc]", "ab"), ("a[", "ab"), ("a[!c]", "ab")],
)
async def test_directory_of_any_name_is_asked_for_itself(
    tmp_path: Path, name: str, other: str
) -> None:
    """DuckDB reads paths as patterns: another export's files would match."""
    for directory, count in ((name, 1), (other, 2)):
        starts = [started("a", SYD, machine=f"m-{each}") for each in range(count)]
        told = [_at(number, each) for number, each in enumerate(starts, 1)]
        await exported(await TimedLog().tell(told), tmp_path / directory)

    [row] = asked(tmp_path / name, "starts_local")

    assert row["starts"] == 1


async def test_bytes_from_afar_are_those_of_demand(tmp_path: Path) -> None:
    """Neither a scan nor what is told more than a day late is counted, as pulls are."""
    demand, scan, late = (
        ContentPulled(
            A, WEB, source_region=IAD, transferred_bytes=size, client_kind=kind
        )
        for size, kind in (
            (1, ClientKind.RUNTIME),
            (10, ClientKind.SCANNER),
            (100, ClientKind.RUNTIME),
        )
    )
    after_ns = START_NS + 2 * DAY_NS
    log = await TimedLog().tell(
        [
            _at(1, event(SYD, demand)),
            _at(2, event(SYD, scan)),
            (after_ns, event(SYD, late, at_ns=START_NS)),
        ]
    )
    await exported(log, tmp_path)

    [row] = asked(tmp_path, "apps")

    assert [each["late"] for each in rows_of(tmp_path, "pulls")] == [False, False, True]
    assert (row["pulls"], row["far_bytes"]) == (1, 1)


async def test_every_query_answers_an_empty_export(tmp_path: Path) -> None:
    """Tables without a row have no file, and are there all the same."""
    await exported(await TimedLog().tell([_at(1, evicted("b", FRA))]), tmp_path)

    for name, text in queries().items():
        found = answer(tmp_path, name)
        head = text.partition("SELECT")[0]
        assert found.rows == []
        assert all(column in head for column in found.columns), name
