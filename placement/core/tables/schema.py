"""Every table of the state, with its columns and what it remembers at the most."""

from placement.core.tables import cells
from placement.core.tables.cells import column_names
from placement.core.tables.keys import (
    DECISIONS_REMEMBERED,
    EVENT_IDS_REMEMBERED,
    REQUESTS_REMEMBERED,
    SET_ASIDE_REMEMBERED,
    START_DAYS_REMEMBERED,
    STOPPED_REMEMBERED,
    TRIAL_COLUMNS,
)
from placement.core.tables.outcomes import (
    APP_OUTCOMES,
    POOLED_OUTCOMES,
    outcome_columns,
)
from placement.core.tables.table import Table


class ContentTables:
    """What there is, and where."""

    def __init__(self) -> None:
        """Begin empty."""
        self.counters = Table("counters", ("count",))
        self.event_ids = Table("event_ids", (), EVENT_IDS_REMEMBERED)
        self.set_aside = Table("set_aside", ("time",), SET_ASIDE_REMEMBERED)
        self.regions = Table("regions", column_names(cells.Region))
        self.repositories = Table("repositories", column_names(cells.Repository))
        self.apps = Table("apps", column_names(cells.App))
        self.media_types = Table("media_types", ())
        self.platforms = Table("platforms", ())
        self.digests = Table("digests", column_names(cells.Digest))
        self.edges = Table("edges", column_names(cells.Edge))
        self.placements = Table("placements", ())
        self.replicas = Table("replicas", column_names(cells.Replica))
        self.cleared = Table("cleared", column_names(cells.Cleared))
        self.tags = Table("tags", column_names(cells.Tag))


class UseTables:
    """Who uses what, what runs, and what is learned of it."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.uses = Table("uses", column_names(cells.Use))
        self.demand = Table("demand", column_names(cells.Demand))
        self.memberships = Table("memberships", column_names(cells.Membership))
        self.shapes = Table("shapes", ())
        self.organizations = Table("organizations", ())
        self.bursts = Table("bursts", column_names(cells.Burst))
        self.versions = Table("versions", column_names(cells.Version))
        self.trials = Table("trials", TRIAL_COLUMNS)
        self.app_outcomes = Table("app_outcomes", outcome_columns(APP_OUTCOMES))
        pooled = outcome_columns(POOLED_OUTCOMES)
        self.pooled_outcomes = Table("pooled_outcomes", pooled)
        self.machines = Table("machines", column_names(cells.Machine))
        self.stopped = Table("stopped", (), STOPPED_REMEMBERED)
        self.routes = Table("routes", ("transfers",))
        self.transfers = Table("transfers", column_names(cells.Transfer))
        self.calibration = Table("calibration", column_names(cells.Calibration))
        days = column_names(cells.StartDay)
        self.start_days = Table("start_days", days, START_DAYS_REMEMBERED)


class SteeringTables:
    """What was asked for, decided and ordered."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        requests = column_names(cells.Request)
        self.requests = Table("requests", requests, REQUESTS_REMEMBERED)
        decisions = column_names(cells.Decision)
        self.decisions = Table("decisions", decisions, DECISIONS_REMEMBERED)
        self.words = Table("words", ())
        self.wanted = Table("wanted", column_names(cells.Wanted))
        self.awaited = Table("awaited", ("time",))
        self.decided = Table("decided", column_names(cells.Decided))
        self.pins = Table("pins", column_names(cells.Order))
        self.pauses = Table("pauses", column_names(cells.Order))
        self.policies = Table("policies", column_names(cells.Order))


class Tables(SteeringTables, UseTables, ContentTables):
    """Every table of the state."""

    def tables(self) -> dict[str, Table]:
        """Return every table by name, in a fixed order."""
        found = (value for value in vars(self).values() if isinstance(value, Table))
        return {table.name: table for table in found}
