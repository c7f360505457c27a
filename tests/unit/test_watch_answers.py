"""What a watcher is told, as it travels, and what a client makes of it."""

import pytest

from placement.client.watching import CHANGES, Progress
from placement.core.oci import Repository
from placement.core.tables.cells import ReplicaPhase
from placement.core.watched import Bookmark, WatchedPlacement, WatchedReplica
from placement.v1 import placement_service_pb2 as pb
from placement.wire import watch_answers
from placement.wire.watch_answers import encode_told
from tests.builders import AMS, WEB, A, digest


def placement(name: str, repository: Repository = WEB) -> WatchedPlacement:
    """Return a placement in one region."""
    replica = WatchedReplica(AMS, ReplicaPhase.COMPLETE, 7)
    return WatchedPlacement(repository, digest(name), 7, (replica,))


def test_items_come_in_order_in_responses_of_a_bounded_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three fit into one response here, and the rest comes in another."""
    items = [placement(name) for name in "abcde"]
    (whole,) = encode_told(items[:3])
    monkeypatch.setattr(
        watch_answers, "WATCH_RESPONSE_BYTES_MAX", whole.ByteSize() + 20
    )

    responses = list(encode_told(items))

    assert [len(response.items) for response in responses] == [3, 2]
    told = [item.placement.digest for response in responses for item in response.items]
    assert told == [item.digest for item in items]


def test_item_larger_than_a_response_comes_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is dropped for its size."""
    monkeypatch.setattr(watch_answers, "WATCH_RESPONSE_BYTES_MAX", 1)

    responses = list(encode_told([placement("a"), placement("b")]))

    assert [len(response.items) for response in responses] == [1, 1]


def test_nothing_to_tell_is_no_response() -> None:
    """An empty response would say nothing."""
    assert list(encode_told([])) == []


# The client's side.


def change(name: str) -> pb.WatchItem:
    """Return a placement as it is received."""
    (response,) = encode_told([placement(name)])
    return response.items[0]


def bookmark(sequence: int) -> pb.WatchItem:
    """Return a bookmark as it is received."""
    (response,) = encode_told([Bookmark(f"t{sequence}", sequence, 1)])
    return response.items[0]


BEGAN = pb.WatchItem(snapshot_began=pb.SnapshotBegan())
ENDED = pb.WatchItem(snapshot_ended=pb.SnapshotEnded())


def test_changes_are_handed_on_with_their_bookmark() -> None:
    """Until then the connection may break, and they would come again."""
    progress = Progress("t1", CHANGES)

    early = list(progress.handed_on([change("a")]))
    round_ = list(progress.handed_on([change("b"), bookmark(2), change("c")]))

    assert early == []
    assert round_ == [change("a"), change("b"), bookmark(2)]
    assert progress.resume_token == bookmark(2).bookmark.resume_token


def test_changes_of_a_broken_connection_are_forgotten() -> None:
    """The next one brings them again, or what became of them."""
    progress = Progress("t1", CHANGES)
    list(progress.handed_on([change("a")]))

    progress.broken()

    assert list(progress.handed_on([bookmark(2)])) == [bookmark(2)]


def test_snapshot_is_handed_on_as_it_comes_and_voids_the_token() -> None:
    """Whoever breaks off inside of it knows nothing."""
    progress = Progress("t1", CHANGES)

    found = list(progress.handed_on([change("z"), BEGAN, change("a"), ENDED]))

    assert found == [BEGAN, change("a"), ENDED]
    assert progress.resume_token == ""
    assert list(progress.handed_on([bookmark(3)])) == [bookmark(3)]
    assert progress.resume_token == bookmark(3).bookmark.resume_token


def test_item_of_a_newer_service_is_left_out() -> None:
    """An item that says nothing to this version."""
    progress = Progress("", CHANGES)

    assert list(progress.handed_on([pb.WatchItem()])) == []


def test_status_is_handed_on_at_once() -> None:
    """How far the service may be trusted is no change of the state."""
    progress = Progress("", CHANGES)
    status = pb.WatchItem()
    status.status.epoch = A

    assert list(progress.handed_on([change("a"), status])) == [status]
