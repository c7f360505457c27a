"""Every feed by its name, as a receiver serves it: a body and its headers."""

from collections.abc import Callable, Mapping

from placement.agent.feeds import cloud_events, distribution, ecr, harbor, zot
from placement.agent.feeds.cloud_events import decoded, document_of
from placement.agent.feeds.distribution import RequestLog
from placement.agent.feeds.translation import FeedSettings, Malformed, Translation
from placement.core.errors import InputError

Feed = Callable[[bytes, Mapping[str, str]], Translation]
"""What a body and its headers mean; raises nothing, whatever they are."""

Translate = Callable[[object, FeedSettings], Translation]


def feeds(
    settings: FeedSettings, request_log: RequestLog | None = None
) -> dict[str, Feed]:
    """Return every feed of one registry: for ``/v1/notifications/{name}``.

    *request_log* may grow meanwhile.
    """

    def from_distribution(body: bytes, _headers: Mapping[str, str]) -> Translation:
        try:
            return distribution.translate(decoded(body), settings, request_log)
        except InputError as error:
            return Translation(malformed=(Malformed.of(None, error),))

    enveloped = {
        "harbor": harbor.translate,
        "zot": zot.translate,
        "cloudevents": cloud_events.translate,
        "ecr": ecr.translate,
    }
    named = {name: _feed(one, settings) for name, one in enveloped.items()}
    return {"distribution": from_distribution, **named}


def _feed(translate: Translate, settings: FeedSettings) -> Feed:
    def feed(body: bytes, headers: Mapping[str, str]) -> Translation:
        try:
            return translate(document_of(body, headers), settings)
        except InputError as error:
            return Translation(malformed=(Malformed.of(None, error),))

    return feed
