"""What a platform needs, by arithmetic alone, from its size and from measured figures.

docs/scaling.md states the figures and what follows; a test holds the page to this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import ceil, log10
from typing import Final, Self

DAY_SECONDS: Final = 86_400
SHARE_BUSY: Final = 0.5
"""Of a core that folds: the rest is for answers, and for catching up."""
DIGITS: Final = 3
"""That a derived value is told to; nothing here is known better."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the page's first table says: the platform first, then what was measured."""

    pulls_per_second: float
    peak_factor: float
    contents_per_pull: float
    """A manifest, and the layers that a host lacks: an event and a question each."""
    changes_per_pull: float
    """Placements that come, go or change for each pull."""
    digests: float
    disk_bytes: float
    log_bytes_per_event: float
    event_ids_remembered: float
    decoded_events_per_second: float
    """Read and decoded, by one process that does nothing else."""
    folded_events_per_second: float
    """Folded, by one process that does nothing else."""
    published_events_per_second: float
    state_bytes_per_digest: float
    saved_bytes_per_digest: float
    first_answer_seconds_10m: float
    answer_cost_us: float
    sent_bytes_per_placement: float
    placements_received_per_second: float
    replica_bytes_per_placement: float

    @classmethod
    def of(cls, values: Mapping[str, float]) -> Self:
        """Return the figures of a table; each must be there, and no other."""
        assert set(values) == {field.name for field in fields(cls)}, sorted(values)
        return cls(**values)

    @property
    def kept_events_per_second(self) -> float:
        """Return how many one process reads, decodes and folds."""
        decoding, folding = (
            self.decoded_events_per_second,
            self.folded_events_per_second,
        )
        return 1 / (1 / decoding + 1 / folding)


def derived(known: Figures) -> dict[str, float]:
    """Return what follows from the figures, in the order of the page's second table."""
    events = known.pulls_per_second * known.contents_per_pull
    peak = events * known.peak_factor
    kept = known.kept_events_per_second
    changes = known.pulls_per_second * known.changes_per_pull
    log_bytes_per_day = events * known.log_bytes_per_event * DAY_SECONDS
    return {
        "events_per_second": events,
        "peak_events_per_second": peak,
        "kept_events_per_second": kept,
        "fold_share_of_a_core": events / kept,
        "peak_fold_share_of_a_core": peak / kept,
        "shards_at_peak": ceil(peak / kept / SHARE_BUSY),
        "publishers_share_at_peak": peak / known.published_events_per_second,
        "log_gigabytes_per_day": log_bytes_per_day / 1e9,
        "days_of_log_on_the_disk": known.disk_bytes / log_bytes_per_day,
        "log_megabytes_per_second_at_peak": peak * known.log_bytes_per_event / 1e6,
        "seconds_of_ids_remembered": known.event_ids_remembered / events,
        "hours_to_fold_a_day_again": (events / kept * DAY_SECONDS / 3_600),
        "state_gigabytes": known.digests * known.state_bytes_per_digest / 1e9,
        "checkpoint_gigabytes": known.digests * known.saved_bytes_per_digest / 1e9,
        "seconds_to_first_answer": (
            known.first_answer_seconds_10m * known.digests / 10_000_000
        ),
        "cores_that_answer_at_peak": peak * known.answer_cost_us / 1e6,
        "watcher_kilobytes_per_second": (
            changes * known.sent_bytes_per_placement / 1e3
        ),
        "watcher_first_copy_gigabytes": (
            known.digests * known.sent_bytes_per_placement / 1e9
        ),
        "watcher_first_copy_seconds": (
            known.digests / known.placements_received_per_second
        ),
        "watcher_replica_gigabytes": (
            known.digests * known.replica_bytes_per_placement / 1e9
        ),
    }


def shown(value: float) -> str:
    """Return *value* as the page writes it: three digits, thousands with commas."""
    places = DIGITS - 1 - int(log10(value)) if value >= 1 else DIGITS
    return f"{round(value, places):,.{max(0, places)}f}"
