"""When certificates run out, as read from their bytes."""

import datetime as dt

import pytest
from cryptography import x509
from hypothesis import example, given
from hypothesis import strategies as st

from placement.api.certificate_times import expiry_seconds
from tests.certificates import HOUR_S, Authority

AUTHORITY = Authority()
YEAR_S = 365.25 * 24 * HOUR_S


def told(pem: bytes) -> int:
    """Return what an independent reader says."""
    found = x509.load_pem_x509_certificate(pem).not_valid_after_utc
    return int((found - dt.datetime.fromtimestamp(0, dt.UTC)).total_seconds())


@pytest.mark.parametrize("years", [0, 1, 20, 23, 24, 100, 900])
def test_end_is_what_another_reader_says(years: int) -> None:
    """In both ways to write a time: two digits of the year, and from 2050 on four."""
    pem = AUTHORITY.issue(valid_s=HOUR_S + years * YEAR_S).certificate

    assert expiry_seconds(pem) == told(pem)


def test_first_end_of_a_chain_counts() -> None:
    """Whatever else is in the file, keys and words too."""
    late, soon = AUTHORITY.issue(valid_s=9 * HOUR_S), AUTHORITY.issue()
    chain = late.key + late.certificate + b"# between\n" + soon.certificate

    assert expiry_seconds(chain) == told(soon.certificate)


@given(st.binary(max_size=200))
@example(b"//AAAAAA")
def test_what_is_no_certificate_has_no_end(garbage: bytes) -> None:
    """Nor has what only looks like one."""
    assert expiry_seconds(garbage) is None
    begin, end = b"-----BEGIN CERTIFICATE-----\n", b"\n-----END CERTIFICATE-----\n"
    assert expiry_seconds(begin + garbage + end) is None


@given(st.integers(0, 600), st.integers(0, 255))
def test_damaged_certificate_raises_nothing(position: int, value: int) -> None:
    """Its end is one or is none; nobody falls over it."""
    lines = AUTHORITY.certificate.splitlines()
    body = bytearray(b"".join(lines[1:-1]))
    body[position % len(body)] = value

    expiry_seconds(b"\n".join([lines[0], bytes(body), lines[-1]]))
