"""Places at which the program can be made to fail; each costs one comparison when off.

A test arms them with ``arm``: whatever the action does at a point (raise, note, never
return) happens there. For a real process ``Plan`` reads what the configuration key
``fault_points`` says, such as ``before_save=kill:3``: at the third save, end the
process at once, as by SIGKILL.

Source: FoundationDB's BUGGIFY, etcd's gofail.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

STALL_SECONDS: Final = 3_600.0
ACTIONS: Final = ("err", "kill", "raise", "stall", "stop")


class FaultPoint(StrEnum):
    """The points by name; each says between what it lies."""

    AFTER_DECODE = "after_decode"
    """A message is decoded; nothing of it is folded."""
    AFTER_FOLD_BEFORE_ADVANCE = "after_fold_before_advance"
    """Messages are folded; no answer has seen it, and nobody who waits was told.

    It can err: the state is then not what the messages say.
    """
    BEFORE_SAVE = "before_save"
    """What changed is packed; nothing is written."""
    AFTER_SAVE = "after_save"
    """The checkpoint is written; the projector does not know it yet."""
    BEFORE_COMMIT = "before_commit"
    """The checkpoint's rows are written; their transaction is not committed."""
    BEFORE_RENAME = "before_rename"
    """A checkpoint's first file is whole, and not in its place."""
    BEFORE_COPY_KEPT = "before_copy_kept"
    """An older generation is copied and proven, and not in its place."""
    AFTER_COPY_KEPT = "after_copy_kept"
    """It is in its place."""
    BEFORE_FALL_BACK = "before_fall_back"
    """A damaged checkpoint is put aside; its older generation is not in its place."""
    AFTER_CHUNKS_KEPT = "after_chunks_kept"
    """Some of a peer's checkpoint is on the disk; more of it is to come."""
    BEFORE_ADOPTED = "before_adopted"
    """A peer's checkpoint is whole and proven, and not in its place."""
    AMID_ADOPTED = "amid_adopted"
    """What was in its place is put aside."""
    AFTER_ADOPTED = "after_adopted"
    """It is in its place; answers do not come from it yet."""
    AFTER_EPOCH_BROKEN = "after_epoch_broken"
    """The new epoch's name is written; the old state is not saved once more."""
    BEFORE_SWAP = "before_swap"
    """The new state is ready; answers come from the old one."""
    AFTER_SWAP = "after_swap"
    """Answers come from the new state; nothing of it is saved."""
    BEFORE_DISCARD = "before_discard"
    """A checkpoint is about to be put aside."""
    AFTER_DISCARD = "after_discard"
    """It was put aside, and there is no other."""
    BEFORE_APPEND = "before_append"
    """Events are about to be stored."""
    AFTER_APPEND_BEFORE_ANSWER = "after_append_before_answer"
    """They are stored; who asked for it does not know."""
    BEFORE_DECISION = "before_decision"
    """Decisions are about to be stored, if nothing is decided meanwhile."""
    BEFORE_QUARANTINE = "before_quarantine"
    """A message has failed too often; the fact that says so is not stored."""
    AFTER_QUARANTINE = "after_quarantine"
    """It is stored; nothing was folded again."""
    BEFORE_SPOOLED = "before_spooled"
    """A change of an agent's spool is written; its transaction is not committed."""
    AFTER_SPOOLED = "after_spooled"
    """What a registry posted is on the disk; the registry has no answer."""
    BEFORE_SENT = "before_sent"
    """What waits in the spool is about to be published."""
    AFTER_SENT = "after_sent"
    """It is in the log; the spool does not know."""


Action = Callable[[FaultPoint], bool | None]
"""Returns true where the program is to err, at a point that can."""


class FaultError(Exception):
    """What the action ``raise`` raises: no error that anybody expects."""


_armed: Action | None = None


def reach(point: FaultPoint) -> bool:
    """Do what a test wants done at *point*; nothing at all in any other process.

    Say whether the program is to err there, which few points can.
    """
    return _armed is not None and bool(_armed(point))


def arm(action: Action | None) -> None:
    """Call *action* at every point from now on; None: at none."""
    global _armed  # noqa: PLW0603 - one switch for the process; off costs one comparison
    _armed = action


@contextmanager
def armed(action: Action) -> Iterator[None]:
    """Call *action* at every point within the block."""
    before = _armed
    arm(action)
    try:
        yield
    finally:
        arm(before)


class Plan:
    """What to do at which point: ``point=action[:count]``, several with commas.

    *count* 3 acts when the point is reached for the third time, once; 1 if left out.
    """

    def __init__(self, text: str) -> None:
        """Read *text*; raises ValueError, which says what can be given."""
        self._actions: dict[tuple[FaultPoint, int], str] = {}
        self._reached: Counter[FaultPoint] = Counter()
        for entry in filter(None, text.split(",")):
            name, _, rest = entry.partition("=")
            action, _, count = rest.partition(":")
            known = action in ACTIONS and (not count or count.isdecimal())
            if name not in list(FaultPoint) or not known:
                message = (
                    f"give POINT=ACTION:COUNT; points: {', '.join(FaultPoint)}; "
                    f"actions: {', '.join(ACTIONS)}"
                )
                raise ValueError(message)
            self._actions[FaultPoint(name), int(count or 1)] = action

    def __call__(self, point: FaultPoint) -> bool:
        """Count *point*, and act if it is time; say whether to err."""
        self._reached[point] += 1
        match self._actions.get((point, self._reached[point])):
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stall":
                time.sleep(STALL_SECONDS)
            case "stop":  # until somebody sends SIGCONT
                os.kill(os.getpid(), signal.SIGSTOP)
            case "err":
                return True
            case "raise":
                message = f"fault point {point}"
                raise FaultError(message)
            case _:
                pass
        return False
