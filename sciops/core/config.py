"""Strict settings: frozen pydantic models, YAML files, ``a.b=c`` overrides, plain errors.

An unknown name is refused with the nearest known one.  A field that holds a plug-in is a mapping
with ``kind`` (a plug-in name); the class behind the name reads the rest of the mapping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SerializeAsAny,
    ValidationError,
)

from sciops.core import resolve
from sciops.core.errors import ConfigError, NotFound, did_you_mean

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Base of every settings class: frozen, strict about names, validated on construction."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, protected_namespaces=()
    )


class PlugInSettings(Settings):
    """Settings of a plug-in; `kind` is its name and fills itself in."""

    group: ClassVar[str]
    kind: str = ""

    def model_post_init(self, _: object) -> None:
        if not self.kind:
            object.__setattr__(self, "kind", resolve.name_of(self.group, type(self)))


def _file_name(value: str) -> str:
    if not re.fullmatch(r"\w[\w.+-]*", value):
        raise ValueError(f"{value!r} is to name a file: expected letters, digits and . _ + - alone")
    return value


FileName = Annotated[str, AfterValidator(_file_name)]


class _Inner(ValueError):
    """Errors of a plug-in's settings on their way out through the enclosing model."""

    def __init__(self, lines: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(text for _, text in lines))
        self.lines = lines


def plug_in_field(group: str) -> Any:
    """The type of a field that holds the settings of a plug-in of `group`."""

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        kind = value.get("kind")
        if not isinstance(kind, str):
            raise _Inner([("kind", f"expected the name of one of the {group}, got {kind!r}")])
        try:
            cls = resolve.find(group, kind)
        except NotFound as error:
            raise _Inner([("kind", str(error))]) from None
        try:
            return cls.model_validate(dict(value))  # type: ignore[attr-defined]
        except ValidationError as error:
            raise _Inner(_lines(error, cls)) from None

    return Annotated[SerializeAsAny[PlugInSettings], BeforeValidator(read)]


def validate(model: type[S], tree: Any, where: str = "") -> S:
    """`tree` as an instance of `model`.

    Raises
    ------
    ConfigError
        One line a fault: where it stands, what was expected, what came.
    """
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{where or 'settings'}: expected a mapping of names, got {tree!r}")
    try:
        return model.model_validate(dict(tree))
    except ValidationError as error:
        prefix = f"{where}: " if where else ""
        lines = [
            f"{prefix}{at}: {text}" if at else f"{prefix}{text}"
            for at, text in _lines(error, model)
        ]
        raise ConfigError("\n".join(lines)) from None


def _lines(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """(place, text) of each fault."""
    lines: list[tuple[str, str]] = []
    for fault in error.errors():
        at = [str(part) for part in fault["loc"]]
        inner = fault.get("ctx", {}).get("error")
        if isinstance(inner, _Inner):
            lines += [
                (".".join([*at, *filter(None, [place])]), text) for place, text in inner.lines
            ]
        elif fault["type"] == "extra_forbidden":
            known = _names_at(model, fault["loc"][:-1])
            lines.append(
                (
                    ".".join(at[:-1]),
                    f"unknown setting {at[-1]!r}.{did_you_mean(at[-1], known)}"
                    + (f" Known: {', '.join(known)}." if known else ""),
                )
            )
        elif fault["type"] == "missing":
            lines.append((".".join(at[:-1]), f"the setting {at[-1]!r} is missing"))
        else:
            text = fault["msg"].removeprefix("Value error, ")
            given = "" if inner is not None else f", got {fault['input']!r}"
            lines.append((".".join(at), text[:1].lower() + text[1:] + given))
    return lines


def _names_at(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """The settings that are known at a place inside `model`."""
    here: Any = model
    for part in place:
        if isinstance(here, type) and issubclass(here, BaseModel) and part in here.model_fields:
            here = here.model_fields[str(part)].annotation
        candidates = [here, *getattr(here, "__args__", ())]
        here = next(
            (c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), here
        )
    if isinstance(here, type) and issubclass(here, BaseModel):
        return list(here.model_fields)
    return []


class _Loader(yaml.SafeLoader):
    """Safe YAML that also reads 1e-4 as a number and refuses a name that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        double = next((k for i, k in enumerate(keys) if k in keys[:i]), None)
        if double is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"{double!r} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: list(rules) for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def parse_yaml(text: str, where: str) -> Any:
    """The tree that `text` holds; ConfigError with line and column if it is not YAML."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{where}{place}: not valid YAML: {getattr(error, 'problem', error)}"
        ) from None


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file."""
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; expected a YAML file of settings")
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file; expected YAML") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected a mapping of names, got {type(tree).__name__}")
    return tree


def override(tree: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """`tree` with each ``a.b=c`` carried out; c is read as YAML, list items are numbers."""
    out: dict[str, Any] = _copied(tree)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path or any(not p for p in path.split(".")):
            raise ConfigError(
                f"cannot read the override {assignment!r}; expected name=value or a.b=value"
            )
        *parents, last = path.split(".")
        here: Any = out
        for part in parents:
            here = _step(here, part, assignment)
        _set(here, last, parse_yaml(text, f"override {assignment!r}"), assignment)
    return out


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _copied(v) for k, v in value.items()}
    return [_copied(v) for v in value] if isinstance(value, list) else value


def _step(here: Any, part: str, assignment: str) -> Any:
    if isinstance(here, dict):
        return here.setdefault(part, {})
    if isinstance(here, list) and part.isdigit() and int(part) < len(here):
        return here[int(part)]
    raise ConfigError(f"override {assignment!r}: there is no {part!r} to go into")


def _set(here: Any, last: str, value: Any, assignment: str) -> None:
    if isinstance(here, dict):
        here[last] = value
    elif isinstance(here, list) and last.isdigit() and int(last) < len(here):
        here[int(last)] = value
    else:
        raise ConfigError(f"override {assignment!r}: there is no {last!r} to set")


def to_yaml(settings: Settings) -> str:
    """The settings, defaults included, as YAML that `validate` reads back."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
