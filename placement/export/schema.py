"""The columns of every exported table: their names, kinds and meanings.

Everything else follows from this table: the Parquet schema, the views of DuckDB, what
is hashed where names are not to be told, and the tables of docs/analytics.md.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from placement.export.event_columns import EVENT_FACTS
from placement.export.kinds import Column, Kind

SCHEMA_VERSION: Final = 1
"""Raised whenever a column changes its meaning; columns may be added without."""


class Parts(Enum):
    """What the files of a table are told apart by."""

    DAY = auto()
    """The day on which the log stored what a row rests on."""
    VERSION = auto()
    """The version of the outcomes."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table, and what a row of it is."""

    name: str
    row: str
    columns: tuple[Column, ...]
    parts: Parts = Parts.DAY

    def column(self, name: str) -> Column:
        """Return the column called *name*, which must be one."""
        return next(column for column in self.columns if column.name == name)


def _c(name: str, kind: Kind, meaning: str) -> Column:
    return Column(name, kind, meaning)


_PLACE: Final = (
    _c("epoch", Kind.INT, "which log of the manifest's `epochs`, from 1"),
    _c("sequence", Kind.INT, "the message in the log"),
    _c("batch_index", Kind.INT, "the event's place in the message, from 0"),
)
_TIMES: Final = (
    _c("time", Kind.TIME, "when it happened; never later than `store_time`"),
    _c("store_time", Kind.TIME, "when the log stored it"),
)
_OWNER: Final = (
    _c("organization", Kind.NAME, "who owned the repository then"),
    _c("app", Kind.NAME, "the app that it counted for"),
)
_CONTENT: Final = (
    _c("repository", Kind.NAME, "the repository"),
    _c("digest", Kind.TEXT, "the content"),
)
_LATE: Final = _c(
    "late", Kind.BOOL, "stored more than a day after it happened: no demand"
)

EVENTS: Final = Table(
    "events",
    "an event of the log, also one that changed nothing",
    (
        *_PLACE,
        _c("event_id", Kind.NAME, "its publisher's id; null where it cannot be read"),
        _c("fact", Kind.TEXT, "which fact, such as `content_pulled`"),
        _c("status", Kind.TEXT, "`folded`, `duplicate`, or `set_aside`"),
        _c(
            "set_aside_reason", Kind.TEXT, "why it was set aside, such as `TAG_INVALID`"
        ),
        _c("region", Kind.TEXT, "where it happened"),
        *_TIMES,
        _LATE,
        _c("publisher", Kind.NAME, "what recorded it"),
        *_OWNER,
        *EVENT_FACTS,
    ),
)

PULLS: Final = Table(
    "pulls",
    "a pull that was folded",
    (
        *_PLACE,
        *_TIMES,
        _LATE,
        _c("event_id", Kind.NAME, "its publisher's id"),
        *_CONTENT,
        _c("tag", Kind.NAME, "the tag that was asked for"),
        *_OWNER,
        _c("region", Kind.TEXT, "where the client is: the start region"),
        _c("registry_region", Kind.TEXT, "the event's own region: who told of it"),
        _c("source_region", Kind.TEXT, "whose bytes the client got"),
        _c("client_kind", Kind.TEXT, "`runtime`, `builder`, `scanner`, `replicator`"),
        _c("demand", Kind.BOOL, "whether it counts as a use: neither late nor a scan"),
        _c("media_type", Kind.MEDIA, "what the registry said the content is"),
        _c("size_bytes", Kind.INT, "the content's whole size; 0 when not known"),
        _c("transferred_bytes", Kind.INT, "what really moved; 0 when not known"),
        _c("pull_duration_ns", Kind.DURATION, "how long it took"),
    ),
)

STARTS: Final = Table(
    "starts",
    "a start of a machine that was folded",
    (
        *_PLACE,
        *_TIMES,
        _LATE,
        _c("event_id", Kind.NAME, "its publisher's id"),
        _c("machine_id", Kind.NAME, "the machine"),
        *_CONTENT,
        _c("tag", Kind.NAME, "the tag that was asked for"),
        _c("platform", Kind.MEDIA, "what it ran on, such as `linux/amd64`"),
        *_OWNER,
        _c("region", Kind.TEXT, "where it started"),
        _c("source_region", Kind.TEXT, "whose bytes it got; null when not told"),
        _c("cache", Kind.TEXT, "`host`, `region` or `remote`"),
        _c("cause", Kind.TEXT, "why it was started, such as `deploy`"),
        _c("outcome", Kind.TEXT, "`local`, `unknown`, or the class of the miss"),
        _c("replication_id", Kind.NAME, "the decision that tells why it missed"),
        _c("request_time", Kind.TIME, "when the start was asked for"),
        _c("image_wait_ns", Kind.DURATION, "how long it waited for its image"),
        _c("transferred_bytes", Kind.INT, "what really moved; 0: nothing, or not told"),
        _c("expected_wait_p50_ns", Kind.DURATION, "what it had been promised, p50"),
        _c("expected_wait_p90_ns", Kind.DURATION, "the same, p90"),
    ),
)

