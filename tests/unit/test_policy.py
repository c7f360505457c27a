"""Policies are files of keys with limits; what is wrong is named by its key."""

import re
from dataclasses import asdict, fields
from importlib.resources import files
from math import inf, nextafter

import pytest

from placement.core.errors import PolicyInvalidError, PolicyUnknownError
from placement.core.policy import (
    BUILT_IN,
    DEFAULT,
    GUARDRAIL_KEYS,
    LIMITS,
    NAME_LENGTH_MAX,
    STATIC,
    Policy,
    forecasts_alike,
    named_policy,
    parse_policy,
)

SHIPPED = files("placement").joinpath("data/policies/default.toml").read_text()
KEYS = [key.name for key in fields(Policy)]


def as_toml(policy: Policy) -> str:
    """Return *policy* as a file of all keys."""
    quoted = {key: repr(value) for key, value in asdict(policy).items()}
    return "\n".join(f"{key} = {value}" for key, value in quoted.items())


def refused(text: str) -> PolicyInvalidError:
    """Return the error that *text* is refused with."""
    with pytest.raises(PolicyInvalidError) as error:
        parse_policy(text)
    assert error.value.reason == "POLICY_INVALID"
    return error.value


def test_shipped_file_is_the_default() -> None:
    """What the file documents and what the code does by default are the same."""
    policy = parse_policy(SHIPPED)

    assert policy == DEFAULT == parse_policy("")


def test_shipped_file_states_every_key_and_its_limits() -> None:
    """Each key is there once, in the order of the code, with its true limits."""
    numbers = SHIPPED.partition("\n[")[0]
    keys = re.findall(r"^(\w+) = ", numbers, re.MULTILINE)
    stated = [key for key in keys if key not in GUARDRAIL_KEYS]
    limits = re.findall(r"^# .*, (\S+) to (\S+)\.\n(\w+) = ", numbers, re.MULTILINE)
    limits = [limit for limit in limits if limit[2] not in GUARDRAIL_KEYS]

    assert stated == KEYS
    assert {key: (float(low), float(high)) for low, high, key in limits} == LIMITS


def test_guardrails_of_the_same_file_are_left_to_their_own_parser() -> None:
    """Numbers are read beside tables that this parser need not understand."""
    policy = parse_policy('patience = 0.5\nmode = "?"\n[limits]\nx = 1\n[keep]\ny = 1')

    assert policy == Policy(patience=0.5)


@pytest.mark.parametrize("policy", BUILT_IN.values(), ids=list(BUILT_IN))
def test_policy_survives_being_written_and_parsed(policy: Policy) -> None:
    """Nothing of a policy is lost on its way through a file."""
    found = parse_policy(as_toml(policy))

    assert found == policy
    assert named_policy(policy.name) == policy


@pytest.mark.parametrize("key", LIMITS)
def test_number_at_its_limits_is_taken_and_past_them_refused(key: str) -> None:
    """One step of floating point past a limit names the key and the limits."""
    least, greatest = LIMITS[key]

    taken = [parse_policy(f"{key} = {value!r}") for value in map(float, LIMITS[key])]

    assert [getattr(policy, key) for policy in taken] == [least, greatest]
    for value in (nextafter(least, -inf), nextafter(greatest, inf)):
        error = refused(f"{key} = {value!r}")
        assert error.field == f"policy.{key}"
        assert error.remedy == f"give a number from {least:g} to {greatest:g}"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("kapa = 1", "policy.kapa"),
        ("[bets]\npatience = 0.1", "policy.bets"),
        ("patience = nan", "policy.patience"),
        ("patience = inf", "policy.patience"),
        ("patience = true", "policy.patience"),
        ('patience = "0.1"', "policy.patience"),
        ("patience = [0.1]", "policy.patience"),
        ("kappa_bytes_per_second = 1" + "0" * 400, "policy.kappa_bytes_per_second"),
        ('rule = "guess"', "policy.rule"),
        ("rule = [1]", "policy.rule"),
        ("rule = 1", "policy.rule"),
        ('name = ""', "policy.name"),
        ('name = "two words"', "policy.name"),
        ('name = "line\\nbreak"', "policy.name"),
        (f'name = "{"x" * (NAME_LENGTH_MAX + 1)}"', "policy.name"),
        ("name = 5", "policy.name"),
        ("x" * 90 + " = 1", "policy." + "x" * NAME_LENGTH_MAX),
        ("patience = 0.1\npatience = 0.1", "policy"),
        ("patience", "policy"),
        ("patience = " + "[" * 100_000, "policy"),
        ("patience = " + "1" * 5_000, "policy"),
    ],
)
def test_what_is_wrong_is_named(text: str, field: str) -> None:
    """Unknown keys, other types and broken files are refused by name, never a crash."""
    error = refused(text)

    assert error.field == field


def test_name_of_any_letters_is_taken() -> None:
    """A name is for people: 64 characters that can be seen."""
    longest = "é" * NAME_LENGTH_MAX

    assert parse_policy(f'name = "{longest}"').name == longest


def test_field_of_the_error_is_the_callers() -> None:
    """The caller says where the policy was: a request's field, or a file's name."""
    with pytest.raises(PolicyInvalidError) as error:
        parse_policy("patience = 2", "request.policy")

    assert error.value.field == "request.policy.patience"


def test_name_nobody_knows_is_refused() -> None:
    """A built-in policy is asked for by its name; empty means the default."""
    assert named_policy("") is DEFAULT
    with pytest.raises(PolicyUnknownError) as error:
        named_policy("best")

    assert "default, set_60d" in error.value.remedy


def test_policies_that_bet_otherwise_forecast_alike() -> None:
    """Only what weighs outcomes tells forecasts apart."""
    assert forecasts_alike(STATIC) == forecasts_alike(DEFAULT)
    assert forecasts_alike(parse_policy("patience = 0.5")) == forecasts_alike(DEFAULT)
    assert forecasts_alike(parse_policy("app_decay = 0.9")) != forecasts_alike(DEFAULT)
