"""What registries' projects document as their notifications: translated exactly.

Each file names its source, and what was changed in it. Run with PLACEMENT_REWRITE=1 to
write the golden translations anew; then read the diff.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from placement.agent.feeds.catalogue import feeds
from placement.agent.feeds.translation import FeedSettings
from placement.core.event import Name
from placement.core.topology import Region
from tests.told import described

GOLDEN = Path(__file__).parents[1] / "golden"
PEERS = {"us-east-1": Region("iad"), "us-west-2": Region("sea")}
EXAMPLES = [
    path
    for kind in ("harbor", "zot", "ecr")
    for path in sorted((GOLDEN / kind).glob("*.json"))
]


def example(path: Path) -> dict[str, Any]:
    """The example in *path*: its source, headers and body."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def feed_of(document: dict[str, Any]) -> FeedSettings:
    """The feed of the agent that stands where the example was sent from."""
    region = PEERS.get(document["body"].get("region"), Region("iad"))
    return FeedSettings(
        region=region, publisher=Name(f"agent/{region}"), peer_regions=PEERS
    )


@pytest.mark.parametrize(
    "path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_documented_example_is_translated_exactly(path: Path) -> None:
    """Every field of every event is as it was reviewed."""
    document = example(path)
    golden = path.with_suffix(".txt")
    body = json.dumps(document["body"]).encode()

    told = feeds(feed_of(document))[path.parent.name]

    translation = told(body, document.get("headers", {}))

    text = "\n".join([*described(translation), ""])
    if os.environ.get("PLACEMENT_REWRITE"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_every_example_names_its_source() -> None:
    """Nobody has to guess where a format was read."""
    assert len(EXAMPLES) == 29
    assert all(example(path)["source"] for path in EXAMPLES)
