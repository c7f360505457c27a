"""Guardrails are tables of the policy document; what is wrong is named by its key."""

import re
from dataclasses import fields
from importlib.resources import files
from math import inf, nextafter

import pytest

from placement.core.deciding.checking import ENTRIES_MAX
from placement.core.deciding.guardrails import (
    HOLDOUT_LIMITS,
    MODES,
    NUMBER_LIMITS,
    WHOLE_LIMITS,
    Guardrails,
    parse_guardrails,
)
from placement.core.deciding.keep import DAY_NS, Keep
from placement.core.deciding.limits import Limits
from placement.core.errors import PolicyInvalidError
from placement.core.policy import GUARDRAIL_KEYS
from placement.core.residency import ResidencyRule
from placement.wire.fields import DOCUMENT_LENGTH_MAX
from tests.builders import AMS, IAD, SYD, TOPOLOGY

SHIPPED = files("placement").joinpath("data/policies/default.toml").read_text()
TABLES = {"limits": Limits, "keep": Keep}
KEYS = {key.name: table for table, kind in TABLES.items() for key in fields(kind)}
ALL_LIMITS = {**WHOLE_LIMITS, **NUMBER_LIMITS}
RULE = '[[residency]]\nrepositories = ["acme/*"]\n'
LATEST_RETRY = "retry_seconds_max = 2_592_000"


def refused(text: str) -> PolicyInvalidError:
    """Return the error that *text* is refused with."""
    with pytest.raises(PolicyInvalidError) as error:
        parse_guardrails(text)
    assert error.value.reason == "POLICY_INVALID"
    assert error.value.remedy
    return error.value


def alone(key: str, value: object) -> str:
    """Return a document that gives one number of a table."""
    rest = f"\n{LATEST_RETRY}" if key == "retry_seconds" else ""
    first = "\nretry_seconds = 1" if key == "retry_seconds_max" else ""
    return f"[{KEYS[key]}]\n{key} = {value!r}{rest}{first}"


def test_shipped_file_is_the_default() -> None:
    """What the file documents and what the code does by default are the same."""
    assert parse_guardrails(SHIPPED) == Guardrails() == parse_guardrails("")
    assert re.search(r"A share, 0 to 1.\nholdout_fraction = ", SHIPPED)
    assert list(HOLDOUT_LIMITS) == [0, 1]
    assert len(SHIPPED) <= DOCUMENT_LENGTH_MAX


@pytest.mark.parametrize("table", TABLES)
def test_shipped_file_states_every_key_and_its_limits(table: str) -> None:
    """Each key of a table is there once, in the code's order, with its true limits."""
    part = re.split(r"^\[", SHIPPED, flags=re.MULTILINE)
    [body] = [text for text in part if text.startswith(f"{table}]")]
    stated = re.findall(r"^(\w+) = ", body, re.MULTILINE)
    limits = re.findall(r"^# .*, (\S+) to (\S+)\.\n(\w+) = ", body, re.MULTILINE)

    expected = [key.name for key in fields(TABLES[table]) if key.name in ALL_LIMITS]
    assert stated == expected
    found = {key: (float(low), float(high)) for low, high, key in limits}
    assert found == {key: ALL_LIMITS[key] for key in expected}


def test_commented_examples_of_the_shipped_file_are_valid() -> None:
    """An operator who takes the marks away gets what the example says."""
    examples = re.sub(r"^# (?=\[|\S+ = )", "", SHIPPED, flags=re.MULTILINE)

    found = parse_guardrails(examples)

    assert found.limits.link_bytes(IAD, SYD) == 500_000_000_000
    assert found.limits.organization_bytes("acme") == 2_000_000_000_000
    assert found.keep.budget_bytes(SYD) == 4_000_000_000_000
    assert found.residency.rules == (ResidencyRule(("acme/*",), ("eu",), ("lhr",)),)


def test_keys_that_the_numbers_leave_are_those_of_the_guardrails() -> None:
    """Neither parser takes a key that the other one does not know of."""
    assert tuple(key.name for key in fields(Guardrails)) == GUARDRAIL_KEYS
    numbers = {key for key in KEYS if key not in {"links", "organizations"}}
    assert numbers - {"storage_bytes"} == set(ALL_LIMITS)


