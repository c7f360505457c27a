"""The reader: plain at first, compiled code once a backlog is worth it."""

from unittest.mock import patch

from placement.runtime import reader
from placement.runtime.reader import RUNS_MIN, Reader
from placement.wire.pull_reading import read_messages


async def test_compiled_code_takes_over_once_it_is_ready() -> None:
    """Nobody waits for it, and whoever reads little never pays for it."""
    compiled = object()
    with patch.object(reader, "compiled", lambda: compiled):
        one = Reader()
        plain = [one.next_way() for _ in range(RUNS_MIN)]
        assert one._ready is not None  # noqa: SLF001 - what nobody else waits for
        await one._ready  # noqa: SLF001 - as above

        assert plain == [read_messages] * RUNS_MIN
        assert one.next_way() is compiled
