"""The console about the past: a real service, asked by address."""

from pathlib import Path

from tests.console_browser import console_service
from tests.console_world import push, start


def test_image_page_shows_what_was_then(tmp_path: Path) -> None:
    """As it was after a message, and that a later tag was not there yet."""
    with console_service(tmp_path, plans=False) as console:
        console.publish(push("iad", "acme/web"))
        status, _, now = console.get("/images/acme/web?reference=v1")
        assert status == 200
        assert 'name="as_of"' in now
        console.publish([*push("fra", "acme/api"), start("syd", "acme/web", "m-1", 3)])

        status, _, then = console.get("/images/acme/web?reference=v1&as_of=1")
        assert status == 200, then
        assert "the past" in then
        assert "Sydney" not in then.partition("Who uses it")[2]
        status, _, api = console.get("/images/acme/api?reference=v1&as_of=1")
        assert status == 404, api
        status, _, ahead = console.get("/images/acme/web?reference=v1&as_of=99999")
        assert status == 400, ahead
        assert "ask for an earlier point" in ahead
        status, _, gone = console.get("/estimate?image=acme/web:v1&as_of=1h+ago")
        assert status == 400, gone
        assert "ask for the earliest point" in gone