@pytest.mark.parametrize("key", ALL_LIMITS)
def test_number_at_its_limits_is_taken_and_past_them_refused(key: str) -> None:
    """One step past a limit names the key and the limits."""
    table, (least, greatest) = KEYS[key], ALL_LIMITS[key]
    whole = key in WHOLE_LIMITS

    for value in (least, greatest):
        number = int(value) if whole else float(value)
        found = getattr(parse_guardrails(alone(key, number)), table)
        assert getattr(found, key) == number
        assert type(getattr(found, key)) is type(number)

    steps = (least - 1, greatest + 1)
    if not whole:
        steps = (nextafter(least, -inf), nextafter(greatest, inf))
    for value in steps:
        error = refused(alone(key, value))
        assert error.field == f"policy.{table}.{key}"
        kind = "a whole number" if whole else "a number"
        assert error.remedy == f"give {kind} from {least:g} to {greatest:g}"


def test_whole_number_may_be_written_as_a_power() -> None:
    """Bytes are easier to read so; a part of one is refused."""
    found = parse_guardrails("[limits]\nlink_bytes_per_hour = 5e9").limits

    assert found.link_bytes_per_hour == 5_000_000_000
    assert refused("[limits]\nmin_copies = 2.5").field == "policy.limits.min_copies"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('mode = "watch"', "mode"),
        ("mode = [1]", "mode"),
        ("holdout_fraction = 1.01", "holdout_fraction"),
        ("holdout_fraction = true", "holdout_fraction"),
        ("holdout_fraction = nan", "holdout_fraction"),
        ("limits = 1", "limits"),
        ("[limits]\ncopies = 1", "limits.copies"),
        ("[limits]\nmin_copies = true", "limits.min_copies"),
        ('[limits]\nmin_copies = "2"', "limits.min_copies"),
        ("[limits]\nmin_copies = nan", "limits.min_copies"),
        ("[limits]\nmin_copies = inf", "limits.min_copies"),
        (
            "[limits]\nretry_seconds = 7e4\nretry_seconds_max = 6e4",
            "limits.retry_seconds_max",
        ),
        ("[limits]\nlinks = 5", "limits.links"),
        ('[limits.links]\n"iad" = 5', "limits.links.iad"),
        ('[limits.links]\n"iad:iad" = 5', "limits.links.iad:iad"),
        ('[limits.links]\n"iad:S" = 5', "limits.links.iad:S"),
        ('[limits.links]\n"iad:syd:fra" = 5', "limits.links.iad:syd:fra"),
        ('[limits.links]\n"iad:syd" = -1', "limits.links.iad:syd"),
        ('[limits.organizations]\n"" = 5', "limits.organizations."),
        ('[limits.organizations]\n"a\\nb" = 5', "limits.organizations.a\nb"),
        ('[limits.organizations]\nacme = "5"', "limits.organizations.acme"),
        ("[keep]\ngrace = 1", "keep.grace"),
        ("[keep.storage_bytes]\nsyd = 0", "keep.storage_bytes.syd"),
        ('[keep.storage_bytes]\n"!" = 5', "keep.storage_bytes.!"),
        ("[residency]\nallow = []", "residency"),
        ("residency = [1]", "residency[0]"),
        ('[[residency]]\nallow = ["eu"]', "residency[0].repositories"),
        ("[[residency]]\nrepositories = []", "residency[0].repositories"),
        (
            '[[residency]]\nrepositories = "a"\ndeny = ["eu"]',
            "residency[0].repositories",
        ),
        (RULE, "residency[0]"),
        (RULE + "deny = []", "residency[0]"),
        (RULE + "allow = []", "residency[0].allow"),
        (RULE + 'allow = []\ndeny = ["eu"]', "residency[0].allow"),
        (RULE + 'allow = "eu"', "residency[0].allow"),
        (RULE + 'allow = ["eu", "E U"]', "residency[0].allow[1]"),
        (RULE + 'allow = ["any"]', "residency[0].allow[0]"),
        (RULE + "allow = [1]", "residency[0].allow[0]"),
        (RULE + 'deny = ["eu,us"]', "residency[0].deny[0]"),
        (RULE + 'forbid = ["eu"]', "residency[0].forbid"),
        (f'{RULE}deny = ["eu"]\n{RULE}', "residency[1]"),
        ("patience", ""),
        ("holdout_fraction = 0x" + "f" * 5_000, "holdout_fraction"),
        ("[limits]\nmin_copies = 0x" + "f" * 5_000, "limits.min_copies"),
    ],
)
def test_what_is_wrong_is_named(text: str, field: str) -> None:
    """Unknown keys, other types, bad regions and links are refused by name."""
    error = refused(text)

    assert error.field == ".".join(filter(None, ["policy", field]))


