"""``[limits]`` of the configuration, as the parts of the service take it."""

from placement.config.limit_keys import LimitsConfig
from placement.runtime.limits import LimitSettings
from placement.runtime.pressure import PressureSettings
from placement.runtime.watcher import WatchSettings


def limit_settings(limits: LimitsConfig) -> LimitSettings:
    """Return how much is let in."""
    return LimitSettings(
        pressure=PressureSettings(queue_ms=limits.queue_ms, retry_ms=limits.retry_ms),
        caller_weight_per_second=limits.caller_weight_per_second,
        identity_weight_per_second=limits.identity_weight_per_second,
        tenant_weight_per_second=limits.tenant_weight_per_second,
        caller_watches=limits.caller_watches,
        identity_watches=limits.identity_watches or (limits.watches + 1) // 2,
        tenant_watches=limits.tenant_watches,
        caller_new_contents_per_second=limits.caller_new_contents_per_second,
        new_contents_burst=limits.new_contents_burst,
        contents_max=limits.contents_max,
    )


def watch_settings(limits: LimitsConfig) -> WatchSettings:
    """Return how many may watch."""
    return WatchSettings(
        watch_count_max=limits.watches, snapshot_count_max=limits.snapshots
    )