DECISIONS: Final = Table(
    "decisions",
    "a decision as it was stored, with its evidence",
    (
        *_PLACE,
        *_TIMES,
        _c("replication_id", Kind.NAME, "the decision's id; of a removal, too"),
        _c("accepted", Kind.BOOL, "false: it came too late, and changed nothing"),
        _c("decision", Kind.TEXT, "`planned`, `withheld`, or `removal`"),
        _c("cause", Kind.TEXT, "why it was withheld, such as `control_group`"),
        *_CONTENT,
        *_OWNER,
        _c("source_region", Kind.TEXT, "where the bytes were to come from"),
        _c("target_region", Kind.TEXT, "where the copy was to go, or to leave"),
        _c("start_regions", Kind.TEXTS, "the start regions that it is for"),
        _c("trigger", Kind.TEXT, "what made it due, such as `push`"),
        _c("trigger_sequence", Kind.INT, "the event that made it due"),
        _c("reason", Kind.WORDS, "the rule that wanted it, such as `start-forecast`"),
        _c("explanation", Kind.WORDS, "the same for people"),
        _c("policy", Kind.NAME, "the policy's name and hash"),
        _c("request_id", Kind.NAME, "the request that it answers"),
        _c("probability", Kind.FLOAT, "how likely a start was, 0 to 1"),
        _c("transfer_bytes", Kind.INT, "what was to move; of a removal, to be freed"),
        _c("expected_duration_ns", Kind.DURATION, "how long the copy was to take"),
        _c("saved_duration_ns", Kind.DURATION, "what one start was to wait less"),
        _c("priority", Kind.INT, "1 somebody waits, 2 forecast, 3 repair, 4 the rest"),
        _c("expire_time", Kind.TIME, "when it stops being worth it"),
        _c("factors", Kind.FACTORS, "the numbers that it rests on"),
    ),
)

OUTCOMES: Final = Table(
    "outcomes",
    "what came of a decision, as far as it was known when the version was made",
    (
        _c("epoch", Kind.INT, "which log of the manifest's `epochs`, from 1"),
        _c("version", Kind.INT, "the latest version of a decision counts"),
        _c("as_of_sequence", Kind.INT, "the last message that it rests on"),
        _c("as_of_time", Kind.TIME, "the log's time then"),
        _c("final", Kind.BOOL, "its window is over: it is not told again"),
        _c("replication_id", Kind.NAME, "the decision"),
        _c("sequence", Kind.INT, "the message that it was decided in"),
        _c("time", Kind.TIME, "when it was decided"),
        *_CONTENT,
        _c("organization", Kind.NAME, "who owns the repository"),
        _c("app", Kind.NAME, "the app that it belongs to"),
        _c("app_key", Kind.NAME, "how reports name it: organization and app"),
        _c("source_region", Kind.TEXT, "where the bytes came from"),
        _c("target_region", Kind.TEXT, "where they went, or left"),
        _c("start_regions", Kind.TEXTS, "the start regions that it is for"),
        _c("kind", Kind.TEXT, "`copy` or `removal`"),
        _c("trigger", Kind.TEXT, "what made it due; null of a removal"),
        _c("reason", Kind.WORDS, "the rule that wanted it"),
        _c("policy", Kind.NAME, "the policy's name and hash"),
        _c("probability", Kind.FLOAT, "how likely a start was, 0 to 1"),
        _c("status", Kind.TEXT, "how far it came, such as `completed`"),
        _c("cause", Kind.TEXT, "why it was withheld, or failed"),
        _c("payoff", Kind.TEXT, "the verdict: `paid_off`, `wasted`, `late`, …"),
        _c("use", Kind.TEXT, "of a complete or observed copy: `used`, `unused`, …"),
        _c("observed", Kind.BOOL, "withheld since the policy only observed"),
        _c("counted", Kind.BOOL, "false: reports count it with another decision"),
        _c("transfer_bytes", Kind.INT, "what was to move; of a removal, negative"),
        _c("moved_bytes", Kind.INT, "what moved"),
        _c("took_ns", Kind.DURATION, "how long that took; 0 when not told"),
        _c("expected_ns", Kind.DURATION, "how long it was to take"),
        _c("complete_time", Kind.TIME, "when it was complete"),
        _c("kept_until_time", Kind.TIME, "when it was removed again, or `as_of_time`"),
        _c("first_start_time", Kind.TIME, "the first start that it was for"),
        _c("start_count", Kind.INT, "starts of that first burst"),
        _c("waited_count", Kind.INT, "those of them that told what they waited"),
        _c("wait_ns", Kind.DURATION, "what those waited in all"),
        _c("saved_duration_ns", Kind.DURATION, "what one start was to wait less"),
        _c("modelled_saving_ns", Kind.DURATION, "of a used copy: starts times that"),
        _c("arm", Kind.TEXT, "`treated` or `withheld` where it stands for a pair"),
        _c("pair_wait_ns", Kind.DURATION, "what the pair waited; null: not told"),
        _c("pair_open", Kind.BOOL, "nobody started the pair yet, and somebody may"),
    ),
    Parts.VERSION,
)

INTERVALS: Final = Table(
    "intervals",
    "a time of which the log is known not to tell everything",
    (
        _c("kind", Kind.TEXT, "`gap`, `epoch_break`, `feed_down` or `quarantined`"),
        _c("region", Kind.TEXT, "where; null: everywhere"),
        _c("feed", Kind.TEXT, "of `feed_down`: `content` or `machines`"),
        _c("start_time", Kind.TIME, "from then on; null: from ever"),
        _c("end_time", Kind.TIME, "before then"),
        _c("epoch", Kind.INT, "the log that shows it"),
        _c("sequence", Kind.INT, "the message that shows it"),
        _c("missed_count", Kind.INT, "messages, contents or machines; null: unknown"),
    ),
)

TABLES: Final = (EVENTS, PULLS, STARTS, DECISIONS, OUTCOMES, INTERVALS)
