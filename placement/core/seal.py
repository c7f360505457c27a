"""A hash of a state as it lies in memory, quick enough to be taken while it serves.

Where a ``fingerprint`` is equal for the same events, a seal is equal for the same rows
in the same places: a state that was saved and loaded has the seal of the one that was
saved, and a state of the same events may have another. It reads a hundred times as many
rows a second, so it can be compared before a checkpoint from elsewhere is believed.
"""

from collections.abc import Generator
from hashlib import sha256

from placement.core.state import State

_SEAL_BYTES = 16


def seal(state: State) -> str:
    """Return the seal of *state* in hexadecimal."""
    steps = seal_steps(state)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return str(end.value)


def seal_steps(state: State) -> Generator[None, None, str]:
    """Return the seal of *state*, a page of rows between two steps.

    The state must stay as it is until the last step.
    """
    total = sha256(ascii((state.sequence, state.store_time_ns)).encode())
    total.update(state.message_hash)
    for name, table in sorted(state.tables().items()):
        total.update(ascii((name, len(table))).encode())
        for body in table.packed_pages():
            total.update(sha256(body).digest())
            yield
    return total.hexdigest()[: 2 * _SEAL_BYTES]
