"""Places among near-equals: one at a time or many, they are the same, and even."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from placement.core.near_equals import place_of, places_of, seed_of, word_of
from tests.builders import AMS, FRA, LHR, digest

WORDS = st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1))
def test_many_places_are_those_of_each(pairs: list[tuple[int, int]]) -> None:
    """Whether columns or single numbers are mixed."""
    seeds, words = (np.array(column, np.uint64) for column in zip(*pairs, strict=True))

    found = places_of(seeds, words)

    assert found.tolist() == [place_of(seed, word) for seed, word in pairs]


def test_each_source_is_first_for_as_many_contents_as_any_other() -> None:
    """Of three near-equals none has more than its share."""
    first = {AMS: 0, FRA: 0, LHR: 0}

    for number in range(3_000):
        word = word_of(digest(f"layer-{number}"))
        places = {place_of(seed_of(FRA, region), word): region for region in first}
        first[places[min(places)]] += 1

    assert all(900 < count < 1_100 for count in first.values())
