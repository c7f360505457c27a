"""The commands of operators against the real service: what they order holds."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from placement.cli.main import main
from tests.builders import MANIFEST, digest
from tests.real_service import RealService, running

IMAGE = digest("a")
WEB = "acme/web"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    """A service that was told of one image."""
    with running(RealService(tmp_path_factory.mktemp("service"))) as found:
        content = {"digest": IMAGE, "media_type": MANIFEST, "size_bytes": 5_000_000}
        pushed = {"content": content, "repository": WEB, "tag": "v1"}
        line = json.dumps({"region": "ams", "content_pushed": pushed})
        assert ask(found, "publish", text=line)["stored"] == 1
        yield found


def run(service: RealService, *arguments: str, text: str | None = None) -> Result:
    """Return what a command says and answers; a bug in it is raised."""
    command = ("--server", service.target, *arguments)
    return CliRunner().invoke(main, command, input=text, catch_exceptions=False)


def ask(service: RealService, *arguments: str, text: str | None = None) -> Any:  # noqa: ANN401 - JSON
    """Return a command's answer, decoded."""
    result = run(service, "-o", "json", *arguments, text=text)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def order(service: RealService, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Return the answer to an order of Ann's."""
    why = ("--reason", "moving house", "--actor", "ann")
    return ask(service, *arguments, *why)


def logged(service: RealService, fact: str) -> list[Any]:
    """Return the orders of a kind that the log holds."""
    chosen = ("--from", "1", "--no-follow", "-o", "json", "--fact", fact)
    result = run(service, "tail", "--data-dir", str(service.data_dir), *chosen)
    assert result.exit_code == 0, result.output
    return [json.loads(line)["event"] for line in result.stdout.splitlines()]


def test_pause_holds_until_it_is_resumed(service: RealService) -> None:
    """The log says who and why; the answer has folded the order already."""
    given = order(service, "pause", "--region", "syd", "--for", "2h")
    paused = ask(service, "orders")
    table = run(service, "orders").output
    order(service, "resume")

    told = logged(service, "replication_paused")
    (fact,) = [one for one in told if one["event_id"] == given["event_id"]]
    operation = fact["replication_paused"]["operation"]
    (listed,) = [one for one in paused["pauses"] if one["region"] == "syd"]
    assert (operation["actor"], operation["reason"]) == ("ann", "moving house")
    since, until = (
        datetime.fromisoformat(listed[name]) for name in ("order_time", "expire_time")
    )
    assert abs(until - since - timedelta(hours=2)) < timedelta(minutes=1)
    assert "no new copies into" in table
    assert ask(service, "orders")["pauses"] == []


def test_same_request_id_gives_one_order(service: RealService) -> None:
    """Whoever repeats a command need not know whether it had worked."""
    arguments = ("pause", "--region", "gru", "--request-id", "once", "--for", "1h")

    first, second = (order(service, *arguments)["event_id"] for _ in range(2))

    facts = logged(service, "replication_paused")
    assert first == second
    assert [fact["event_id"] for fact in facts].count(first) == 1


def test_region_is_drained_and_brought_back(service: RealService) -> None:
    """`status` and `orders` agree."""
    order(service, "region", "set", "fra", "--state", "draining")
    drained = {one["region"]: one["state"] for one in ask(service, "orders")["regions"]}
    order(service, "region", "set", "fra", "--state", "active")

    assert drained == {"fra": "REGION_STATE_DRAINING"}
    assert ask(service, "orders")["regions"] == []


def test_image_is_pinned_and_unpinned(service: RealService) -> None:
    """By its tag; the answer says which digest that is."""
    pinned = order(service, "pin", f"{WEB}:v1", "--region", "ams", "--for", "30d")
    listed = ask(service, "orders", "--repository", WEB)["pins"]
    limited = ask(service, "orders", "--limit", "1")
    order(service, "unpin", f"{WEB}@{IMAGE}")

    assert pinned["digest"] == IMAGE
    assert [(one["digest"], one["region"]) for one in listed] == [(IMAGE, "ams")]
    assert (len(limited["pins"]), limited["more"]) == (1, False)
    assert ask(service, "orders")["pins"] == []


def test_policy_is_checked_set_and_shown(service: RealService, tmp_path: Path) -> None:
    """A check changes nothing; the name and hash are those of decisions."""
    file = tmp_path / "careful.toml"
    file.write_text('name = "careful"\nmode = "observe"\n')

    checked = ask(service, "policy", "check", str(file))
    before = ask(service, "policy", "show")["policies"]
    given = order(service, "policy", "set", str(file))
    shown = ask(service, "policy", "show")["policies"]
    table = run(service, "policy", "show").output
    order(service, "policy", "set", "default")
    after = ask(service, "policy", "show")["policies"]

    assert [one["policy"] for one in before] == ["default"]
    assert checked["policy_hash"] == given["policy_hash"] == shown[0]["policy_hash"]
    assert shown[0]["standing"] == "POLICY_STANDING_IN_FORCE"
    assert 'mode = "observe"' in table
    assert [one["policy"] for one in after] == ["default", "careful"]


def test_what_cannot_be_is_told_by_its_key(
    service: RealService, tmp_path: Path
) -> None:
    """Wrong input is 2; what there is none of is 1."""
    file = tmp_path / "broken.toml"
    file.write_text("[limits]\nlink_bytes_per_hour = -1\n")
    given = ("--reason", "why", "--actor", "ann")

    broken = run(service, "policy", "check", str(file))
    unknown = run(service, "policy", "set", "best", *given)
    absent = run(service, "pin", f"{WEB}:v9", *given)
    nowhere = run(service, "pause", "--region", "nowhere", *given)

    codes = [each.exit_code for each in (broken, unknown, absent, nowhere)]
    assert codes == [2, 2, 1, 1]
    assert "policy.limits.link_bytes_per_hour" in broken.stderr
    assert "POLICY_UNKNOWN" in unknown.stderr
    assert "MANIFEST_UNKNOWN" in absent.stderr
    assert "`placement status --regions` lists it" in nowhere.stderr


def test_orders_are_told_to_people(service: RealService) -> None:
    """What holds now, the order's id, and how far the service is."""
    words = ("--reason", "why", "--actor", "ann")

    said = {
        name: run(service, name, *more, *words).output
        for name, more in {
            "pause": ("--region", "lhr", "--region", "iad"),
            "resume": (),
            "pin": (f"{WEB}:v1",),
            "unpin": (f"{WEB}:v1", "--region", "syd"),
        }.items()
    }

    assert "no new copies into lhr, iad" in said["pause"]
    assert "new copies into any region are allowed" in said["resume"]
    assert f"{WEB}@{IMAGE} stays wherever it is" in " ".join(said["pin"].split())
    assert "is not pinned in syd" in " ".join(said["unpin"].split())
    assert all("order order-" in each for each in said.values())
    assert all("LIVE" in each for each in said.values())
