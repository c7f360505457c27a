"""What waits to be copied: taken up by rank, then arrival, each content once."""

from hypothesis import given
from hypothesis import strategies as st

from placement.agent.replicator.flights import AGAIN_MAX_S, wait_seconds
from placement.agent.replicator.waiting import FIRST, Key, Waiting
from placement.core.oci import Digest, Repository


def key(name: str) -> Key:
    """Return the key of a content called *name*."""
    return Repository("acme/web"), Digest(name)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 4)),
        min_size=1,
        max_size=40,
    )
)
def test_best_rank_first_then_first_come(asked: list[tuple[str, int]]) -> None:
    """Each content is handed out once, with all who want it, in a total order."""
    waiting: Waiting[int] = Waiting()
    best: dict[str, tuple[int, int]] = {}
    for position, (name, rank) in enumerate(asked):
        waiting.add(key(name), rank, position)
        known = best.get(name, (rank, position))
        best[name] = (min(rank, known[0]), known[1])

    taken = []
    while (found := waiting.take()) is not None:
        taken.append(found)

    expected = sorted(best, key=lambda name: best[name])
    assert [one[0][1] for one in taken] == expected
    assert [one[1] for one in taken] == [best[name][0] for name in expected]
    assert sorted(item for one in taken for item in one[2]) == list(range(len(asked)))
    assert len(waiting) == 0


def test_content_that_is_on_its_way_is_not_taken_up_again() -> None:
    """One flight a content: what arrives for it meanwhile waits for its end."""
    waiting: Waiting[str] = Waiting()
    waiting.add(key("a"), 2, "first")
    waiting.take()
    waiting.add(key("a"), FIRST, "second")
    waiting.add(key("b"), 3, "other")

    assert waiting.take() == (key("b"), 3, ["other"])
    assert waiting.take() is None

    waiting.finished(key("a"))
    assert waiting.take() == (key("a"), FIRST, ["second"])


def test_only_who_is_waited_for_is_taken_beside_the_others() -> None:
    """With all places taken, only the first rank is handed out."""
    waiting: Waiting[str] = Waiting()
    waiting.add(key("a"), 1, "decided")

    assert waiting.take(FIRST) is None
    waiting.add(key("b"), FIRST, "pull")
    assert waiting.take(FIRST) == (key("b"), FIRST, ["pull"])
    assert waiting.take(FIRST) is None
    assert waiting.take() == (key("a"), 1, ["decided"])


def test_who_gives_up_leaves_the_queue() -> None:
    """Content that nobody wants any more is not copied."""
    waiting: Waiting[str] = Waiting()
    waiting.add(key("a"), 1, "one")
    waiting.add(key("a"), 1, "two")

    waiting.remove(key("a"), "one")
    waiting.remove(key("a"), "two")

    assert waiting.take() is None


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_waits_grow_up_to_a_limit(attempt: int, chance: float) -> None:
    """An attempt waits at least half of a time that doubles, and never too long."""
    waited = wait_seconds(attempt, chance)

    assert 1 <= waited <= AGAIN_MAX_S
    assert waited >= wait_seconds(attempt, 0.0)
    assert wait_seconds(attempt + 1, 1.0) >= wait_seconds(attempt, 1.0)
