"""docs/reference is what the code says: made from it, and the same as if made now."""

import re
from functools import cache

import pytest

from tests.reference.pages import FOLDER, PAGES, made

HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([\w.]*)#([\w-]+)\)")


@cache
def anchors(text: str) -> list[str]:
    """Return what its headings are linked by."""
    plain = [re.sub(r"[^\w\- ]", "", each.lower()) for each in HEADING.findall(text)]
    return [each.replace(" ", "-") for each in plain]


@pytest.mark.parametrize("name", PAGES)
def test_page_is_what_the_code_says(name: str) -> None:
    """A change of protos, keys, commands or reasons is a change of the page."""
    assert (FOLDER / name).read_text() == made(name), "run: python -m tests.reference"


def test_there_are_no_other_pages() -> None:
    """Whatever is in the folder is made."""
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_each_link_has_its_heading(name: str) -> None:
    """A field's type leads to where the type is told, once."""
    for page, anchor in LINK.findall(made(name)):
        assert anchors(made(page or name)).count(anchor) == 1, (page, anchor)


def test_each_part_of_a_service_is_told_of() -> None:
    """No method, message, field or value is without a comment."""
    silent = [
        f"{name}: {row}"
        for name in ("api.md", "facts.md")
        for row in made(name).splitlines()
        if row.startswith("|") and row.endswith("|  |")
    ]

    assert silent == []
