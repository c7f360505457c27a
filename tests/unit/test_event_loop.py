"""On which event loop the service runs, and what is said where that is not there."""

import sys

import pytest

from placement import event_loop
from placement.core.errors import InputError


def test_uvloop_is_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default; and where it is not, Python's own."""
    uvloop = pytest.importorskip("uvloop")

    assert event_loop.loop_factory("auto") is uvloop.new_event_loop
    assert event_loop.loop_factory("uvloop") is uvloop.new_event_loop
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert event_loop.loop_factory("auto") is None


def test_python_s_own_loop_can_be_chosen() -> None:
    """Whatever is installed."""
    assert event_loop.loop_factory("asyncio") is None


def test_uvloop_that_is_missing_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only who asked for it is told."""
    monkeypatch.setitem(sys.modules, "uvloop", None)

    with pytest.raises(InputError, match="placement\\[fast\\]") as raised:
        event_loop.loop_factory("uvloop")

    assert raised.value.field == "event_loop"
