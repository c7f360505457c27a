"""Texts that somebody damaged: JSON, TOML, headers, tokens, addresses."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.mutations import damaged

ODD_TEXTS = (
    "",
    " ",
    "\x00",
    "\n",
    "\r\nX: y",
    "é",
    "\u202e",
    "\ufeff",
    "0",
    "-1",
    "9" * 5_000,
    "1e999",
    "NaN",
    "%00",
    "%2e%2e%2f",
    "../",
    "//",
    ":",
    "@",
    "[",
    "http://[",
    "http://169.254.169.254/",
    "a" * 300,
    "sha256:",
    "sha512:" + "0" * 128,
    "sha256:" + "0" * 64,
    ".",
    "=",
    '"',
    "\\",
    ";",
    ",",
)
ODD_JSON = (
    b'{"a":' + b"9" * 5_000 + b"}",
    b'{"data": {"a": NaN, "b": -Infinity, "c": 1e999}}',
    b'{"id": "\\ud800", "data": {"id": "\\udfff"}}',
    b'{"id": 1, "id": 2, "id": [], "data": {}, "data": []}',
    b'{"id": "\xff\xfe"}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"[" * 20_000,
    b'{"a":' * 20_000,
    b"[" + b"{}," * 2_000 + b"{}]",
    b'"' + b"x" * 50_000 + b'"',
    b"null",
    b"true",
    b"0",
    b"",
    b" ",
)
ODD_TOML = (
    "NaN",
    "-inf",
    "99999999999999999999999",
    '"\\ud800"',
    '"x"',
    '""',
    "true",
    "[]",
    "[[[[]]]]",
    "{}",
    "{a = {b = 1}}",
    "1979-05-27T07:32:00Z",
    "-1",
    "0.0",
    "1e308",
    '["a", "b"]',
    "'" + "y" * 2_000 + "'",
)
ODD_SHARE = 0.01
"""Of JSON bodies; they are large, and slow to read."""


def spoiled_text(chance: Random, text: str) -> str:
    """Return *text* with something put in, taken out, doubled or written over."""
    at, to = sorted((chance.randint(0, len(text)), chance.randint(0, len(text))))
    odd = chance.choice(ODD_TEXTS)
    letter = chr(chance.randrange(1, 0xD800))
    return chance.choice(
        (
            text[:at] + odd + text[at:],
            text[:at] + text[to:],
            text[:to] + text[at:],
            odd,
            text[:at] + letter + text[at + 1 :],
            text.swapcase(),
            text[:at] + odd + text[to:],
        )
    )


def spoiled_json(chance: Random, document: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return *document* as bytes, with something wrong in its parts or its letters."""
    if chance.random() < ODD_SHARE:
        return chance.choice(ODD_JSON)
    text = json.dumps(damaged(document, chance))
    if chance.random() < 0.1:
        text = spoiled_text(chance, text)
    body = bytearray(text.encode("utf-8", "surrogatepass"))
    if body and chance.random() < 0.1:
        body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body)


def spoiled_toml(chance: Random, text: str) -> str:
    """Return TOML with lines lost, doubled, moved, renamed or given other values."""
    lines = text.splitlines()
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        key, equals, _ = lines[at].partition(" = ")
        match chance.randrange(7):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines.append(lines[at])
            case 2:
                lines.insert(0, lines.pop(at))
            case 3:
                lines[at] = spoiled_text(chance, lines[at])
            case _ if equals:
                lines[at] = f"{key} = {chance.choice(ODD_TOML)}"
            case _:
                lines.insert(at, f"x{at} = {chance.choice(ODD_TOML)}")
    return "\n".join(lines)


def spoiled_headers(
    chance: Random, headers: Sequence[tuple[str, str]]
) -> list[tuple[bytes, bytes]]:
    """Return *headers* in HTTP's bytes; some lost, doubled, emptied or spoiled."""
    found: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if chance.random() < 0.1:
            continue
        said = spoiled_text(chance, value) if chance.random() < 0.3 else value
        line = (name.lower().encode("latin-1"), said.encode("utf-8", "replace"))
        found += [line] * (1 + (chance.random() < 0.1))
    return found
