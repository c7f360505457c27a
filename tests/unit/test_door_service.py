"""What a door makes of a call to its service that failed."""

import grpc
import pytest

from placement.agent.door.service import DETAILS_KEY, is_silent
from placement.api.status import crash_status

KEPT = (("retry-pushback", "1"),)


@pytest.mark.parametrize(
    ("code", "trailing", "silent"),
    [
        (grpc.StatusCode.UNAVAILABLE, None, True),
        (grpc.StatusCode.UNAVAILABLE, KEPT, True),
        (grpc.StatusCode.UNAVAILABLE, ((DETAILS_KEY, b"overloaded"),), False),
        (grpc.StatusCode.INTERNAL, (), True),
        (grpc.StatusCode.DEADLINE_EXCEEDED, (), False),
        (grpc.StatusCode.UNIMPLEMENTED, (), False),
    ],
)
def test_only_what_has_no_details_is_no_word_of_the_service(
    code: grpc.StatusCode,
    trailing: object,
    silent: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A call that broke is worth another try; a refusal is passed on as it is."""
    assert is_silent(code, trailing) is silent


def test_bug_of_the_service_is_its_own_word() -> None:
    """Its INTERNAL names the id under which it was logged, and is passed on."""
    status = crash_status("1234")

    assert not is_silent(status.code, status.trailing_metadata)
