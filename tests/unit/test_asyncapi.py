"""docs/asyncapi.yaml is what the code says, and what AsyncAPI allows."""

import json
from typing import Any

import jsonschema
import pytest

from placement.core.event import Recorded
from placement.wire.events import FACT_NAMES, decode_message, encode_event, fact_name
from placement.wire.json import plain
from tests import asyncapi_page
from tests.golden_logs import FOLDER, read_log

MESSAGES = 290
"""Of the captured log: every fact is among them."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Give the document, made once."""
    return asyncapi_page.document()


def test_page_is_true(document: dict[str, Any]) -> None:
    """`python -m tests.asyncapi_page` would write the very same."""
    assert asyncapi_page.PAGE.read_text("utf-8") == asyncapi_page.written(document)


def test_page_is_an_asyncapi_document(document: dict[str, Any]) -> None:
    """By the schema that AsyncAPI publishes."""
    schema = json.loads(asyncapi_page.SCHEMA.read_text("utf-8"))

    jsonschema.validate(document, schema)


def test_every_fact_has_a_channel_and_a_message(document: dict[str, Any]) -> None:
    """And nothing else but batches."""
    assert set(document["channels"]) - set(FACT_NAMES) == {
        "events_batch",
        "decisions_batch",
    }
    assert set(document["components"]["messages"]) == {*FACT_NAMES, "batch"}


def test_real_events_are_as_the_page_says(document: dict[str, Any]) -> None:
    """Each captured fact, as `placement tail -o json` prints it."""
    _, messages = read_log(FOLDER / "3-every-subject.jsonl")
    shown = {
        fact_name(type(item.event.fact)): plain(encode_event(item.event))
        for message in messages[:MESSAGES]
        for item in decode_message(message).items
        if isinstance(item, Recorded)
    }

    assert set(shown) == set(FACT_NAMES)
    for fact, event in shown.items():
        payload = document["components"]["messages"][fact]["payload"]
        schema = {**payload, "components": document["components"]}
        jsonschema.validate(_said(event), schema)


def _said(event: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(event))  # type: ignore[no-any-return]  # an object
