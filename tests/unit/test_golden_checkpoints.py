"""Checkpoints as they were once saved: they load for ever, as what they were then.

Each is of the golden log of its name. A file holds a JSON document a line: first what
the state was, then its chunks, compressed.
"""

import json
from base64 import b64decode
from pathlib import Path
from zlib import decompress

import pytest

from placement.core.chunks import PackedChunk, load, take_dirty
from placement.core.fingerprint import fingerprint
from placement.core.state import State
from tests.golden_logs import FOLDER, folded_messages, read_log
from tests.links import linked, looked_up

CHECKPOINTS = sorted((FOLDER.parent / "checkpoints").glob("*.jsonl"))


def read_checkpoint(path: Path) -> tuple[str, list[PackedChunk]]:
    """Return the fingerprint that was saved, and the chunks."""
    header, *chunks = map(json.loads, path.read_text("utf-8").splitlines())
    return header["fingerprint"], [
        (chunk["table"], chunk["number"], decompress(b64decode(chunk["body"])))
        for chunk in chunks
    ]


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: path.stem)
def test_saved_checkpoint_loads_for_ever(path: Path) -> None:
    """Of the first layout: what it said it was, with links made of its rows."""
    expected, chunks = read_checkpoint(path)
    _, messages = read_log(FOLDER / path.name)
    folded, state = folded_messages(messages), State()

    load(state, chunks)

    assert fingerprint(state) == expected
    assert linked(state) == looked_up(state)
    assert looked_up(folded) == linked(folded), "which means something else by now"


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: path.stem)
def test_loaded_checkpoint_is_saved_anew(path: Path) -> None:
    """In the layout of today, whole."""
    expected, chunks = read_checkpoint(path)
    state, again = State(), State()
    load(state, chunks)

    load(again, take_dirty(state))

    assert fingerprint(again) == expected
    assert linked(again) == linked(state)
    assert take_dirty(again) == []
