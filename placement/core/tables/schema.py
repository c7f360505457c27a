"""Every table of the state, with its columns and what it remembers at the most."""

from functools import partial
from typing import Final

from placement.core.tables import cells
from placement.core.tables.cells import column_names
from placement.core.tables.columns import BYTE, INT32, INT64
from placement.core.tables.keys import (
    DECISIONS_REMEMBERED,
    EVENT_IDS_REMEMBERED,
    HASH_BYTES,
    PAIR,
    REQUESTS_REMEMBERED,
    ROW_BYTES,
    SET_ASIDE_REMEMBERED,
    SHA256_BYTES,
    START_DAY,
    START_DAYS_REMEMBERED,
    STOPPED_REMEMBERED,
    TRIAL_COLUMNS,
    TRIPLE,
)
from placement.core.tables.outcomes import (
    APP_OUTCOMES,
    OUTCOME_KEY,
    POOLED_OUTCOMES,
    outcome_columns,
)
from placement.core.tables.table import Table

_LINK: Final = (INT32,)
_DIGEST_CODES: Final = (INT64, INT32, INT32, INT32, INT32)
_PLACEMENT_LINKS: Final = (INT32, INT32, INT32, INT32, INT64, BYTE)
_USE_CODES: Final = (INT64, INT64, INT32)


class _Seeded:
    def __init__(self, seed: int) -> None:
        self.seed = seed


class ContentTables(_Seeded):
    """What there is, and where."""

    def __init__(self, seed: int) -> None:
        """Begin empty; *seed* as of ``Table``."""
        super().__init__(seed)
        table = partial(Table, seed=seed)
        self.counters = table("counters", ("count",))
        self.event_ids = table(
            "event_ids", (), EVENT_IDS_REMEMBERED, key_bytes=HASH_BYTES
        )
        self.set_aside = table("set_aside", ("time",), SET_ASIDE_REMEMBERED)
        self.regions = table("regions", column_names(cells.Region))
        self.repositories = table(
            "repositories", column_names(cells.Repository), links=_LINK
        )
        self.apps = table("apps", column_names(cells.App), links=_LINK)
        self.media_types = table("media_types", ())
        self.platforms = table("platforms", ())
        self.digests = table(
            "digests",
            column_names(cells.Digest),
            key_bytes=SHA256_BYTES,
            codes=_DIGEST_CODES,
            links=_LINK,
        )
        self.edges = table(
            "edges", column_names(cells.Edge), key_bytes=PAIR.size, codes=(INT32, INT32)
        )
        self.placements = table(
            "placements", (), key_bytes=PAIR.size, links=_PLACEMENT_LINKS
        )
        self.replicas = table(
            "replicas", column_names(cells.Replica), key_bytes=PAIR.size, links=_LINK
        )
        self.cleared = table(
            "cleared", column_names(cells.Cleared), key_bytes=PAIR.size
        )
        self.tags = table("tags", column_names(cells.Tag))


class UseTables(_Seeded):
    """Who uses what, what runs, and what is learned of it."""

    def __init__(self, seed: int) -> None:
        """Begin empty; *seed* as of ``Table``."""
        super().__init__(seed)
        table = partial(Table, seed=seed)
        self.uses = table(
            "uses",
            column_names(cells.Use),
            key_bytes=PAIR.size,
            codes=_USE_CODES,
            links=_LINK,
        )
        self.demand = table("demand", column_names(cells.Demand), key_bytes=TRIPLE.size)
        self.memberships = table(
            "memberships",
            column_names(cells.Membership),
            key_bytes=PAIR.size,
            links=_LINK,
        )
        self.shapes = table("shapes", ())
        self.organizations = table("organizations", ())
        self.bursts = table("bursts", column_names(cells.Burst), key_bytes=PAIR.size)
        self.versions = table(
            "versions", column_names(cells.Version), key_bytes=ROW_BYTES
        )
        self.trials = table("trials", TRIAL_COLUMNS, key_bytes=TRIPLE.size)
        self.app_outcomes = table(
            "app_outcomes", outcome_columns(APP_OUTCOMES), key_bytes=OUTCOME_KEY.size
        )
        pooled = outcome_columns(POOLED_OUTCOMES)
        self.pooled_outcomes = table(
            "pooled_outcomes", pooled, key_bytes=OUTCOME_KEY.size
        )
        self.machines = table(
            "machines", column_names(cells.Machine), key_bytes=HASH_BYTES
        )
        self.stopped = table("stopped", (), STOPPED_REMEMBERED, key_bytes=HASH_BYTES)
        self.routes = table("routes", ("transfers",), key_bytes=PAIR.size)
        self.transfers = table(
            "transfers", column_names(cells.Transfer), key_bytes=TRIPLE.size
        )
        self.calibration = table(
            "calibration", column_names(cells.Calibration), key_bytes=PAIR.size
        )
        days = column_names(cells.StartDay)
        self.start_days = table(
            "start_days", days, START_DAYS_REMEMBERED, key_bytes=START_DAY.size
        )


class SteeringTables(_Seeded):
    """What was asked for, decided and ordered."""

    def __init__(self, seed: int) -> None:
        """Begin empty; *seed* as of ``Table``."""
        super().__init__(seed)
        table = partial(Table, seed=seed)
        requests = column_names(cells.Request)
        self.requests = table(
            "requests", requests, REQUESTS_REMEMBERED, key_bytes=HASH_BYTES
        )
        decisions = column_names(cells.Decision)
        self.decisions = table("decisions", decisions, DECISIONS_REMEMBERED)
        self.words = table("words", ())
        self.wanted = table("wanted", column_names(cells.Wanted), key_bytes=PAIR.size)
        self.awaited = table("awaited", ("time",), key_bytes=PAIR.size)
        self.decided = table(
            "decided", column_names(cells.Decided), key_bytes=PAIR.size
        )
        self.pins = table("pins", column_names(cells.Order), key_bytes=TRIPLE.size)
        self.pauses = table("pauses", column_names(cells.Order))
        self.policies = table("policies", column_names(cells.Order))


class Tables(SteeringTables, UseTables, ContentTables):
    """Every table of the state."""

    def __init__(self, seed: int = 0) -> None:
        """Begin empty; *seed* says where keys are looked for, and changes no answer.

        Keys come from callers: whoever does not know the seed cannot choose keys that
        all begin at one place.
        """
        super().__init__(seed)

    def tables(self) -> dict[str, Table]:
        """Return every table by name, in a fixed order."""
        found = (value for value in vars(self).values() if isinstance(value, Table))
        return {table.name: table for table in found}
