"""What was found right lately, and for whom that is good enough."""

import pytest

from placement.agent import proven as module
from placement.agent.proven import AGAIN_SECONDS, KEPT, PROVEN_SECONDS, Proven
from placement.core.oci import Digest
from tests.builders import API, WEB, A, B

HERE, THERE = "10.0.0.1", "10.0.0.2"


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        """Begin at some moment."""
        self.now_s = 1_000.0

    def __call__(self) -> float:
        """Return the moment."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still unless it is moved."""
    return Clock()


@pytest.fixture
def proven(clock: Clock) -> Proven:
    """What was proven: A, in WEB."""
    found = Proven(clock)
    found.read(WEB, A, clock())
    return found


def test_only_what_was_verified_is_spared_and_only_for_a_while(
    clock: Clock, proven: Proven
) -> None:
    """Ten minutes, no other content, and in no other repository."""
    assert not proven.spares(WEB, B, HERE)
    assert not proven.spares(API, A, HERE)
    clock.now_s += PROVEN_SECONDS - 1
    assert proven.spares(WEB, A, HERE)
    clock.now_s += 1
    assert not proven.spares(WEB, A, THERE)


def test_client_that_comes_again_is_spared_once_it_was_proven_again(
    clock: Clock, proven: Proven
) -> None:
    """It may have found it damaged, however often it asks; others have not."""
    assert proven.spares(WEB, A, HERE)
    clock.now_s += 1
    assert not proven.spares(WEB, A, HERE)
    assert not proven.spares(WEB, A, HERE)
    assert proven.spares(WEB, A, THERE)
    clock.now_s += 1
    proven.read(WEB, A, clock())
    assert proven.spares(WEB, A, HERE)
    clock.now_s += AGAIN_SECONDS
    assert proven.spares(WEB, A, HERE)


def test_what_is_damaged_is_proven_by_what_was_read_since_alone(
    clock: Clock, proven: Proven
) -> None:
    """Neither by an upload, which a registry may drop, nor by a read that went on."""
    began_s = clock()
    clock.now_s += 1
    proven.damaged(WEB, A)
    assert not proven.spares(WEB, A, HERE)

    clock.now_s += 1
    proven.read(WEB, A, began_s)
    proven.stored(API, A)
    assert not proven.spares(WEB, A, HERE)
    assert not proven.spares(API, A, HERE)

    proven.read(WEB, A, clock())
    assert proven.spares(WEB, A, HERE)


def test_what_is_damaged_in_one_repository_is_proven_in_none(
    clock: Clock, proven: Proven
) -> None:
    """A registry may keep one file for all of them."""
    proven.read(API, A, clock())
    clock.now_s += 1

    proven.damaged(WEB, A)

    assert not proven.spares(API, A, HERE)


def test_what_was_stored_is_proven_where_nothing_was_damaged(proven: Proven) -> None:
    """As the bytes were verified before they left."""
    proven.stored(API, B)

    assert proven.spares(API, B, HERE)


def test_memory_is_bounded_and_keeps_the_latest(clock: Clock, proven: Proven) -> None:
    """Whoever asks for a great many things makes nothing grow."""
    digests = [Digest(f"sha256:{number:064x}") for number in range(KEPT + 1)]
    for digest in digests:
        proven.read(WEB, digest, clock())

    assert not proven.spares(WEB, digests[0], HERE)
    assert proven.spares(WEB, digests[-1], HERE)


def test_nobody_is_spared_while_too_many_were(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes again would not be known any more."""
    monkeypatch.setattr(module, "GIVEN_KEPT", 2)
    proven = Proven(clock)
    proven.read(WEB, A, clock())

    spared = [proven.spares(WEB, A, f"10.0.0.{number}") for number in range(3)]
    clock.now_s += AGAIN_SECONDS

    assert spared == [True, True, False]
    assert proven.spares(WEB, A, "10.0.0.3")
