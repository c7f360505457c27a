"""One watcher: a snapshot, then what changes, told in slices.

It keeps a position among the state's notes of what changed, and no queue: whoever reads
slowly is told less often, and then how things look by then. A bookmark follows only on
the moment when nothing was left to tell, so that what was told up to it is exactly the
state at its sequence. The rows of a snapshot may be as late as its end; what changes
while it is read is told again before it ends.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic

from placement.core.errors import TokenInvalidError
from placement.core.fold import FOLD_VERSION
from placement.core.watched import (
    Bookmark,
    Item,
    Scene,
    SnapshotBegan,
    SnapshotEnded,
    SnapshotReason,
    Told,
    Watchable,
)
from placement.runtime.tokens import Token, is_sequence, message_mark, split_mark
from placement.runtime.view import Basis, ServingState, View

WatchItem = Told | Basis
"""What a watcher is told. A Basis comes first, and when its state is another one."""
Batch = tuple[WatchItem, ...]
Frame = SnapshotBegan | SnapshotEnded | Bookmark | Basis
"""What every watcher is told, whatever it watches."""
TRUSTED: Final = frozenset({ServingState.LIVE, ServingState.DEGRADED})


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Limits on watches, and how often they tell."""

    watch_count_max: int = 256
    snapshot_count_max: int = 8
    """So many watchers are told a snapshot at once; newcomers come again later."""
    snapshot_still_s: float = 1.0
    """Whoever reads nothing of one for so long holds up no others meanwhile."""
    bookmark_interval_s: float = 9.5
    """A bookmark comes so often, whether or not anything changed.

    With the look that notices it, that is the ten seconds that watchers are promised.
    """
    bookmark_note_count: int = 2**14
    """And after so many changes that were none of the watcher's business."""
    round_interval_s: float = 0.01
    """Rounds of changes are at least so far apart; meanwhile changes merge."""
    look_interval_s: float = 0.25
    """How soon another serving state, or the service's end, is noticed."""
    slice_s: float = 0.0005
    """Reading lets others run after so long; encoding takes half as long again."""
    pause_s: float = 0.001
    """And then for so long, if more is to be read: answers take several turns."""
    crowd_pause_s: float = 0.004
    """Between chunks, while several watchers are told chunks: they share the time.

    One alone needs no pause, since answers take their turns while it is sent.
    """
    batch_item_count: int = 128
    """One batch is sent while the next is made: 256 items wait at the most."""


@dataclass(frozen=True, slots=True)
class WatchToken:
    """What a watcher knows: all of a log up to a sequence, folded in one way."""

    epoch: str
    fold_version: int
    sequence: int
    mark: str = ""
    """Tells the message at *sequence* from any other there; see ``tokens``."""

    def __str__(self) -> str:
        """Return the text that is handed out; opaque to whoever gets it."""
        text = f"w1.{self.epoch}.{self.fold_version}.{self.sequence}"
        return f"{text}.{self.mark}" if self.mark else text

    def void(self) -> "WatchToken":
        """Return a token of no log, with which nobody can go on."""
        return WatchToken("", 0, 0)


def parse_watch_token(text: str, field: str = "resume_token") -> WatchToken:
    """Return what a resume token stands for; raises TokenInvalidError."""
    kind, _, rest = text.partition(".")
    rest, mark = split_mark(rest)
    rest, _, sequence = rest.rpartition(".")
    epoch, _, version = rest.rpartition(".")
    plain = is_sequence(version) and is_sequence(sequence)
    if kind != "w1" or not epoch or not plain:
        remedy = "pass the token of a bookmark, or none to begin with a snapshot"
        raise TokenInvalidError(field, text, remedy)
    return WatchToken(epoch, int(version), int(sequence), mark)


