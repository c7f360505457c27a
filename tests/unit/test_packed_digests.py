"""Digests packed by the client: all as one by one, and which is wrong is told."""

from hashlib import sha256

import pytest

from placement.client.packed import pack_digests
from placement.core.errors import DigestInvalidError

COUNT = 50
DIGESTS = [f"sha256:{sha256(bytes([n])).hexdigest()}" for n in range(COUNT)]
BODY = b"".join(sha256(bytes([number])).digest() for number in range(COUNT))


def test_digests_are_packed_one_after_another() -> None:
    """Each is its 32 bytes; none is nothing."""
    assert pack_digests(DIGESTS) == BODY
    assert pack_digests([]) == b""


@pytest.mark.parametrize(
    "wrong",
    [
        DIGESTS[0][:-1],
        DIGESTS[0] + "0",
        DIGESTS[0].upper(),
        DIGESTS[0][:-1] + "F",
        DIGESTS[0][:-1] + " ",
        DIGESTS[0][:-1] + "é",
        DIGESTS[0][:-1] + "\ud800",
        DIGESTS[0][:-1] + "\N{FULLWIDTH DIGIT ONE}",
        "sha512:" + DIGESTS[0][7:],
        "sha512:" + 2 * DIGESTS[0][7:],
        DIGESTS[0][7:] + "sha256:",
        "",
    ],
)
def test_a_wrong_digest_is_named_by_its_place(wrong: str) -> None:
    """Whatever is wrong with it, and however right all others are."""
    with pytest.raises(DigestInvalidError) as raised:
        pack_digests([*DIGESTS[:7], wrong, *DIGESTS[7:]])

    assert raised.value.field == "digests[7]"


def test_two_wrong_lengths_do_not_make_up_for_each_other() -> None:
    """What is whole only together is wrong."""
    whole = DIGESTS[0] + DIGESTS[1]

    with pytest.raises(DigestInvalidError) as raised:
        pack_digests([whole[:70], whole[70:]])

    assert raised.value.field == "digests[0]"
