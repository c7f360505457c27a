"""docs/logs.md is true, each event says what became of a thing, and none floods."""

import re

from tests.logs_page import PAGE, lines, page

SINGLE_CONTENTS = {
    "blob_cut",
    "content_evicted",
    "copy_completed",
}
"""Events at info that name a digest: one for each copy or removal, no more."""
OF_TENANTS = {"digest", "repository", "tag", "reference", "event_id"}


def test_page_is_as_the_source_says() -> None:
    """``python -m tests.logs_page`` writes it."""
    assert PAGE.read_text() == page()


def test_every_event_is_a_noun_and_a_verb() -> None:
    """At least two words, in lower case, so that one can search for either."""
    shape = re.compile(r"[a-z]+(_[a-z]+)+")

    assert [name for name in lines() if not shape.fullmatch(name)] == []


def test_no_line_at_info_names_content_on_a_hot_path() -> None:
    """What is said of each single content is said of copies and removals alone."""
    found = {
        name
        for name, line in lines().items()
        if "info" in line.levels and line.fields & OF_TENANTS
    }

    assert found == SINGLE_CONTENTS
