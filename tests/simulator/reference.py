"""A fresh replay of every log that there was, to hold what replicas said against it.

It runs when a run is over, outside of everything that was planted in it.
"""

from collections.abc import Callable, Sequence

from placement.core.fold import fold
from placement.core.state import State
from placement.runtime.quarantine import Quarantine
from placement.runtime.tokens import body_mark, message_mark
from placement.wire.events import decode_message, message_hash
from tests.simulator.history import Position
from tests.simulator.log import Life

Look = Callable[[State], None]

START = Position(0, b"")


class Reference:
    """Knows which positions there ever were, and shows the states at those."""

    def __init__(self, lives: Sequence[Life]) -> None:
        """Index *lives*; nothing is folded yet."""
        self._lives = lives
        self._places: dict[Position, int] = {START: 0}
        self._looks: dict[tuple[int, int], list[Look]] = {}
        self._times: dict[tuple[int, int], Position] = {(0, 0): START}
        self._hashes: list[list[bytes]] = []
        for number, life in enumerate(lives):
            hashes = [message_hash(message) for message in life.messages]
            self._hashes.append(hashes)
            for message, own_hash in zip(life.messages, hashes, strict=True):
                position = Position(message.sequence, own_hash)
                self._places.setdefault(position, number)
                self._times[message.sequence, message.store_time_ns] = position

    def knows(self, position: Position) -> bool:
        """Say whether some log ever held this message at this sequence."""
        return position in self._places

    def find(self, sequence: int, store_time_ns: int) -> Position | None:
        """Return the position of the message that was stored then, if there was one."""
        return self._times.get((sequence, store_time_ns))

    def follows(self, earlier: Position, later: Position) -> bool:
        """Say whether a log that holds *later* held *earlier* before it."""
        if not earlier.sequence:
            return True
        held = self._hashes[self._places[later]][: later.sequence]
        if len(held) < earlier.sequence:
            return False
        return held[earlier.sequence - 1] == earlier.message_hash

    def marks(self, position: Position, sequence: int) -> tuple[str, str]:
        """Return the marks of what is at *sequence* in a log that holds *position*."""
        message = self._lives[self._places[position]].messages[sequence - 1]
        return body_mark(message.body), message_mark(message_hash(message))

    def at(self, position: Position, look: Look) -> None:
        """Call *look* with the state at *position*, once ``replay`` is called."""
        place = (self._places[position], position.sequence)
        self._looks.setdefault(place, []).append(look)

    def replay(self) -> list[State]:
        """Fold every log, show what was asked for; return the states at the ends."""
        ends = []
        for number, life in enumerate(self._lives):
            state, quarantine = State(), Quarantine()
            for message in life.messages:
                quarantine.learn(message)
            self._show(number, state)
            for message in life.messages:
                skipped = quarantine.skipped(message.sequence)
                fold(state, decode_message(message, skipped))
                self._show(number, state)
            ends.append(state)
        return ends

    def _show(self, number: int, state: State) -> None:
        for look in self._looks.pop((number, state.sequence), ()):
            look(state)