class Watcher(Generic[Item]):
    """How far one watcher was told; every step is made at once."""

    def __init__(
        self,
        view: View,
        interest: Watchable[Item],
        resume: WatchToken | None,
        settings: WatchSettings,
        clock: Callable[[], float],
    ) -> None:
        """Watch *view* from *resume* on, or all of it; *clock* in seconds."""
        self.idle = False
        """Whether nothing is left to tell until the view moves on."""
        self.may_begin = True
        """Whether there is room for another snapshot."""
        self.held_back = False
        """Whether it has to begin a snapshot, for which there was no room."""
        self.position = (0, 0)
        """The view's position at the last step."""
        self._view = view
        self._interest = interest
        self._resume = resume
        self._settings = settings
        self._clock = clock
        self._served: ServingState | None = None
        self._served_s = 0.0
        self._scene: Scene[Item] | None = None
        """None: it was told nothing yet."""
        self._line: tuple[int, str] | None = None
        """The generation and epoch of what it was told, or found when it came."""
        self._parts: Iterator[Callable[[int], Item | None]] | None = None
        """What is left to tell of a snapshot."""
        self._left: deque[Item] = deque()
        """What of the changes before that position is not told yet."""
        self._in_snapshot = False
        self._next = 0
        """The position of the first note that it was not told."""
        self._marked_s = 0.0
        self._marked_at = 0
        self._mark_due = False

    @property
    def begun(self) -> bool:
        """Whether it was told anything of what it watches."""
        return self._scene is not None

    @property
    def in_snapshot(self) -> bool:
        """Whether it is being told a snapshot."""
        return self._in_snapshot

    @property
    def chunked(self) -> bool:
        """Whether it is told chunks, and is not done with them."""
        return not self.idle and self._scene is not None and self._scene.chunked

    def step(self) -> tuple[Item | Frame, ...]:
        """Return what can be told in a slice of time."""
        self.position = self._view.position
        self.idle, self.held_back = True, False
        items: list[Item | Frame] = []
        basis, line = self._view.basis(), (self._view.generation, self._view.epoch)
        moved = self._line not in {None, line}
        held = not self._interest.trusting and basis.state not in TRUSTED
        if moved or basis.state is not self._served or (held and self._status_due()):
            self._served, self._served_s = basis.state, self._clock()
            items.append(basis)
        if held or not self._view.epoch:
            return tuple(items)  # the log was never reached: there is nothing to tell
        if moved:
            self._begin_snapshot(items, SnapshotReason.REPLACED)
        elif self._scene is None:
            self._begin(items)
        elif self._scene.changes.lost(self._next):
            self._begin_snapshot(items, SnapshotReason.COMPACTED)
        if self.held_back:
            return tuple(items)
        self._line = line
        if self._scene is not None:
            self._tell(items, self._scene, basis.answer_time_ns)
        return tuple(items)

    def _status_due(self) -> bool:
        """Say whether it is time to tell again that nothing can be told."""
        return self._clock() >= self._served_s + self._settings.bookmark_interval_s

    def _begin(self, items: list[Item | Frame]) -> None:
        """Go on where the token says, if that can be; otherwise tell all."""
        resume, state = self._resume, self._view.state
        if resume is None:
            self._begin_snapshot(items, SnapshotReason.REQUESTED)
        elif not self._fits(resume):
            self._begin_snapshot(items, SnapshotReason.REPLACED)
        elif resume.sequence <= state.sequence:
            scene = self._interest.select(state)
            found = scene.changes.position_after(resume.sequence, state.sequence)
            if found is None:
                self._begin_snapshot(items, SnapshotReason.COMPACTED)
            else:
                self._follow(scene, found)
        # Else it knows more than we do: it is told nothing until we know as much.

    def _begin_snapshot(
        self, items: list[Item | Frame], reason: SnapshotReason
    ) -> None:
        if not self.may_begin:
            self.held_back = True
            return
        scene = self._interest.select(self._view.state)
        self._follow(scene, scene.begin())
        self._parts = scene.parts()
        self._in_snapshot = True
        items.append(SnapshotBegan(reason, scene.room))

    def _follow(self, scene: Scene[Item], position: int) -> None:
        self._scene = scene
        self._parts, self._in_snapshot = None, False
        self._left.clear()
        self._next = position
        self._mark_due = True

    def _tell(self, items: list[Item | Frame], scene: Scene[Item], now_ns: int) -> None:
        end_s = self._clock() + self._settings.slice_s
        item_count = len(items) + self._settings.batch_item_count
        for seen in self._pending(scene, now_ns):
            if seen is not None:
                items.append(seen)
                self._mark_due = True
            if len(items) >= item_count or self._clock() >= end_s:
                self.idle = False
                return
        state = self._view.state
        if scene.changes.last_sequence > state.sequence:
            return  # in the middle of a message: no sequence stands for what was told
        for seen in scene.beside(now_ns):
            items.append(seen)
            self._mark_due = True
        if self._in_snapshot:
            self._in_snapshot = False
            items.append(SnapshotEnded())
        self._bookmark(items)

    def _pending(self, scene: Scene[Item], now_ns: int) -> Iterator[Item | None]:
        """Yield what is not told yet; None where something is none of its business."""
        if self._parts is not None:
            for part in self._parts:
                yield part(now_ns)
            self._parts = None
        while self._left or self._next < scene.changes.end:
            if self._left:
                yield self._left.popleft()
                continue
            self._next, told = scene.following(self._next, now_ns)
            self._left.extend(told)
            if not self._left:
                yield None

    def _fits(self, resume: WatchToken) -> bool:
        """Say whether what *resume* stands for is, or may come to be, in this state."""
        view, sequence = self._view, resume.sequence
        same = (resume.epoch, resume.fold_version) == (view.epoch, FOLD_VERSION)
        if view.outdated or not same:
            return False
        token = Token(resume.epoch, sequence, resume.mark)
        return sequence > view.state.sequence or view.holds(token)

    def _token(self) -> str:
        """Return what stands for the state; empty: nobody can go on from it."""
        view, state = self._view, self._view.state
        if view.outdated:
            return ""
        mark = message_mark(state.message_hash)
        return str(WatchToken(view.epoch, FOLD_VERSION, state.sequence, mark))

    def _bookmark(self, items: list[Item | Frame]) -> None:
        """Tell what was reached, after anything that was told, and now and then."""
        settings, now_s = self._settings, self._clock()
        due = (
            self._mark_due
            or now_s >= self._marked_s + settings.bookmark_interval_s
            or self._next >= self._marked_at + settings.bookmark_note_count
        )
        if due:
            state = self._view.state
            told = Bookmark(self._token(), state.sequence, state.store_time_ns)
            items.append(told)
            self._mark_due = False
            self._marked_s, self._marked_at = now_s, self._next
