"""Which facts teach where versions start: pushes with a tag, and first uses.

Where no scheduler reports machine starts, pulls of manifests stand in for them.
"""

from placement.core.event import ContentPulled, ContentPushed, TagMoved
from placement.core.folds import payoff
from placement.core.folds.demand import Start
from placement.core.folds.presence import At, own
from placement.core.folds.trials import version_started, version_tagged
from placement.core.oci import Digest, Repository, Tag
from placement.core.state import State


def content_pushed(state: State, at: At, fact: ContentPushed) -> None:
    """Take a push with a tag for a new version, unless it was one before."""
    if fact.tag is not None:
        _tagged(state, at, fact.repository, fact.content.digest, fact.tag)


def tag_moved(state: State, at: At, fact: TagMoved) -> None:
    """Take what gets its first tag later than its bytes for a version from then on."""
    if fact.digest is not None:
        _tagged(state, at, fact.repository, fact.digest, fact.tag)


def machine_started(state: State, at: At, start: Start | None, tag: Tag | None) -> None:
    """Settle what a start decides; None is a start that is old news."""
    if start is not None:
        version_started(state, at, start, tag)


def content_pulled(
    state: State, at: At, fact: ContentPulled, pull: Start | None
) -> None:
    """Let an image's pull stand in for a start where nobody reports any."""
    if pull is not None and not state.count("machine_started"):
        payoff.content_pulled(state, at, fact, pull)
        version_started(state, at, pull, fact.tag)


def _tagged(
    state: State, at: At, repository: Repository, digest: Digest, tag: Tag
) -> None:
    placement = state.placement_row(repository, digest)
    app = own(state, at, state.repository_row(repository))
    version_tagged(state, at, placement, app, tag)
