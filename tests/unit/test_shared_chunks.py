"""Chunks of a snapshot that are packed once for all who read the same one."""

import pytest

from placement.core.packed import Packed, PackedContents, PackedPlacements, size_of
from placement.core.packing import selection
from placement.core.packing.selection import PackedInterest, SharedChunks
from placement.core.state import State
from placement.core.watched import Interest
from tests.builders import IAD, descriptor, folded, pushed

NOW_NS = 0
IMAGES = 40
ROOM_BYTES = 4_000


def known() -> State:
    """Return a state with some images, each of which refers to a layer."""
    return folded(
        *(
            pushed(f"image-{n}", IAD, references=[descriptor(f"layer-{n}", 1_000)])
            for n in range(IMAGES)
        )
    )


def snapshot(state: State, shared: SharedChunks) -> list[Packed]:
    """Return what one watcher of everything is told."""
    scene = PackedInterest(Interest(tags=True), shared).select(state)
    scene.begin()
    return [chunk for part in scene.parts() if (chunk := part(NOW_NS)) is not None]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "BLOCK_ROWS", 8)
    monkeypatch.setattr(selection, "CONTENT_ROWS", 4)


def test_second_watcher_is_told_the_very_same_chunks() -> None:
    """Placements in whole blocks, and what contents refer to; not what may yet grow."""
    state, shared = known(), SharedChunks()

    first, second = snapshot(state, shared), snapshot(state, shared)

    for kind in (PackedPlacements, PackedContents):
        ours = [chunk for chunk in first if isinstance(chunk, kind)]
        theirs = [chunk for chunk in second if isinstance(chunk, kind)]
        assert len(ours) > 2
        assert all(a is b for a, b in zip(ours[:-1], theirs[:-1], strict=True))
    assert shared.size_bytes == sum(map(size_of, shared.chunks.values())) > 0


def test_no_more_is_kept_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The oldest go first; what a watcher is told is the same."""
    monkeypatch.setattr(selection, "SHARED_BYTES_MAX", ROOM_BYTES)
    state, shared = known(), SharedChunks()

    told = snapshot(state, shared)

    assert 0 < shared.size_bytes <= ROOM_BYTES
    assert shared.size_bytes == sum(map(size_of, shared.chunks.values()))
    kept = list(shared.chunks.values())
    assert len(kept) < len(told)
    assert sum(map(size_of, told)) > ROOM_BYTES
    assert any(chunk is kept[-1] for chunk in told)
    assert not any(chunk is told[0] for chunk in kept)


def test_chunk_larger_than_the_room_is_told_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is nothing to go on with then, and nothing breaks."""
    monkeypatch.setattr(selection, "SHARED_BYTES_MAX", 1)
    state, shared = known(), SharedChunks()

    assert snapshot(state, shared)
    assert (shared.size_bytes, shared.chunks) == (0, {})


def test_chunks_of_another_state_are_not_told() -> None:
    """A state that was folded anew begins anew."""
    shared = SharedChunks()
    before = snapshot(known(), shared)

    after = snapshot(known(), shared)

    assert not {id(chunk) for chunk in before} & {id(chunk) for chunk in after}
