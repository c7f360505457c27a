"""Links lead to what the keys say, however the rows came to be."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from placement.core.chunks import load, take_dirty
from placement.core.event import RecordedMessage
from placement.core.oci import Repository
from placement.core.state import State
from placement.core.tables.cells import BEYOND_BIT, PlacementLink
from placement.core.tables.keys import pair_keys
from placement.core.topology import Region
from tests.builders import WEB, A, digest, evicted, fold_in, folded_log, pushed
from tests.links import linked, looked_up
from tests.older_chunks import of_first_layout
from tests.strategies import examples, logs

FEW = st.integers(0, 4)
PAIRS = st.lists(st.tuples(FEW, FEW), max_size=25, unique=True)


@examples(100)
@given(logs(most=20))
def test_links_lead_to_what_the_keys_say(log: list[RecordedMessage]) -> None:
    """Folded, saved and loaded, or loaded from rows that had none."""
    folded, saved, older = folded_log(log), State(), State()

    load(saved, take_dirty(folded))
    load(older, of_first_layout(folded))

    expected = looked_up(folded)
    assert linked(folded) == linked(saved) == linked(older) == expected


@examples(100)
@given(st.lists(PAIRS, max_size=4))
def test_links_of_many_are_those_of_each_one(
    batches: list[list[tuple[int, int]]],
) -> None:
    """Placements and uses that are added at once are found in the same order."""
    state = State()
    for number in range(5):
        state.repository_row(Repository(f"a/{number}"))
        state.digest_row(digest(f"{number}"))
    for batch in batches:
        pairs = np.array(batch, np.int64).reshape(-1, 2)
        rows, new = state.placements.find_or_add_many(pair_keys(*pairs.T))
        state.indexes.add_placements(rows[new], *pairs[new].T)
        placements = rows % 3 if len(state.placements) > 2 else rows[:0]
        keys = pair_keys(placements, pairs[: len(placements), 1])
        rows, new = state.uses.find_or_add_many(keys)
        state.indexes.add_uses(rows[new], placements[new])

    assert linked(state) == looked_up(state)


def test_regions_beyond_the_bits_share_one() -> None:
    """It is set as long as any one of them holds the content whole."""
    regions = [Region(f"r{number:02}") for number in range(65)]
    state = fold_in(State(), *(pushed("a", region) for region in regions))
    placement = state.find_placement(WEB, A)
    bits = [state.placements.get(placement, PlacementLink.PRESENT)]

    for region in (regions[3], *regions[62:]):
        fold_in(state, evicted("a", region))
        bits.append(state.placements.get(placement, PlacementLink.PRESENT))

    every = BEYOND_BIT - 1
    assert bits[0] == every | BEYOND_BIT
    assert bits[1:4] == [(every ^ 1 << 3) | BEYOND_BIT] * 3
    assert bits[4] == every ^ 1 << 3
    assert linked(state) == looked_up(state)
