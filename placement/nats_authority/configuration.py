"""The part of a nats-server's configuration that says who may do what."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Final

from placement.nats_authority.rights import ALL, Rights
from placement.nats_authority.users import User

HEADER: Final = """\
# Written by `placement nats-config`; docs/nats.md says how to use it. Do not edit it:
# write it again, and let the server load it: nats-server --signal reload
"""


def configuration(entries: Iterable[tuple[User, Mapping[str, str]]]) -> str:
    """Return the accounts with their users, by account, each user with its *entry*."""
    lines = [HEADER, "accounts {"]
    for account, members in groupby(entries, key=lambda entry: entry[0].account):
        lines += [f"  {account} {{", "    jetstream: enabled", "    users: ["]
        for user, entry in members:
            lines += _user(user, entry)
        lines += ["    ]", "  }"]
    return "\n".join([*lines, "}", ""])


def _user(user: User, entry: Mapping[str, str]) -> Iterator[str]:
    said = ", ".join(f"{key}: {json.dumps(value)}" for key, value in entry.items())
    yield f"      # {user.name}"
    yield f"      {{ {said}, permissions: {{"
    yield from _rights(user.rights)
    yield "      } }"


def _rights(rights: Rights) -> Iterator[str]:
    yield "        publish: {"
    yield from _listed("allow", rights.publish)
    if rights.publish_denied:
        yield from _listed("deny", rights.publish_denied)
    yield "        }"
    yield "        subscribe: {"
    if rights.subscribe:
        yield from _listed("allow", rights.subscribe)
    else:
        yield from _listed("deny", (ALL,))
    yield "        }"


def _listed(name: str, subjects: Iterable[str]) -> Iterator[str]:
    yield f"          {name}: ["
    yield from (f"            {json.dumps(subject)}" for subject in subjects)
    yield "          ]"
