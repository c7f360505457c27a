"""Fly.io's log lines: the seed's six, and what a line may lack."""

import json
from dataclasses import replace
from pathlib import Path

from placement.agent.feeds.translation import IgnoredReason
from placement.agent.starts import fly
from placement.agent.starts.catalogue import starts
from placement.agent.starts.images import parse_image
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import Found, resolved
from placement.core.event import MachineStarted, Name
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region

LOG = Path(__file__).parents[1] / "golden/starts/fly.log"
DIGEST = Digest(f"sha256:{'d' * 64}")
WEB = parse_image("registry.fly.io/web:deployment-1")
SETTINGS = StartSettings(
    region=Region("iad"), publisher=Name("agent/iad"), images={"*": WEB}
)


def latest(_repository: Repository, _tag: Tag) -> Digest:
    """Every tag is the same image."""
    return DIGEST


def lines() -> list[str]:
    """The six lines of the seed."""
    return LOG.read_text(encoding="utf-8").splitlines()


def started(found: Found, settings: StartSettings = SETTINGS) -> list[MachineStarted]:
    """The starts that *found* becomes."""
    events = resolved(found, latest, settings).events
    return [one.fact for one in events if isinstance(one.fact, MachineStarted)]


def test_seed_s_six_lines_are_two_starts() -> None:
    """53.55 s in Los Angeles and 0.33 s in Amsterdam: the figures that began it all."""
    translation = resolved(fly.translate(lines(), SETTINGS, {}), latest, SETTINGS)

    lax, ams = started(fly.translate(lines(), SETTINGS, {}))
    assert [event.region for event in translation.events] == ["lax", "ams"]
    assert (lax.machine_id, ams.machine_id) == ("4d891d17f77d08", "683d922f724d68")
    assert (lax.image_wait_ns, ams.image_wait_ns) == (53_549_659_372, 330_255_621)
    assert (lax.digest, lax.repository, lax.tag) == (DIGEST, "web", "deployment-1")
    assert translation.events[0].occur_time_ns == 1_691_188_319_778_000_000
    assert lax.request_time_ns == 1_691_188_266_228_000_000
    assert not translation.ignored + translation.malformed


def test_prepared_image_whose_pull_was_not_seen_has_its_own_duration() -> None:
    """Lines may come in two posts: the duration alone says when it began."""
    (lax,) = started(fly.translate([lines()[1]], SETTINGS, {}))

    assert lax.request_time_ns == 1_691_188_319_778_000_000 - 53_549_659_372


def test_image_is_the_machine_s_then_the_app_s_then_any() -> None:
    """The log tells no image: the Machines API does, or the configuration."""
    machines = [
        {
            "id": "m1",
            "image_ref": {
                "registry": "registry.fly.io",
                "repository": "api",
                "tag": "v1",
                "digest": DIGEST,
            },
        },
        {"id": "m9", "image_ref": {}},
    ]
    known = fly.images_in(machines)
    settings = replace(
        SETTINGS, images={"shop": parse_image("registry.fly.io/shop:v2")}
    )

    def shipped(machine: str, app: str) -> str:
        message = "Successfully prepared image registry.fly.io/x:1 (1.5s)"
        document = {
            "event": {"provider": "runner"},
            "fly": {"app": {"instance": machine, "name": app}, "region": "syd"},
            "log": {"level": "info"},
            "message": message,
            "timestamp": "2023-08-04T22:31:59.778123456Z",
        }
        return json.dumps(document)

    found = fly.translate(
        [shipped("m1", "shop"), shipped("m2", "shop"), shipped("m3", "other")],
        settings,
        known,
    )

    assert list(known) == ["m1"]
    assert [one.image.repository for one in found.sightings] == ["api", "shop"]
    assert [one.reason for one in found.ignored] == [IgnoredReason.IMAGE_UNKNOWN]


def test_lines_of_anything_else_say_nothing() -> None:
    """A log is mostly an app's own words."""
    found = fly.translate(
        ["", "hello", lines()[2], "x" * 10_000, '{"message": "hi"}'], SETTINGS, {}
    )

    assert found == Found()


def test_same_line_twice_is_the_same_event() -> None:
    """A shipper repeats what was not answered."""
    first, again = (fly.translate(lines(), SETTINGS, {}) for _ in range(2))

    assert first == again


def test_region_that_is_not_configured_is_nobody_s() -> None:
    """Where regions are mapped, a machine in any other starts nowhere of ours."""
    settings = replace(SETTINGS, regions={"ams": Region("eu-west")})

    found = fly.translate(lines(), settings, {})

    assert [one.region for one in found.sightings] == ["eu-west"]
    assert [one.reason for one in found.ignored] == [IgnoredReason.OTHER_REGION]


def test_broken_line_is_malformed_and_the_others_are_not() -> None:
    """One line's fault is its own."""
    found = fly.translate(['{"fly": 7}', "{", *lines()], SETTINGS, {})

    assert [fault.index for fault in found.malformed] == [0, 1]
    assert len(found.sightings) == 2


async def test_posted_lines_are_resolved_by_whoever_is_asked() -> None:
    """As the receiver serves them: ``/v1/starts/fly``."""

    async def find(_repository: Repository, _tag: Tag) -> Digest:
        return DIGEST

    translation = await starts(SETTINGS, find)["fly"](LOG.read_bytes(), {})

    assert [event.region for event in translation.events] == ["lax", "ams"]
