"""A checkpoint store that counts what it is asked to do and what came of it."""

import time
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from placement.ports import (
    Begin,
    CheckpointDamagedError,
    CheckpointFsyncError,
    CheckpointHeader,
    CheckpointStore,
    CheckpointUnwritableError,
    Chunk,
)

SAVE_SECONDS_BUCKETS: Final = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
SAVE_OUTCOMES: Final = ("written", "unwritable", "flush_failed", "damaged", "cut_short")
LOAD_OUTCOMES: Final = ("whole", "none", "unreadable", "damaged", "cut_short")


class MeasuredCheckpointStore:
    """A CheckpointStore that passes everything on to another."""

    def __init__(self, store: CheckpointStore, registry: CollectorRegistry) -> None:
        """Measure *store* into *registry*."""
        self._store = store
        self._saves = Counter(
            "placement_checkpoint_saves",
            "Saves of the state, by what came of them.",
            ["outcome"],
            registry=registry,
        )
        self._loads = Counter(
            "placement_checkpoint_loads",
            "Loads of the checkpoint, by what came of them.",
            ["outcome"],
            registry=registry,
        )
        for outcome in SAVE_OUTCOMES:
            self._saves.labels(outcome)
        for outcome in LOAD_OUTCOMES:
            self._loads.labels(outcome)
        self._discards = Counter(
            "placement_checkpoint_discards",
            "Checkpoints that were put aside.",
            registry=registry,
        )
        self._duration = Histogram(
            "placement_checkpoint_save_seconds",
            "How long the saves took that were written.",
            buckets=SAVE_SECONDS_BUCKETS,
            registry=registry,
        )
        self._sequence = Gauge(
            "placement_checkpoint_sequence",
            "The last message that is in the checkpoint.",
            registry=registry,
        )
        self._time = Gauge(
            "placement_checkpoint_timestamp_seconds",
            "When the checkpoint was last written or loaded, since 1970; 0: never.",
            registry=registry,
        )

    async def load(self, begin: Begin) -> CheckpointHeader | None:
        """Load from the store, and count it."""
        outcome = "cut_short"
        try:
            header = await self._store.load(begin)
            outcome = "none" if header is None else "whole"
        except CheckpointDamagedError:
            outcome = "damaged"
            raise
        except CheckpointUnwritableError:
            outcome = "unreadable"
            raise
        finally:
            self._loads.labels(outcome).inc()
        if header is not None:
            self._reached(header)
        return header

    async def save(self, header: CheckpointHeader, chunks: Iterable[Chunk]) -> None:
        """Save to the store, and count and time it."""
        began_s = time.monotonic()
        outcome = "cut_short"
        try:
            await self._store.save(header, chunks)
            outcome = "written"
        except CheckpointDamagedError:
            outcome = "damaged"
            raise
        except CheckpointFsyncError:
            outcome = "flush_failed"
            raise
        except CheckpointUnwritableError:
            outcome = "unwritable"
            raise
        finally:
            self._saves.labels(outcome).inc()
        self._duration.observe(time.monotonic() - began_s)
        self._reached(header)

    async def discard(self, reason: str) -> None:
        """Put what is in the store aside, and count it."""
        await self._store.discard(reason)
        self._discards.inc()
        self._sequence.set(0)

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    def _reached(self, header: CheckpointHeader) -> None:
        self._sequence.set(header.sequence)
        self._time.set_to_current_time()
