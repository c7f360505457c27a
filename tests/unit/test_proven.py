"""What was found right lately, and for whom that is good enough."""

from placement.agent.proven import AGAIN_SECONDS, KEPT, PROVEN_SECONDS, Proven
from placement.core.oci import Digest
from tests.builders import A, B

HERE, THERE = "10.0.0.1", "10.0.0.2"


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        """Begin at some moment."""
        self.now_s = 1_000.0

    def __call__(self) -> float:
        """Return the moment."""
        return self.now_s


def test_only_what_was_verified_is_spared_and_only_for_a_while() -> None:
    """Ten minutes, and no other content."""
    clock = Clock()
    proven = Proven(clock)
    proven.note(A)

    assert not proven.spares(B, HERE)
    clock.now_s += PROVEN_SECONDS - 1
    assert proven.spares(A, HERE)
    clock.now_s += 1
    assert not proven.spares(A, THERE)


def test_client_that_comes_again_is_not_spared_once() -> None:
    """It may have found it damaged; others, and it itself much later, are."""
    clock = Clock()
    proven = Proven(clock)
    proven.note(A)

    assert proven.spares(A, HERE)
    assert not proven.spares(A, HERE)
    assert proven.spares(A, THERE)
    assert proven.spares(A, HERE)
    clock.now_s += AGAIN_SECONDS
    assert proven.spares(A, HERE)


def test_what_is_damaged_is_proven_no_more() -> None:
    """Whatever was found before."""
    proven = Proven(Clock())
    proven.note(A)
    proven.forget(A)

    assert not proven.spares(A, HERE)


def test_memory_is_bounded_and_keeps_the_latest() -> None:
    """Whoever asks for a great many things makes nothing grow."""
    proven = Proven(Clock())
    digests = [Digest(f"sha256:{number:064x}") for number in range(KEPT + 1)]
    for digest in digests:
        proven.note(digest)

    assert not proven.spares(digests[0], HERE)
    assert proven.spares(digests[-1], HERE)
