"""Tokens: what they say, and when a state may say that it holds what one stands for."""

import asyncio
from hashlib import blake2b

import pytest

from placement.core.errors import TokenInvalidError
from placement.core.state import State
from placement.runtime.tokens import (
    RECENT_MESSAGES_MAX,
    Recent,
    Token,
    body_mark,
    make_token,
    message_mark,
    parse_token,
)
from placement.runtime.view import View
from tests.builders import START_NS

EPOCH = "log-1.5"
LOST, KEPT = b"what the log lost", b"what came instead"


def hash_of(body: bytes) -> bytes:
    """Return what stands for the hash of a message of *body*."""
    return blake2b(body, digest_size=16).digest()


def view_of(*bodies: bytes, epoch: str = EPOCH, forgotten: int = 0) -> View:
    """Return a view that folded *bodies*, and remembers all but the first few."""
    state, recent = State(), Recent()
    for sequence, body in enumerate(bodies, 1):
        state.sequence, state.message_hash = sequence, hash_of(body)
        if sequence > forgotten:
            recent.note(sequence, body, state.message_hash)
    view = View(lambda: START_NS)
    view.replace(state, epoch, restored=False, recent=recent)
    return view


@pytest.mark.parametrize("mark", ["", "b0123abcd", "m00000000", "b12345678"])
@pytest.mark.parametrize("epoch", ["log", EPOCH, "log~1-54d1c9aa"])
def test_token_means_the_same_when_it_comes_back(epoch: str, mark: str) -> None:
    """Epochs may have dots, and a mark of decimal digits alone is still one."""
    token = Token(epoch, 2**63 - 1, mark)

    assert parse_token(make_token(epoch, token.sequence, mark)) == token


@pytest.mark.parametrize(
    "text",
    [
        *("", "v1", "v1.e", "v1..1", "v2.e.1", "v1.e.-1", "v1.e.²", "v1.e.1."),
        *("v1.e.b0123abcd", "v1.e.1.b0123abc", "v1.e.1.B0123ABCD", "v1.e.1.c0123abcd"),
    ],
)
def test_text_of_another_make_is_no_token(text: str) -> None:
    """With the field at fault."""
    with pytest.raises(TokenInvalidError) as raised:
        parse_token(text)

    assert raised.value.field == "consistency.token"


async def test_answer_token_of_a_lost_end_is_not_reached() -> None:
    """The replica never saw what was lost: it has the name, and another message."""
    token = view_of(b"a", LOST).basis().token

    assert await view_of(b"a", LOST).wait_for(token, 0)
    assert not await view_of(b"a", KEPT).wait_for(token, 0)
    assert not await view_of(b"a", KEPT, b"c").wait_for(token, 0)


async def test_publish_token_of_a_lost_end_is_not_reached() -> None:
    """Whoever stored the message knows its body, and so does who folded it."""
    token = make_token(EPOCH, 2, body_mark(LOST))

    assert await view_of(b"a", LOST, b"c").wait_for(token, 0)
    assert not await view_of(b"a", KEPT, b"c").wait_for(token, 0)


async def test_names_of_one_log_may_differ_where_the_message_is_the_same() -> None:
    """Replicas that lost different ends call what came instead by different names."""
    token = view_of(b"a", KEPT, epoch="log~1-54d1c9aa").basis().token

    assert await view_of(b"a", KEPT, b"c", epoch="log~1-b9150000").wait_for(token, 0)
    assert not await view_of(b"a", KEPT, b"c", epoch="other").wait_for(token, 0)


async def test_token_of_another_name_is_waited_for() -> None:
    """It may be of the same history, which this replica has not folded so far."""
    view, recent = view_of(b"a", epoch="log~1-b9150000"), Recent()
    state = view.state
    view.replace(state, view.epoch, restored=False, recent=recent)
    token = make_token("log", 2, body_mark(KEPT))
    waiting = asyncio.ensure_future(view.wait_for(token, 5))
    await asyncio.sleep(0)
    assert not waiting.done()

    state.sequence, state.message_hash = 2, hash_of(KEPT)
    recent.note(2, KEPT, state.message_hash)
    view.advanced()

    assert await waiting


async def test_token_whose_message_turns_out_another_is_not_reached() -> None:
    """It was waited for, and then something else was there."""
    view, recent = view_of(b"a"), Recent()
    state = view.state
    view.replace(state, EPOCH, restored=False, recent=recent)
    waiting = asyncio.ensure_future(
        view.wait_for(make_token(EPOCH, 2, body_mark(LOST)), 5)
    )
    await asyncio.sleep(0)

    state.sequence, state.message_hash = 2, hash_of(KEPT)
    recent.note(2, KEPT, state.message_hash)
    view.advanced()

    assert not await waiting


async def test_message_that_is_not_remembered_is_known_by_the_whole_name() -> None:
    """After a restart, or long after: as before there were marks."""
    view = view_of(b"a", b"b", b"c", forgotten=3)

    assert await view.wait_for(make_token(EPOCH, 2, body_mark(LOST)), 0)
    assert not await view.wait_for(make_token("log-1.5~1-0", 2, body_mark(b"b")), 0)


async def test_last_message_of_a_checkpoint_is_known_by_its_hash() -> None:
    """The state itself has that, however it came."""
    view = view_of(b"a", KEPT, forgotten=2)

    assert not await view.wait_for(make_token(EPOCH, 2, message_mark(hash_of(LOST))), 0)
    assert await view.wait_for(make_token("log-1.5~1-0", 2, view.basis().mark), 0)


async def test_token_without_a_mark_goes_by_the_name() -> None:
    """An older version made it."""
    view = view_of(b"a", b"b")

    assert await view.wait_for(make_token(EPOCH, 1), 0)
    assert not await view.wait_for(make_token("log-1.5~1-0", 1), 0)


def test_only_the_last_messages_are_remembered() -> None:
    """The ring forgets the oldest, and everything where one is missing."""
    recent = Recent()
    for sequence in range(5, RECENT_MESSAGES_MAX + 7):
        recent.note(sequence, b"%d" % sequence, hash_of(b"%d" % sequence))

    last = RECENT_MESSAGES_MAX + 6
    assert recent.marks(6) == recent.marks(last + 1) == ()
    for sequence in (7, 8, last):
        body = b"%d" % sequence
        marks = (body_mark(body), message_mark(hash_of(body)))
        assert recent.marks(sequence) == marks

    recent.note(last + 2, b"x", hash_of(b"x"))

    assert recent.marks(last) == ()
    assert recent.marks(last + 2) == (body_mark(b"x"), message_mark(hash_of(b"x")))
