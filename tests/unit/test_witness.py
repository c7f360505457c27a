"""Who errs when states differ, and what strangers may say to those who compare."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from placement.core.errors import InputError
from placement.core.event import Event
from placement.ports import Message
from placement.runtime.points import cut_at_points
from placement.runtime.witness import (
    EARLY_KEPT,
    POINTS_KEPT,
    SERVICES_KEPT,
    Divergence,
    Verdict,
    Witness,
)
from placement.wire.fingerprints import Report, decode_report, encode_report
from tests.builders import IAD, START_NS, folded, pushed

SECOND_NS = 1_000_000_000
EVENTS: Sequence[Event] = (pushed("a", IAD),)


class Heard:
    """Peers who only listen."""

    def __init__(self) -> None:
        """Have heard nothing."""
        self.bodies: list[bytes] = []

    async def tell(self, body: bytes) -> None:
        """Keep *body*."""
        self.bodies.append(body)

    async def listen(self, received: Callable[[bytes], Awaitable[None]]) -> None:
        """Say nothing, for ever."""
        del received
        await asyncio.Event().wait()


async def looked(peers: Heard) -> tuple[Witness, Report]:
    """Return who looked at a state, and what was told of it."""
    state = folded(*EVENTS)
    witness = Witness("us", peers, lambda: state.store_time_ns, 1.0)
    await witness.look(state, 1)
    return witness, await told(witness, peers)


async def told(witness: Witness, peers: Heard) -> Report:
    """Return what *witness* tells *peers* first."""
    running = asyncio.create_task(witness.run())
    while not peers.bodies:  # noqa: ASYNC110 - peers tell nobody what they heard
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return decode_report(peers.bodies[0])


def said(report: Report, service: str, fingerprint: str = "other") -> bytes:
    """Return what another service says of the same message."""
    return encode_report(
        Report(
            *(service, report.sequence, report.message_hash, report.fold_version),
            fingerprint,
        )
    )


@pytest.mark.parametrize(
    ("others", "verdict"),
    [
        ({"a": "other"}, Verdict.UNDECIDED),
        ({"a": "other", "b": "other"}, Verdict.THIS_SERVICE),
        ({"a": "other", "b": ""}, Verdict.OTHER_SERVICE),
        ({"a": "other", "b": "another"}, Verdict.UNDECIDED),
        ({"a": "other", "b": "other", "c": ""}, Verdict.UNDECIDED),
        ({"a": "", "b": ""}, None),
    ],
)
async def test_majority_says_who_errs(
    others: dict[str, str], verdict: Verdict | None
) -> None:
    """Of whoever reports; an empty fingerprint stands for ours."""
    witness, ours = await looked(Heard())

    for service, fingerprint in others.items():
        await witness.heard(said(ours, service, fingerprint or ours.fingerprint))

    found = witness.divergence
    assert (found.verdict if found else None) == verdict
    if found:
        assert found == Divergence(
            ours.sequence, ours.fingerprint, "a", "other", found.verdict
        )
    assert witness.counts["compared"] == len(others)


async def test_other_log_or_version_is_not_compared() -> None:
    """Another message there, or other rules: nothing follows from a difference."""
    witness, ours = await looked(Heard())

    for sequence, message_hash, version in (
        (ours.sequence + 1, ours.message_hash, ours.fold_version),
        (ours.sequence, "00", ours.fold_version),
        (ours.sequence, ours.message_hash, ours.fold_version + 1),
    ):
        other = Report("a", sequence, message_hash, version, "other")
        await witness.heard(encode_report(other))

    assert witness.divergence is None
    assert witness.counts["compared"] == 0


async def test_strangers_fill_no_memory() -> None:
    """However much is said of however many messages, under however many names."""
    witness, ours = await looked(Heard())

    for number in range(10 * POINTS_KEPT):
        for name in ("a", f"s{number}"):
            body = Report(name, 100 + number, "00", 1, "other")
            await witness.heard(encode_report(body))
        await witness.heard(said(ours, f"s{number}", ours.fingerprint))

    kept = witness._early  # noqa: SLF001 - it shows them to nobody
    assert len(kept) <= SERVICES_KEPT - 1 + EARLY_KEPT
    assert len(witness._points) == 1  # noqa: SLF001 - as above
    assert witness.divergence is None


async def test_what_strangers_make_up_hides_no_difference() -> None:
    """Points that nobody came to, under one name and many, before and after."""
    witness, ours = await looked(Heard())
    for number in range(10 * POINTS_KEPT):
        for name in ("ghost", f"ghost {number}"):
            body = Report(name, 1_000 + number, "00", 1, "made up")
            await witness.heard(encode_report(body))

    await witness.heard(said(ours, "a"))
    await witness.heard(said(ours, "b"))

    assert witness.divergence is not None
    assert witness.divergence.verdict is Verdict.THIS_SERVICE


async def test_what_a_service_said_early_outlasts_what_strangers_make_up() -> None:
    """It was compared with once, so its words stay until it is time to compare."""
    peers = Heard()
    state = folded(*EVENTS)
    witness = Witness("us", peers, lambda: state.store_time_ns, 1.0)
    await witness.look(state, 1)
    first = await told(witness, peers)
    await witness.heard(said(first, "a", first.fingerprint))
    later = folded(*EVENTS, pushed("b", IAD))
    scout = Heard()
    next_one = Witness("scout", scout, lambda: later.store_time_ns, 1.0)
    await next_one.look(later, 1)
    second = await told(next_one, scout)

    await witness.heard(said(second, "a"))
    for number in range(10 * POINTS_KEPT):
        for name in ("ghost", f"ghost {number}"):
            body = Report(name, 1_000 + number, "00", 1, "made up")
            await witness.heard(encode_report(body))
    await witness.look(later, 1)

    assert witness.divergence is not None
    assert witness.divergence.other_service == "a"
    assert witness.divergence.sequence == later.sequence


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[]", b"[" * 10_000, b"\xff", b"null", b"1", b" " * 3_000),
        b'{"service":"a","sequence":true,"message_hash":"0","fold_version":1,"fingerprint":"f"}',
        b'{"service":"","sequence":1,"message_hash":"0","fold_version":1,"fingerprint":"f"}',
        b'{"service":"a","sequence":-1,"message_hash":"0","fold_version":1,"fingerprint":"f"}',
        b'{"service":"a","sequence":1e400,"message_hash":"0","fold_version":1,"fingerprint":"f"}',
    ],
)
def test_anything_else_is_no_report(body: bytes) -> None:
    """Whoever may publish there can say anything."""
    with pytest.raises(InputError):
        decode_report(body)


def test_points_depend_on_the_log_alone() -> None:
    """However a log is read, replicas stop after the same messages."""
    times = [START_NS + n * SECOND_NS // 3 for n in (0, 1, 2, 3, 4, 9, 9, 8, 10, 12)]
    log = [Message(n, time, "s", b"") for n, time in enumerate(times, start=1)]

    def points(size: int) -> list[tuple[int, int]]:
        found, before = [], 0
        for first in range(0, len(log), size):
            batch = log[first : first + size]
            for ended, piece in cut_at_points(batch, before, SECOND_NS):
                if ended:
                    found.append((ended, piece[0].sequence - 1))
                before = piece[-1].store_time_ns
        return found

    assert len(points(1)) >= 4
    assert points(1) == points(3) == points(7) == points(len(log))
    assert list(cut_at_points(log, 0, 0)) == [(0, log)]
