"""What keeps a local replica up to date: one packed watch, however often it breaks.

Items are taken in when their bookmark has come: a snapshot is built beside and swapped
in whole, changes are held and applied at once. So whoever reads in between never sees
half of either.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from placement.core.errors import TokenInvalidError
from placement.core.mirror.mirror import Mirror
from placement.core.packed import Packed
from placement.runtime.tokens import make_token
from placement.runtime.view import ServingState
from placement.runtime.watcher import TRUSTED, parse_watch_token
from placement.v1 import basis_pb2 as basis_pb
from placement.v1 import placement_service_pb2 as pb
from placement.wire.packed_reading import decode_packed

SILENT_NS: Final = 15_000_000_000
"""A bookmark comes every ten seconds; after so long without a word it is STALE."""
ROOM_SPARE: Final = 1.1
"""Room for what is added while a snapshot is read, and after it."""

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class LocalBasis:
    """What a local answer rests on; times in nanoseconds."""

    epoch: str
    sequence: int
    store_time_ns: int
    state: ServingState
    """STALE while the service is out of reach; REBUILDING before the first snapshot."""
    staleness_ns: int
    """For how long the replica may lack what was stored in the log."""
    answer_time_ns: int
    token: str = ""
    """Stands for what is known, wherever a token is asked for."""

    @property
    def live(self) -> bool:
        """Whether it is up to date, as far as anybody knows."""
        return self.state in TRUSTED


class Feed:
    """What one watch told, taken in as it becomes certain."""

    def __init__(self, clock: Clock, new_seed: Callable[[], int]) -> None:
        """Know nothing; *clock* in nanoseconds since 1970."""
        self.mirror: Mirror | None = None
        """What is known for certain; another one after each snapshot."""
        self.resume_token = ""
        """Where the watch goes on; empty: with a snapshot."""
        self.snapshot_count = 0
        """How many snapshots took the place of what was known."""
        self._clock = clock
        self._new_seed = new_seed
        self._connected = False
        self._building: Mirror | None = None
        """A snapshot that is not whole yet."""
        self._held: list[Packed] = []
        """Changes whose bookmark has not come yet."""
        self._epoch = ""
        self._served = ServingState.REBUILDING
        self._served_staleness_ns = 0
        self._heard_ns = self._current_ns = clock()
        """When anything was heard, and what is known to have been all there is."""
        self._sequence = self._store_time_ns = 0
        self._token = ""

    def basis(self) -> LocalBasis:
        """Return what an answer given now rests on."""
        now_ns = self._clock()
        return LocalBasis(
            self._epoch,
            self._sequence,
            self._store_time_ns,
            self._state(now_ns),
            max(0, now_ns - self._current_ns),
            now_ns,
            self._token,
        )

    def _state(self, now_ns: int) -> ServingState:
        if self.mirror is None:
            return ServingState.REBUILDING
        silent = now_ns - self._heard_ns > SILENT_NS
        broken = self._served is ServingState.EPOCH_BROKEN
        if (silent or not self._connected) and not broken:
            return ServingState.STALE
        return self._served

    def hear(self, item: pb.WatchItem) -> bool:
        """Take in one item; say whether it made anything certain.

        Raises ValueError for an item that no service of ours would send.
        """
        self._connected, self._heard_ns = True, self._clock()
        packed = decode_packed(item)
        if packed is not None:
            if self._building is not None:
                self._building.apply(packed)
            else:
                self._held.append(packed)
            return False
        match item.WhichOneof("item"):
            case "status":
                self._hear_status(item.status)
                return True
            case "snapshot_began":
                room = item.snapshot_began.max_placement_count
                self._building = Mirror(self._new_seed(), int(room * ROOM_SPARE))
                self._held.clear()
                self.resume_token = ""
            case "bookmark":
                self._reach(item.bookmark)
                return True
            case _:  # the end of a snapshot, or what only a newer service tells
                pass
        return False

    def _hear_status(self, status: basis_pb.Basis) -> None:
        self._epoch = status.epoch
        self._served = ServingState(status.state)
        self._served_staleness_ns = status.staleness.ToNanoseconds()
        self._current_ns = self._heard_ns - self._served_staleness_ns

    def _reach(self, bookmark: pb.WatchBookmark) -> None:
        """Let what was told up to here be what is known."""
        if self._building is not None:
            self.mirror, self._building = self._building, None
            self.snapshot_count += 1
        elif self.mirror is not None:
            for packed in self._held:
                self.mirror.apply(packed)
            self._held.clear()
        self.resume_token = bookmark.resume_token
        self._token = _token(self._epoch, bookmark)
        self._sequence = bookmark.sequence
        self._store_time_ns = bookmark.store_time.ToNanoseconds()
        if self._served in TRUSTED:
            self._current_ns = self._heard_ns - self._served_staleness_ns

    def lose(self) -> None:
        """Forget what was not certain when the connection was lost."""
        self._connected = False
        self._building = None
        self._held.clear()


def _token(epoch: str, bookmark: pb.WatchBookmark) -> str:
    """Return what stands for what a bookmark reached."""
    try:
        told = parse_watch_token(bookmark.resume_token)
    except TokenInvalidError:  # nobody can go on from it
        return make_token(epoch, bookmark.sequence)
    return make_token(told.epoch, told.sequence, told.mark)
