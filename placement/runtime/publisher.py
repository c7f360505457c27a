"""Events into the log: in batches of one region, with what became of each event."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from placement.core.event import Event, is_deciding
from placement.core.event_keys import event_key, scoped_id
from placement.core.tables.table import ABSENT
from placement.faults import FaultPoint, reach
from placement.ports import Appended, EventLog, LogUnavailableError, Message
from placement.runtime.appending import append_own
from placement.runtime.decision_log import DecisionLog
from placement.runtime.epochs import Position, identity, succeeding
from placement.runtime.gathering import Gathering, Stored
from placement.runtime.tokens import body_mark, make_token, message_mark
from placement.runtime.view import View
from placement.wire.events import Encoded, encoded_batches
from placement.wire.unread import message_id_of


class Outcome(IntEnum):
    """What became of an event."""

    STORED = 1
    DUPLICATE = 2


@dataclass(frozen=True, slots=True)
class Published:
    """What became of events, and the last message that holds one of them."""

    outcomes: tuple[Outcome, ...]
    """One for each event, in order."""
    epoch: str
    sequence: int
    """0 when nothing is in the log."""
    mark: str = ""
    """Tells the message at *sequence* from any other there; see ``tokens``."""
    tokens: tuple[str, ...] = ()
    """Of each event, what stands for the message that holds it."""

    @property
    def token(self) -> str:
        """Return what stands for all of it in requests; empty for nothing."""
        if not self.sequence:
            return ""
        return make_token(self.epoch, self.sequence, self.mark)


class Publisher:
    """Stores events durably, once each as far as the fold and the log remember."""

    def __init__(self, log: EventLog, view: View) -> None:
        """Write into *log*; *view* knows which ids were folded before."""
        self._log = log
        self._view = view
        self._gathering = Gathering(self._store, lambda: view.state.sequence)
        self.decisions = DecisionLog(log, view)

    async def publish(self, events: Sequence[Event]) -> Published:
        """Store *events* and say what became of each.

        All of them are in the epoch that is returned. An event alone may travel with
        those of other callers. Raises LogFullError, and LogUnavailableError also when
        the log became another one meanwhile: some may be stored by then, and publishing
        the same events again is safe. Raises LogMovedError where decisions of others
        get in the way again and again.
        """
        fresh: dict[str, Event] = {}
        repeated: set[int] = set()
        ids = list(map(scoped_id, events))
        for position, (own_id, event) in enumerate(zip(ids, events, strict=True)):
            if own_id in fresh or self._folded(event):
                repeated.add(position)
            else:
                fresh[own_id] = event
        epoch, sequence, mark = self._view.epoch, 0, ""
        if repeated:
            state = self._view.state
            sequence, mark = state.sequence, message_mark(state.message_hash)
        found = bool(repeated)
        tokens = dict.fromkeys(
            (ids[position] for position in repeated),
            make_token(epoch, sequence, mark) if repeated else "",
        )
        stored_before: set[str] = set()
        for batch, encoded in encoded_batches(fresh.values()):
            alone = len(fresh) == 1 and not is_deciding(batch[0])
            storing = self._put if alone else self._store
            stored = await storing(batch, encoded)
            if stored.epoch != epoch:  # positions in two logs cannot be compared
                if found:
                    message = "the log became another one: publish the events again"
                    raise LogUnavailableError(message, epoch=stored.epoch)
                epoch, sequence = stored.epoch, 0
            found = True
            token = make_token(stored.epoch, stored.sequence, stored.mark)
            tokens.update((scoped_id(event), token) for event in batch)
            if stored.sequence > sequence:
                sequence, mark = stored.sequence, stored.mark
            if stored.duplicate:
                stored_before.update(map(scoped_id, batch))
        reach(FaultPoint.AFTER_APPEND_BEFORE_ANSWER)
        outcomes = tuple(
            Outcome.DUPLICATE
            if position in repeated or own_id in stored_before
            else Outcome.STORED
            for position, own_id in enumerate(ids)
        )
        told = tuple(tokens[own_id] for own_id in ids)
        return Published(outcomes, epoch, sequence, mark, told)

    async def stored(self, sequence: int) -> Message | None:
        """Return what the log holds at *sequence*; None: nothing.

        Raises LogUnavailableError.
        """
        return await self._log.message(sequence)

    async def _put(self, batch: list[Event], encoded: Encoded) -> Stored:
        """Store the one event of *batch*, with those of other callers if there are any.

        The log knows what was stored with others as a whole only; so if it was and is
        not folded yet, the log is asked whether it holds that.
        """
        [event] = batch
        known = self._gathering.known(event)
        if known is not None:
            message = await self._log.message(known.sequence)
            if message is not None and body_mark(message.body) == known.mark:
                return replace(known, duplicate=True)
            self._gathering.forget(event)
        return await self._gathering.put(event, encoded)

    async def _store(self, batch: list[Event], encoded: Encoded) -> Stored:
        """Store *batch* as one message."""
        folded = self._folded_position()
        subject, body, message_id = encoded
        reach(FaultPoint.BEFORE_APPEND)
        deciding = is_deciding(batch[0])
        if deciding:
            appended = await self.decisions.append_order(subject, body, message_id)
        else:
            appended = await append_own(self._log, subject, body, message_id)
        epoch = self._epoch_of(appended, folded)
        if appended.duplicate:  # under the same id, but of the same make?
            body = await self._stored_body(encoded, appended)
        sequence, mark = appended.sequence, body_mark(body)
        return Stored(epoch, sequence, mark, appended.duplicate)

    async def _stored_body(self, encoded: Encoded, appended: Appended) -> bytes:
        """Return the body of a message that was stored before.

        Raises LogUnavailableError where it is another's: the log lost ours meanwhile.
        """
        _, body, message_id = encoded
        stored = await self._log.message(appended.sequence)
        if stored is not None and message_id_of(stored) != message_id:
            message = "the log lost what it had stored: publish the events again"
            raise LogUnavailableError(message, epoch=appended.epoch)
        return stored.body if stored else body

    def _folded(self, event: Event) -> bool:
        if self._view.epoch_broken:  # what was folded is in another log
            return False
        return self._view.state.event_ids.find(event_key(event)) != ABSENT

    def _folded_position(self) -> Position:
        state = self._view.state
        return Position(self._view.epoch, state.sequence, state.message_hash)

    def _epoch_of(self, appended: Appended, folded: Position) -> str:
        """Return the name of the epoch in which events were stored.

        The log itself cannot tell one of its lives from another. What is new is stored
        after all that was *folded* before, unless the log was rewound: then it is in
        the epoch that the projector is about to begin.
        """
        view = self._view
        for name in (view.successor, view.epoch):
            if name and identity(name) == appended.epoch:
                rewound = not appended.duplicate and (
                    name == folded.epoch and appended.sequence <= folded.sequence
                )
                return succeeding(folded) if rewound else name
        return appended.epoch
