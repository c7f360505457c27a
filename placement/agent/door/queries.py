"""Questions in an address, as people write them: ``/v1/sources?repository=…``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from placement.core.errors import InputError

Asked = Mapping[str, Sequence[str]]
"""What was given, by name, in its order."""
_FRESHNESS: Final = ("token", "max_staleness", "fail")


@dataclass(frozen=True, slots=True)
class Query:
    """One kind of question: its method, what it may be given, and its request."""

    method: str
    names: tuple[str, ...]
    request: Callable[[Asked], dict[str, Any]]


def request_of(query: Query, asked: Asked) -> dict[str, Any]:
    """Return the request as a JSON object; raises InputError for what is not known."""
    known = (*query.names, *_FRESHNESS)
    for name, values in asked.items():
        if name not in known:
            raise InputError(name, values[0], f"give some of {', '.join(known)}")
        if len(values) > 1 and name != "image":
            raise InputError(name, values[1], "give it once")
    found = query.request(asked)
    consistency: dict[str, Any] = _given(asked, "token", "max_staleness")
    if len(consistency) > 1:
        remedy = "give token or max_staleness, not both"
        raise InputError("max_staleness", consistency["max_staleness"], remedy)
    if "fail" in asked:
        consistency["fail"] = _truth(asked["fail"][0])
    return found | ({"consistency": consistency} if consistency else {})


def split_image(text: str) -> dict[str, str]:
    """Return ``REPOSITORY:TAG`` or ``REPOSITORY@DIGEST`` as two fields."""
    repository, at, digest = text.partition("@")
    if at:
        return {"repository": repository, "reference": digest}
    repository, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        remedy = "say which one: REPOSITORY:TAG or REPOSITORY@sha256:..."
        raise InputError("image", text, remedy)
    return {"repository": repository, "reference": tag}


def _given(asked: Asked, *names: str, **renamed: str) -> dict[str, Any]:
    """Return what was given of these, as fields of these names."""
    wanted = dict(zip(names, names, strict=True)) | renamed
    return {field: asked[name][0] for name, field in wanted.items() if name in asked}


def _truth(text: str) -> bool:
    if text not in {"true", "false"}:
        raise InputError("fail", text, "give true or false")
    return text == "true"


def _sources(asked: Asked) -> dict[str, Any]:
    return _given(asked, "repository", "digest", "region", count="max_source_count")


def _estimate(asked: Asked) -> dict[str, Any]:
    images: list[dict[str, Any]] = [split_image(one) for one in asked.get("image", ())]
    if "platform" in asked:
        parts = asked["platform"][0].split("/")
        names = ("os", "architecture", "variant")
        if not 1 < len(parts) <= len(names):
            remedy = "give os/architecture, such as linux/arm64"
            raise InputError("platform", asked["platform"][0], remedy)
        platform = dict(zip(names, parts, strict=False))
        images = [image | {"platform": platform} for image in images]
    fields = {"in": "candidates", "count": "machine_count", "max": "max_region_count"}
    return {"images": images, **_given(asked, "request_id", **fields)}


def _image(asked: Asked) -> dict[str, Any]:
    if len(asked.get("image", ())) != 1:
        raise InputError("image", "", "give one, such as image=acme/web:v1")
    return split_image(asked["image"][0])


def _nothing(_asked: Asked) -> dict[str, Any]:
    return {}


QUERIES: Final[Mapping[str, Query]] = MappingProxyType(
    {
        "sources": Query(
            "RankSources", ("repository", "digest", "region", "count"), _sources
        ),
        "estimate": Query(
            "EstimateStarts",
            ("image", "in", "count", "max", "platform", "request_id"),
            _estimate,
        ),
        "where": Query("GetPlacement", ("image",), _image),
        "resolve": Query("ResolveReference", ("image",), _image),
        "info": Query("GetServiceInfo", (), _nothing),
    }
)
"""By the last part of the address."""