@pytest.mark.parametrize(
    "pattern", ["Acme/*", "acme*", "acme/**", "*/web", "/*", "", "acme/", "a b", "**"]
)
def test_pattern_that_could_be_misread_is_refused(pattern: str) -> None:
    """A star stands for all, or ends a prefix after a slash; nothing else."""
    text = f'[[residency]]\nrepositories = ["{pattern}"]\ndeny = ["eu"]'

    assert refused(text).field == "policy.residency[0].repositories[0]"


def test_more_entries_than_anybody_means_are_refused() -> None:
    """A table and a list hold ENTRIES_MAX entries at the most."""
    full = "\n".join(f"o{number} = 1" for number in range(ENTRIES_MAX))
    table = f"[limits.organizations]\n{full}\n"

    assert len(parse_guardrails(table).limits.organizations) == ENTRIES_MAX
    assert refused(table + "more = 1").field == "policy.limits.organizations"
    names = ", ".join(['"eu"'] * (ENTRIES_MAX + 1))
    assert refused(f"{RULE}deny = [{names}]").field == "policy.residency[0].deny"


def test_field_of_the_error_is_the_callers() -> None:
    """The caller says where the document was: a request's field, or a file's name."""
    with pytest.raises(PolicyInvalidError) as error:
        parse_guardrails("[keep]\npull_days = -1", "policy_content")

    assert error.value.field == "policy_content.keep.pull_days"


def test_single_links_and_organizations_come_before_the_general_limit() -> None:
    """Zero is no limit, for one link as for all."""
    limits = parse_guardrails(
        "[limits]\nlink_bytes_per_hour = 7\norganization_bytes_per_day = 9\n"
        '[limits.links]\n"iad:syd" = 0\n[limits.organizations]\nacme = 3'
    ).limits

    assert limits.link_bytes(IAD, SYD) == 0
    assert limits.link_bytes(SYD, IAD) == 7
    assert limits.organization_bytes("acme") == 3
    assert limits.organization_bytes("other") == 9


def test_waits_between_failures_double_up_to_the_longest() -> None:
    """However often it failed."""
    limits = Limits(retry_seconds=60, retry_seconds_max=200)

    waits = [limits.retry_ns(count) / 1e9 for count in (1, 2, 3, 4, 10**9)]

    assert waits == [60, 120, 200, 200, 200]
    assert limits.decision_ns == 3_600 * 10**9


def test_days_are_kept_in_nanoseconds() -> None:
    """A part of a day counts."""
    keep = parse_guardrails(
        "[keep]\ngrace_days = 0.5\nunused_days = 2\npull_days = 0\n"
        "[keep.storage_bytes]\nsyd = 5e9"
    ).keep

    assert (keep.grace_ns, keep.unused_ns, keep.pull_ns) == (DAY_NS // 2, 2 * DAY_NS, 0)
    assert (keep.budget_bytes(SYD), keep.budget_bytes(AMS)) == (5_000_000_000, None)


def test_nothing_is_withheld_as_control_group_while_all_is() -> None:
    """Observing has no control group."""
    texts = [f'holdout_fraction = 0.2\nmode = "{mode}"' for mode in MODES]

    found = [parse_guardrails(text) for text in texts]

    assert [one.observes for one in found] == [False, True]
    assert [one.control_fraction for one in found] == [0.2, 0.0]


def test_names_that_the_catalogue_does_not_know_are_listed() -> None:
    """Of links, budgets and rules, each once: well formed, and no region's."""
    found = parse_guardrails(
        '[limits.links]\n"iad:xxx" = 5\n[keep.storage_bytes]\nyyy = 5\nsyd = 5\n'
        f'{RULE}allow = ["eu", "zzz", "ams"]\ndeny = ["xxx"]'
    )

    assert found.unknown_names(TOPOLOGY) == ("eu", "xxx", "yyy", "zzz")
    assert Guardrails().unknown_names(TOPOLOGY) == ()
