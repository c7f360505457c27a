"""Every table of the state, with its columns and what it remembers at the most."""

from placement.core.tables import cells
from placement.core.tables.cells import column_names
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


class ContentTables:
    """What there is, and where."""

    def __init__(self) -> None:
        """Begin empty."""
        self.counters = Table("counters", ("count",))
        self.event_ids = Table(
            "event_ids", (), EVENT_IDS_REMEMBERED, key_bytes=HASH_BYTES
        )
        self.set_aside = Table("set_aside", ("time",), SET_ASIDE_REMEMBERED)
        self.regions = Table("regions", column_names(cells.Region))
        self.repositories = Table("repositories", column_names(cells.Repository))
        self.apps = Table("apps", column_names(cells.App))
        self.media_types = Table("media_types", ())
        self.platforms = Table("platforms", ())
        self.digests = Table(
            "digests", column_names(cells.Digest), key_bytes=SHA256_BYTES
        )
        self.edges = Table("edges", column_names(cells.Edge), key_bytes=PAIR.size)
        self.placements = Table("placements", (), key_bytes=PAIR.size)
        self.replicas = Table(
            "replicas", column_names(cells.Replica), key_bytes=PAIR.size
        )
        self.cleared = Table(
            "cleared", column_names(cells.Cleared), key_bytes=PAIR.size
        )
        self.tags = Table("tags", column_names(cells.Tag))


class UseTables:
    """Who uses what, what runs, and what is learned of it."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.uses = Table("uses", column_names(cells.Use), key_bytes=PAIR.size)
        self.demand = Table("demand", column_names(cells.Demand), key_bytes=TRIPLE.size)
        self.memberships = Table(
            "memberships", column_names(cells.Membership), key_bytes=PAIR.size
        )
        self.shapes = Table("shapes", ())
        self.organizations = Table("organizations", ())
        self.bursts = Table("bursts", column_names(cells.Burst), key_bytes=PAIR.size)
        self.versions = Table(
            "versions", column_names(cells.Version), key_bytes=ROW_BYTES
        )
        self.trials = Table("trials", TRIAL_COLUMNS, key_bytes=TRIPLE.size)
        self.app_outcomes = Table(
            "app_outcomes", outcome_columns(APP_OUTCOMES), key_bytes=OUTCOME_KEY.size
        )
        pooled = outcome_columns(POOLED_OUTCOMES)
        self.pooled_outcomes = Table(
            "pooled_outcomes", pooled, key_bytes=OUTCOME_KEY.size
        )
        self.machines = Table(
            "machines", column_names(cells.Machine), key_bytes=HASH_BYTES
        )
        self.stopped = Table("stopped", (), STOPPED_REMEMBERED, key_bytes=HASH_BYTES)
        self.routes = Table("routes", ("transfers",), key_bytes=PAIR.size)
        self.transfers = Table(
            "transfers", column_names(cells.Transfer), key_bytes=TRIPLE.size
        )
        self.calibration = Table(
            "calibration", column_names(cells.Calibration), key_bytes=PAIR.size
        )
        days = column_names(cells.StartDay)
        self.start_days = Table(
            "start_days", days, START_DAYS_REMEMBERED, key_bytes=START_DAY.size
        )


class SteeringTables:
    """What was asked for, decided and ordered."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        requests = column_names(cells.Request)
        self.requests = Table(
            "requests", requests, REQUESTS_REMEMBERED, key_bytes=HASH_BYTES
        )
        decisions = column_names(cells.Decision)
        self.decisions = Table("decisions", decisions, DECISIONS_REMEMBERED)
        self.words = Table("words", ())
        self.wanted = Table("wanted", column_names(cells.Wanted), key_bytes=PAIR.size)
        self.awaited = Table("awaited", ("time",), key_bytes=PAIR.size)
        self.decided = Table(
            "decided", column_names(cells.Decided), key_bytes=PAIR.size
        )
        self.pins = Table("pins", column_names(cells.Order), key_bytes=TRIPLE.size)
        self.pauses = Table("pauses", column_names(cells.Order))
        self.policies = Table("policies", column_names(cells.Order))


class Tables(SteeringTables, UseTables, ContentTables):
    """Every table of the state."""

    def tables(self) -> dict[str, Table]:
        """Return every table by name, in a fixed order."""
        found = (value for value in vars(self).values() if isinstance(value, Table))
        return {table.name: table for table in found}
