"""The run record in one small file of fixed size, which a full disk cannot refuse.

Four blocks: what is noted goes to the first two in turn, what is kept to the others, so
that a write that a power failure cuts short damages at most the block that it was going
to. Each block carries a number that grows and a hash; the newest whole one counts.
"""

import json
import os
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Final

from placement.ports import CheckpointUnwritableError, RunRecord

BLOCK_BYTES: Final = 4096
NOTED: Final = (0, 1)
KEPT: Final = (2, 3)
_BLOCKS: Final = len(NOTED) + len(KEPT)
_HEAD: Final = Struct("<16sQH")
_HASH_BYTES: Final = 16


class RunFile:
    """RunRecords in the file at *path*, whose directory exists."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it; raises CheckpointUnwritableError."""
        self._path = path
        self._number = 0
        self._next = {NOTED: 0, KEPT: 0}
        """By kind, which of the two blocks may be written: never the newer one."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            if os.fstat(self._file).st_size < _BLOCKS * BLOCK_BYTES:
                os.pwrite(self._file, bytes(_BLOCKS * BLOCK_BYTES), 0)
                os.fsync(self._file)
        except OSError as error:
            message = f"run record {path} cannot be used: {error}"
            raise CheckpointUnwritableError(message) from error

    def load(self) -> RunRecord:
        """Return the newest record that is whole; an empty one when there is none."""
        newest = RunRecord()
        for kind in self._next:
            numbers = [0, 0]
            for turn, block in enumerate(kind):
                found = self._block(block)
                if found is not None:
                    numbers[turn], record = found
                    if numbers[turn] > self._number:
                        self._number, newest = numbers[turn], record
            self._next[kind] = int(numbers[0] > numbers[1])
        return newest

    def note(self, record: RunRecord) -> None:
        """Write *record*, without waiting for the disk; does without if that fails."""
        try:
            self._write(record, NOTED)
        except OSError:
            return  # a gap in what outlives us, and none in the answers

    def keep(self, record: RunRecord) -> None:
        """Write *record* and wait for the disk; raises CheckpointUnwritableError."""
        try:
            self._write(record, KEPT)
            os.fsync(self._file)
        except OSError as error:
            message = f"run record {self._path} cannot be written: {error}"
            raise CheckpointUnwritableError(message) from error

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _write(self, record: RunRecord, blocks: tuple[int, int]) -> None:
        self._number += 1
        fields = asdict(record) | {"message_hash": record.message_hash.hex()}
        body = json.dumps(fields).encode()
        turn = self._next[blocks]
        head = _HEAD.pack(_hash(self._number, body), self._number, len(body))
        assert len(head) + len(body) <= BLOCK_BYTES, "a record fits one block"
        os.pwrite(self._file, head + body, blocks[turn] * BLOCK_BYTES)
        self._next[blocks] = 1 - turn

    def _block(self, block: int) -> tuple[int, RunRecord] | None:
        """Return a block's number and record, or None unless it is whole."""
        try:
            read = os.pread(self._file, BLOCK_BYTES, block * BLOCK_BYTES)
            found, number, length = _HEAD.unpack_from(read)
        except (OSError, ValueError) as error:
            message = f"run record {self._path} cannot be read: {error}"
            raise CheckpointUnwritableError(message) from error
        body = read[_HEAD.size : _HEAD.size + length]
        if not number or found != _hash(number, body):
            return None
        fields = json.loads(body)
        fields["message_hash"] = bytes.fromhex(fields["message_hash"])
        return number, RunRecord(**fields)


def _hash(number: int, body: bytes) -> bytes:
    return blake2b(number.to_bytes(8, "big") + body, digest_size=_HASH_BYTES).digest()
