"""What is wrong with a configuration: where it was said, which key, and the remedy."""

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, SecretStr, ValidationError

from placement.core.errors import InputError, PlacementError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

SECRET: Final = "(secret)"  # noqa: S105 - what is shown instead of one

SECRET_KEYS: Final = frozenset({"password"})

Origin = Callable[[str], str]
"""Tells where a dotted key was set, for people."""


class ConfigError(PlacementError):
    """What the operator chose cannot be: every problem, each with its remedy."""

    reason = "CONFIG_INVALID"

    def __init__(self, problems: Sequence[tuple[str, InputError]]) -> None:
        """Keep *problems*, at least one: where it was said, and what is wrong."""
        super().__init__("\n".join(f"{origin}: {error}" for origin, error in problems))
        self.problems = tuple(problems)
        self.metadata = problems[0][1].metadata


def config_error(
    model: type[BaseModel], error: ValidationError, origin: Origin, prefix: str = ""
) -> ConfigError:
    """Return *error* of *model* with every key named from *prefix* inwards."""
    problems = [_problem(model, detail, prefix) for detail in error.errors()]
    return ConfigError([(origin(problem.field), problem) for problem in problems])


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every key below *model*, in their order."""
    for name, field in model.model_fields.items():
        inner = _section(field)
        if inner is None:
            yield prefix + name
        else:
            yield from keys_of(inner, f"{prefix}{name}.")


def _problem(model: type[BaseModel], detail: "ErrorDetails", prefix: str) -> InputError:
    path = [str(part) for part in detail["loc"]]
    key = ".".join([prefix, *path] if prefix else path)
    holder, field = _found(model, path)
    if detail["type"] == "extra_forbidden":
        near = get_close_matches(path[-1], holder.model_fields, n=1)
        known = near[0] if near else ", ".join(holder.model_fields)
        return InputError(key, path[-1], f"no such key; is it {known}?")
    stated = detail.get("ctx", {}).get("error")
    takes = (field and field.description) or f"a table: [{key}]"
    remedy = str(stated) if stated else f"give {takes}"
    if (
        path and path[-1] in SECRET_KEYS
    ):  # of a table by region, whose keys are not looked up
        return InputError(key, SECRET, remedy)
    return InputError(key, _shown(field, detail["input"]), remedy)


def _found(
    model: type[BaseModel], path: Sequence[str]
) -> tuple[type[BaseModel], "FieldInfo | None"]:
    """Return the model that the last known key of *path* belongs to, and its field."""
    field: FieldInfo | None = None
    for part in path:
        if field is not None:
            model = _section(field) or model
        field = model.model_fields.get(part)
        if field is None:
            break
    return model, field


def _section(field: "FieldInfo") -> type[BaseModel] | None:
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return None


def _shown(field: "FieldInfo | None", value: object) -> object:
    """Return *value*, unless it is a secret or may hold one: an address with @."""
    if isinstance(value, (dict, list)):
        return "a table" if isinstance(value, dict) else "a list"
    secret = field is not None and field.annotation is SecretStr
    return SECRET if secret or "@" in str(value) else value
