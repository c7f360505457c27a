"""What is found fits the spool, however much it is and however small the spool."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from placement.adapters.memory_spool import MemorySpool
from placement.agent.inventory.pages import PAGE_COUNT_MAX, Edition, Pages
from placement.agent.spooled import spooled_report
from placement.config import ConfigError, load_config
from placement.core.event import Event, InventoryContent, Name, TagMoved
from placement.core.oci import (
    REPOSITORY_LENGTH_MAX,
    TAG_LENGTH_MAX,
    Descriptor,
    Digest,
    Repository,
    Tag,
)
from placement.spooling import SpoolLimits
from placement.wire.fields import NAME_LENGTH_MAX
from tests.builders import IAD, START_NS, digest

LEAST_BYTES = 1 << 20
LONGEST = Repository("r" * REPOSITORY_LENGTH_MAX)


def descriptor(number: int) -> Descriptor:
    """Return what takes the most room."""
    media_type = Name("m" * NAME_LENGTH_MAX)
    return Descriptor(Digest(digest(f"{number}")), media_type, 2**60)


async def test_smallest_spool_takes_the_largest_page() -> None:
    """With it go as many removed tags: all of one report is taken, or none."""
    sizes: list[int] = []

    async def report(events: Sequence[Event]) -> None:
        spool = MemorySpool(
            lambda: START_NS, SpoolLimits(waiting_bytes_max=LEAST_BYTES)
        )
        await spooled_report(spool, lambda: START_NS)(events)
        sizes.append(spool.figures.waiting_bytes)

    pages = Pages(Edition(IAD, START_NS, Name("p" * NAME_LENGTH_MAX)), report)
    references = tuple(map(descriptor, range(300)))
    for number in range(PAGE_COUNT_MAX - 1):
        tag = Tag(f"t{number}".ljust(TAG_LENGTH_MAX, "t"))
        await pages.add_removed_tag(TagMoved(LONGEST, tag))
    entry = InventoryContent(descriptor(-1), LONGEST, references, (Tag("latest"),))
    await pages.add_content(entry)
    await pages.flush(complete=True)

    assert 200_000 < max(sizes) < LEAST_BYTES


def test_smaller_spool_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that no page fits in would end every scan, for ever."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        load_config(overrides={"agent.spool.waiting_bytes_max": LEAST_BYTES - 1})

    assert "agent.spool.waiting_bytes_max" in str(refused.value)
    assert str(LEAST_BYTES) in str(refused.value)
    load_config(overrides={"agent.spool.waiting_bytes_max": LEAST_BYTES})
