"""Lines out of a stream of bytes that is cut anywhere, each of a bounded length."""

from typing import Final

LINE_BYTES_MAX: Final = 8 << 20
"""A change of many allocations at once is one line; a pod is at most 1.5 MiB."""


class Lines:
    """Puts whole lines together; one that is too long is passed over."""

    def __init__(self, bytes_max: int = LINE_BYTES_MAX) -> None:
        """Begin at the start of a line."""
        self._bytes_max = bytes_max
        self._partial = bytearray()
        self._skipping = False
        self.skipped_count = 0

    def fed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that *chunk* completes, without what is empty."""
        *ends, rest = chunk.split(b"\n")
        whole: list[bytes] = []
        for end in ends:
            self._add(end)
            line = bytes(self._partial).strip()
            if line and not self._skipping:
                whole.append(line)
            self._partial.clear()
            self._skipping = False
        self._add(rest)
        return whole

    def _add(self, part: bytes) -> None:
        if self._skipping:
            return
        self._partial += part
        if len(self._partial) > self._bytes_max:
            self._partial.clear()
            self._skipping = True
            self.skipped_count += 1
