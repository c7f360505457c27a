"""What docs/feeds.md shows of our own formats is what the translators read."""

import json
import re
from pathlib import Path

from placement.agent.feeds.catalogue import feeds
from placement.agent.feeds.translation import FeedSettings
from placement.agent.starts.catalogue import starts
from placement.agent.starts.settings import StartSettings
from placement.core.event import Name
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region

IAD, PUBLISHER = Region("iad"), Name("agent/iad")
DIGEST = Digest(f"sha256:{'d' * 64}")
FEEDS = Path(__file__).parents[2] / "docs/feeds.md"


async def find(_repository: Repository, _tag: Tag) -> Digest | None:
    """Every tag is the same image."""
    return DIGEST


def block_with(text: str) -> str:
    """The only JSON block of the document that holds *text*."""
    blocks = re.findall(r"```json\n(.*?)```", FEEDS.read_text(), flags=re.DOTALL)
    (found,) = [block for block in blocks if text in block]
    return str(found)


async def test_documented_machines_are_understood() -> None:
    """A reader may post the example as it is."""
    body = block_with('"counted"')
    settings = StartSettings(region=IAD, publisher=PUBLISHER)

    translation = await starts(settings, find)["machines"](body.encode(), {})

    assert len(translation.events) == len(json.loads(body)) == 4
    assert not translation.ignored + translation.malformed


def test_documented_cloud_event_is_understood() -> None:
    """Its digest written out."""
    body = block_with('"specversion"').replace("sha256:…", DIGEST)

    told = feeds(FeedSettings(region=IAD, publisher=PUBLISHER))["cloudevents"]

    assert [event.event_id for event in told(body.encode(), {}).events] == ["build-17"]


def test_documented_feeds_are_those_that_are_served() -> None:
    """The table of the document names each, and no other."""
    table = FEEDS.read_text().split("## Registries", 1)[1].split("\n\n", 2)[1]
    named = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)

    served = feeds(FeedSettings(region=IAD, publisher=PUBLISHER))

    assert sorted(named) == sorted(served)
