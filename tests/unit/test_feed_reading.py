"""What every feed reads: times, clients, the request log, captured documents."""

import json
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.agent.feeds.captured import envelopes_in, records_in
from placement.agent.feeds.clients import client_kind, client_region
from placement.agent.feeds.request_log import RequestRecord, parse_request_log
from placement.agent.feeds.times import parse_go_duration_ns, parse_timestamp_ns
from placement.agent.feeds.translation import FeedSettings
from placement.core.errors import InputError, TimeInvalidError
from placement.core.event import ClientKind, DurationNs, Name
from placement.core.topology import Region

IAD, SYD = Region("iad"), Region("syd")
FEED = FeedSettings(
    region=IAD,
    publisher=Name("agent/iad"),
    replicator_user_agents=("go-http-client/",),
    client_regions={
        ip_network("10.0.0.0/8"): IAD,
        ip_network("10.60.2.0/24"): SYD,
        ip_network("2001:db8::/32"): SYD,
    },
)
LINE = {
    "msg": "response completed",
    "http.request.id": "r-1",
    "http.request.method": "GET",
    "http.response.status": 206,
    "http.response.written": 300,
    "http.response.duration": "1.51s",
}
RECORD = RequestRecord("r-1", "GET", 206, 300, DurationNs(1_510_000_000))


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("2026-11-23T15:42:17.273242507Z", 1_795_448_537_273_242_507),
        ("2026-11-23T17:42:17.273242507+02:00", 1_795_448_537_273_242_507),
        ("2026-11-23T10:12:17.5-05:30", 1_795_448_537_500_000_000),
        ("2026-11-23t15:42:17.0000000019z", 1_795_448_537_000_000_001),
        ("2116-02-20T23:53:38.427387904Z", 2**62),
    ],
)
def test_timestamp_is_exact_to_the_nanosecond(text: str, time_ns: int) -> None:
    """Any offset and any number of digits; a float would lose the last three."""
    assert parse_timestamp_ns(text, "timestamp") == time_ns


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T15:42:17",
        "2026-13-23T15:42:17Z",
        "2026-11-23T25:42:17Z",
        "2026-11-23 15:42:17Z",
        "2026-11-23T15:42:17Z\n",
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "2116-02-20T23:53:38.427387905Z",
        "٢٠٢٦-11-23T15:42:17Z",
    ],
)
def test_what_is_no_moment_that_can_be_kept_names_its_field(text: str) -> None:
    """Without an offset it is not known when it was; the log ends in 2116."""
    with pytest.raises(TimeInvalidError, match="timestamp"):
        parse_timestamp_ns(text, "timestamp")


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("1.51s", 1_510_000_000),
        ("511.2ms", 511_200_000),
        ("1m2.3s", 62_300_000_000),
        ("98.7µs", 98_700),
        ("98.7μs", 98_700),
        ("12us", 12_000),
        ("7ns", 7),
        ("2h0m0.000000001s", 7_200_000_000_001),
        ("0s", 0),
        ("0", 0),
        ("-1s", None),
        ("1.5", None),
        ("", None),
        ("1s ", None),
        ("8784h0m0s", 366 * 86_400 * 10**9),
        ("8784h0m1s", None),
        (f"{'1s' * 21}", None),
    ],
)
def test_go_duration_is_exact(text: str, duration_ns: int | None) -> None:
    """As Go prints durations; what is none, or overflows, is not known."""
    assert parse_go_duration_ns(text) == duration_ns


@given(st.text(max_size=50))
def test_any_text_is_a_duration_or_none(text: str) -> None:
    """Never an exception, never a negative duration."""
    duration_ns = parse_go_duration_ns(text)

    assert duration_ns is None or duration_ns >= 0


def test_request_log_line_is_read_exactly() -> None:
    """A completed request, with or without an error."""
    failed = LINE | {"msg": "response completed with error", "err.code": "unknown"}

    assert parse_request_log(json.dumps(LINE)) == RECORD
    assert parse_request_log(json.dumps(failed)) == RECORD


