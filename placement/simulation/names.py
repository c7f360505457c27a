"""How the apps and versions of a trace become repositories and tags, and back.

An app of lower-case letters and digits, with single ``.``, ``_``, ``-`` between them,
keeps its name: ``collections`` of the trace ``govuk`` is ``govuk/collections``. All
else is escaped so that it can be read back, since an app's size follows from its own
name: any other character of a path component is written ``--hh`` for each byte of its
UTF-8, and a component that would then begin with ``-`` gets a ``0`` before it. So
``tap/tapSchema`` becomes ``tap/tap--53chema`` and ``vault/chart:vault`` becomes
``vault/chart--3avault``.
"""

import re
from hashlib import sha256
from typing import Final

from placement.core.errors import NameInvalidError, TagInvalidError
from placement.core.oci import (
    TAG_LENGTH_MAX,
    Repository,
    Tag,
    parse_repository,
    parse_tag,
)

_ESCAPE: Final = re.compile(r"--([0-9a-f]{2})")
_EMPTY: Final = "0--2f"
"""An empty component: its escape is that of a slash, which no component holds."""
_PLAIN: Final = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_LONE: Final = re.compile(r"(?<=[a-z0-9])[._-](?=[a-z0-9])|[a-z0-9]")
_ALGORITHM: Final = re.compile(r"([a-z0-9]+):(?=[0-9a-f]{32,}$)")
_NOT_IN_TAG: Final = re.compile(r"[^A-Za-z0-9._-]")
_HASH_LENGTH: Final = 16


def repository_of(trace: str, app: str, field: str = "app") -> Repository:
    """Return the repository that stands for *app*; no two apps of a trace share one.

    Raises NameInvalidError, naming *field*, for an app without a name, and for one
    that is too long.
    """
    if not app:
        raise NameInvalidError(field, app, "give the name of an app")
    escaped = "/".join(map(_escaped, app.split("/")))
    return parse_repository(f"{trace}/{escaped}", field)


def app_of(repository: str) -> str:
    """Return the app's own name: what follows the repository's first component.

    A repository of one component is its own app. Text that only looks escaped is
    left as it is.
    """
    named = repository.partition("/")[2] or repository
    return "/".join(map(_unescaped, named.split("/")))


def tag_of(version: str, field: str = "tag") -> Tag:
    """Return the tag that stands for *version*; its shape stays what it was.

    ``sha256:<hex>`` becomes ``sha256-<hex>``, ``+`` becomes ``_`` (as in the tags of
    Helm charts), another character that no tag holds becomes ``_hh`` for each byte; a
    leading ``.`` or ``-`` gets a ``_`` before it. What is longer than a tag may be ends
    in ``-`` and 16 digits of its hash. Raises TagInvalidError for an empty version.
    """
    if not version:
        raise TagInvalidError(field, version, "give the version that was deployed")
    text = _ALGORITHM.sub(r"\1-", version, count=1).replace("+", "_")
    text = _NOT_IN_TAG.sub(lambda found: _hexed(found[0], "_"), text)
    if text[0] in ".-":
        text = "_" + text
    if len(text) > TAG_LENGTH_MAX:
        ending = "-" + sha256(version.encode()).hexdigest()[:_HASH_LENGTH]
        text = text[: TAG_LENGTH_MAX - len(ending)] + ending
    return parse_tag(text, field)


def _escaped(component: str) -> str:
    if not component:
        return _EMPTY
    if _PLAIN.fullmatch(component):
        return component
    written = "".join(
        component[at] if _LONE.match(component, at) else _hexed(component[at], "--")
        for at in range(len(component))
    )
    if written.startswith("0--"):
        written = _hexed("0", "--") + written[1:]
    return "0" + written if written.startswith("-") else written


def _unescaped(component: str) -> str:
    if component == _EMPTY:
        return ""
    stripped = component[1:] if component.startswith("0--") else component
    try:
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), stripped)
        app = text.encode("latin-1").decode()
    except UnicodeError:
        return component
    return app if _escaped(app) == component else component


def _hexed(character: str, mark: str) -> str:
    return "".join(f"{mark}{byte:02x}" for byte in character.encode())
