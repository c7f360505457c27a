"""The pages of docs/ are read from top to bottom: each command ends well, as shown.

The README's commands are run in the gate, by tests/e2e/test_registry.py.
"""

from pathlib import Path

import pytest

from tests.docker_registry import needs_registry
from tests.docs.scenarios import SCENARIOS, read
from tests.docs.terminal import terminal


@needs_registry
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", sorted(set(SCENARIOS) - {"README.md"}))
def test_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    """What somebody types who follows the page works, and prints what is shown."""
    with terminal(tmp_path / "reader") as opened:
        read(opened, page)

        assert opened.seconds, "a scenario is of a page that shows something"
