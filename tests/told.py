"""A translation as people read it: what golden files hold."""

from collections.abc import Iterator
from dataclasses import astuple, fields, is_dataclass

from placement.agent.feeds.translation import Translation


def described(translation: Translation) -> Iterator[str]:
    """Every field that is not empty, of every event; then what makes none."""
    for event in translation.events:
        yield f"{event.region} {event.occur_time_ns} {event.event_id}"
        yield f"  {type(event.fact).__name__}"
        for item in fields(event.fact):
            value = getattr(event.fact, item.name)
            values = value if isinstance(value, tuple) else (value,)
            for part in filter(None, values):
                whole = is_dataclass(part) and not isinstance(part, type)
                shown = astuple(part) if whole else (part,)
                yield f"    {item.name}: {' '.join(map(str, filter(None, shown)))}"
    for ignored in translation.ignored:
        yield f"ignored {ignored.event_id} {ignored.reason}"
    for malformed in translation.malformed:
        yield f"malformed {malformed}"