@pytest.mark.parametrize(
    "line",
    [
        "",
        "listening on [::]:5000",
        'msg="response completed" http.request.id=r-1',
        json.dumps(LINE | {"msg": "authorizing request: response completed"}),
        json.dumps(LINE | {"http.request.id": ""}),
        json.dumps(LINE | {"http.response.status": "200"}),
        json.dumps(LINE | {"padding": "x" * 65_536}),
        '["response completed"]',
        '{"msg": "response completed"' + "[" * 60_000,
    ],
)
def test_any_other_line_of_the_log_is_nobody_s_fault(line: str) -> None:
    """A log holds what it likes."""
    assert parse_request_log(line) is None


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        ("Trivy/0.50", ClientKind.SCANNER),
        ("buildkit/v0.12", ClientKind.BUILDER),
        ("containers/5.23.1 (github.com/containers/image)", ClientKind.RUNTIME),
        ("Go-http-client/1.1", ClientKind.REPLICATOR),
        ("curl/7.88.1", ClientKind.UNSPECIFIED),
        ("", ClientKind.UNSPECIFIED),
    ],
)
def test_user_agent_says_what_kind_of_client_it_is(
    agent: str, kind: ClientKind
) -> None:
    """Scanners and others' replicators are told apart: they are no demand."""
    assert client_kind(agent, FEED) is kind


@pytest.mark.parametrize(
    ("address", "region", "trusts_forwarded"),
    [
        ("10.60.2.1:1234", SYD, False),
        ("10.60.1.1:1234", IAD, False),
        ("[2001:db8::1]:99", SYD, False),
        ("[::ffff:10.60.2.1]:99", SYD, False),
        ("10.60.2.1", None, False),
        ("2001:db8::1", None, False),
        ("10.60.2.1", SYD, True),
        ("2001:db8::1", SYD, True),
        ("203.0.113.7", None, True),
        ("client.example:80", None, True),
        ("", None, True),
    ],
)
def test_client_region_needs_a_configured_network_and_an_address_nobody_forged(
    address: str, region: Region | None, *, trusts_forwarded: bool
) -> None:
    """An address without a port came from a header that any client can send."""
    feed = replace(FEED, trusts_forwarded=trusts_forwarded)

    assert client_region(address, feed) == region


def test_envelopes_are_found_in_bodies_captures_and_lines() -> None:
    """The region that they claim is a hint for who publishes them."""
    body = {"events": [{"id": "n-1"}]}
    captured = {"headers": {"x-placement-region": "syd"}, "body": body}
    line = {"event": {"id": "n-1"}, "region_header": "syd"}

    assert envelopes_in(body) == [(None, body)]
    assert envelopes_in({"envelopes": [captured, {"body": body}]}) == [
        (SYD, body),
        (None, body),
    ]
    assert envelopes_in(line) == [(SYD, body)]
    assert envelopes_in({"event": {"id": "n-1"}}) == [(None, body)]


@pytest.mark.parametrize("document", [None, [], "x", {}, {"event": 1}, {"machine": {}}])
def test_other_documents_hold_no_envelopes(document: object) -> None:
    """So who reads lines of several kinds can ask."""
    assert envelopes_in(document) == []
    assert records_in(document) == {}


def test_broken_capture_names_its_field() -> None:
    """A capture is a file of ours: it is right or it is refused."""
    with pytest.raises(InputError, match=r"envelopes\[0\]"):
        envelopes_in({"envelopes": ["x"]})


def test_request_log_of_a_capture_is_keyed_by_request() -> None:
    """A captured file has a list, a captured line has one record or null."""
    expected = {"r-1": RECORD}

    assert records_in({"request_log": [LINE, {"msg": "other"}, 7]}) == expected
    assert records_in({"request_log": LINE}) == expected
    assert records_in({"request_log": None}) == {}
