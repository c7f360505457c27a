"""Which pages there are, and the text of each."""

from functools import cache
from pathlib import Path
from typing import Final

from tests.reference.api import api_page, facts_page
from tests.reference.configuration import configuration_page
from tests.reference.errors import errors_page

FOLDER: Final = Path(__file__).parents[2] / "docs" / "reference"
PAGES: Final = {
    "api.md": api_page,
    "configuration.md": configuration_page,
    "errors.md": errors_page,
    "facts.md": facts_page,
}


@cache
def made(name: str) -> str:
    """Return the text of a page by its file's name."""
    return PAGES[name]()
