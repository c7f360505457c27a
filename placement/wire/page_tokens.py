"""Page tokens: where a listing goes on, bound to what was asked and to the epoch.

A token holds the last key that was listed and a hash over it, the filter and the epoch.
So it cannot be carried to another listing by mistake; it is no secret and no signature.
"""

from base64 import b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Final

from placement.core.errors import PageTokenInvalidError

Key = tuple[str, str, str]

FIRST: Final[Key] = ("", "", "")
"""Before every key."""
_TOKEN_LENGTH_MAX: Final = 1_024
_HASH_BYTES: Final = 8


def make_page_token(binding: tuple[str, ...], last: Key) -> str:
    """Return a token that goes on after *last*, for the same *binding* only."""
    text = "\0".join(last).encode()
    return urlsafe_b64encode(_hash(binding, last) + text).rstrip(b"=").decode()


def parse_page_token(
    token: str, binding: tuple[str, ...], field: str = "page_token"
) -> Key:
    """Return the key to go on after, FIRST for an empty token.

    Raises PageTokenInvalidError unless the token was made for this *binding*.
    """
    if not token:
        return FIRST
    last = _opened(token)
    if last is None or make_page_token(binding, last) != token:
        remedy = "it is of another filter or epoch; begin again without a token"
        raise PageTokenInvalidError(field, token, remedy)
    return last


def _opened(token: str) -> Key | None:
    if len(token) > _TOKEN_LENGTH_MAX:
        return None
    try:
        padded = token + "=" * (-len(token) % 4)
        raw = b64decode(padded, altchars=b"-_", validate=True)
        repository, digest, region = raw[_HASH_BYTES:].decode().split("\0")
    except ValueError:
        return None
    return repository, digest, region


def _hash(binding: tuple[str, ...], last: Key) -> bytes:
    text = "\0".join((*binding, *last))
    return blake2b(text.encode(), digest_size=_HASH_BYTES).digest()
