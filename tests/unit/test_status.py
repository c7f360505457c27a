"""Reasons and statuses: the table is complete, and says all that a caller needs."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

import placement
from placement.api.private_reasons import INTERNAL
from placement.api.reading import StateBehindError
from placement.api.reasons import REASONS
from placement.api.refusals import BudgetExhaustedError
from placement.api.status import DOMAIN, crash_status, status_of
from placement.core.deciding.budgets import Refusal
from placement.core.errors import (
    DigestInvalidError,
    ManifestUnknownError,
    PlacementError,
)
from placement.ports import LogUnavailableError
from placement.runtime.view import Basis, ServingState

OUR_PATH = "/var/lib/placement/checkpoint"


def errors(kind: type[PlacementError]) -> Iterator[type[PlacementError]]:
    """Yield every class of expected failure in the package below *kind*."""
    for error in kind.__subclasses__():
        if error.__module__.startswith("placement."):
            yield error
        yield from errors(error)


def test_table_has_each_reason_that_exists_and_no_other() -> None:
    """List and code cannot part: whoever adds an error adds its row."""
    for module in pkgutil.walk_packages(placement.__path__, "placement."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    reasons = {
        error.reason for error in errors(PlacementError) if "reason" in vars(error)
    }

    assert reasons | {INTERNAL} == set(REASONS)


def test_no_two_errors_share_a_reason() -> None:
    """A reason leads to one place in the code."""
    reasons = [
        error.reason for error in errors(PlacementError) if "reason" in vars(error)
    ]

    assert sorted(reasons) == sorted(set(reasons))


@pytest.mark.parametrize("name", REASONS)
def test_row_says_cause_and_action_in_words_for_people(name: str) -> None:
    """As AIP-193 wants it: UPPER_SNAKE, and each row complete."""
    reason = REASONS[name]

    assert name == name.upper()
    assert len(name) <= 63
    assert len(reason.cause) > 20
    assert len(reason.action) > 10
    assert reason.code is not grpc.StatusCode.OK


@pytest.mark.parametrize("name", REASONS)
def test_only_what_may_pass_by_itself_is_worth_a_retry(name: str) -> None:
    """UNAVAILABLE and RESOURCE_EXHAUSTED, and always with a delay."""
    reason = REASONS[name]
    passing = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}

    assert reason.retryable == (reason.code in passing)
    assert reason.retry_delay_ms is None or reason.retry_delay_ms > 0


def packed(status: grpc.Status) -> status_pb2.Status:
    """Return the google.rpc.Status that travels in *status*."""
    anything: Any = status
    (metadata,) = anything.trailing_metadata
    assert metadata[0] == "grpc-status-details-bin"
    return status_pb2.Status.FromString(metadata[1])


def test_input_error_has_its_field_and_no_retry() -> None:
    """ErrorInfo and BadRequest, each once."""
    status = packed(status_of(DigestInvalidError("digest", "x", "give a digest")))

    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert len(status.details) == 2
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert (info.reason, info.domain) == ("DIGEST_INVALID", DOMAIN)
    assert dict(info.metadata) == {
        "field": "digest",
        "value": "'x'",
        "remedy": "give a digest",
    }
    assert bad.field_violations[0].description == "give a digest"


def test_absence_has_what_was_looked_for_and_the_tables_remedy() -> None:
    """NOT_FOUND in the error's own words."""
    status = packed(status_of(ManifestUnknownError("acme/web", "v9")))

    info = error_details_pb2.ErrorInfo()
    assert status.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert status.message == "repository acme/web has no tag v9"
    assert status.details[0].Unpack(info)
    assert info.metadata["reference"] == "v9"
    assert info.metadata["remedy"] == REASONS["MANIFEST_UNKNOWN"].action


def test_what_may_pass_says_when_to_come_again() -> None:
    """RetryInfo beside ErrorInfo."""
    basis = Basis("epoch", 7, 1, ServingState.LIVE, 0, 1)

    status = packed(status_of(StateBehindError(basis)))

    retry = error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 100


def test_private_error_speaks_in_the_tables_words_only() -> None:
    """Hosts and paths are for the operator's log."""
    error = LogUnavailableError(OUR_PATH, path=OUR_PATH)

    status = packed(status_of(error))

    assert status.message == REASONS["LOG_UNAVAILABLE"].cause
    assert OUR_PATH.encode() not in status.SerializeToString()


def test_error_without_a_row_is_internal() -> None:
    """A row that is missing is our bug, not the caller's."""
    status = packed(status_of(PlacementError(OUR_PATH)))

    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == INTERNAL
    assert OUR_PATH.encode() not in status.SerializeToString()


def test_crash_says_its_id_and_nothing_else() -> None:
    """The id is in the operator's log, with the stack."""
    status = packed(crash_status("0123"))

    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.metadata["error_id"]) == (INTERNAL, "0123")


def test_error_that_knows_when_to_come_again_says_so() -> None:
    """Instead of the delay of its reason."""
    refusal = Refusal("link_bytes_per_hour (9): ams to syd", 90_000_000_000)

    status = packed(status_of(BudgetExhaustedError(refusal, 30_000_500_000)))

    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status.details)
    assert retry.retry_delay.ToMilliseconds() == 60_000  # 59,999.5, rounded up
