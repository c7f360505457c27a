"""``[limits]`` as operators write it, and as the parts of the service take it."""

from pathlib import Path

from placement.config.limit_keys import LimitsConfig
from placement.config.limits import limit_settings, watch_settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "overload.md"


def test_every_key_reaches_what_it_limits() -> None:
    """Each is set to something else, and nothing is left at its default."""
    keys = {
        name: field.default + number
        for number, (name, field) in enumerate(LimitsConfig.model_fields.items(), 11)
    }
    chosen = LimitsConfig(**keys)

    limits, watch = limit_settings(chosen), watch_settings(chosen)

    taken = {
        "queue_ms": limits.pressure.queue_ms,
        "retry_ms": limits.pressure.retry_ms,
        "caller_weight_per_second": limits.caller_weight_per_second,
        "identity_weight_per_second": limits.identity_weight_per_second,
        "tenant_weight_per_second": limits.tenant_weight_per_second,
        "watches": watch.watch_count_max,
        "caller_watches": limits.caller_watches,
        "identity_watches": limits.identity_watches,
        "tenant_watches": limits.tenant_watches,
        "snapshots": watch.snapshot_count_max,
        "caller_new_contents_per_second": limits.caller_new_contents_per_second,
        "new_contents_burst": limits.new_contents_burst,
        "contents_max": limits.contents_max,
    }
    assert taken == keys


def test_one_certificate_has_half_of_the_watches_unless_told_otherwise() -> None:
    """However many they are: the other half is left to everybody else."""
    assert limit_settings(LimitsConfig()).identity_watches == 128
    assert limit_settings(LimitsConfig(watches=1)).identity_watches == 1
    assert limit_settings(LimitsConfig(identity_watches=7)).identity_watches == 7


def test_every_key_is_documented_with_its_default() -> None:
    """docs/overload.md lists them, and no others."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("| `")
    ]
    listed = {cells[0].strip("`"): cells[1].split(":")[0] for cells in rows}

    defaults = {
        name: f"{field.default:g}" for name, field in LimitsConfig.model_fields.items()
    }
    assert listed == defaults
