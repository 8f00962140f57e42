"""What arrays mean, said by their owner: the mapping of a YAML file, an argument, a command line.

    file: run_*.h5                      # beside this YAML; several files are joined as samples
    dims:                               # array -> what its stored axes mean, in stored order
      u: sample time y x component      # _ is an axis of length 1 that means nothing
      a: [sample, y, x]
    inputs: [a]                         # roles; left out: arrays with the dim time are states
    coords: {x: [0, 1], y: y_centres}   # ends of equal cells, or an array of positions
    time: {start: 0, dt: 0.1}           # or an array of times
    boundary: {x: periodic, y.lower: wall}
    units: {u: m/s, x: m, time: s}

Dims are ``sample``, ``time``, ``component``, ``component2`` (vectors, tensors), ``node``
(unstructured) and any other name, which is an axis of the grid.  A mapping goes before every
recognition of formats.  What it does not say stays unknown.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import FiniteFloat, field_validator, model_validator

from sciops.core.config import Settings, parse_yaml, validate
from sciops.core.errors import ConfigError, did_you_mean
from sciops.core.schema import Role
from sciops.data.layout import COMPONENTS, Layout

RESERVED = ("sample", "time", "node", *COMPONENTS)
NOTHING = "_"  # an axis of length 1
DIM = re.compile(r"[A-Za-z]\w*|_")
SIMILAR = 0.85  # of a misspelt reserved name: times, samples; not mode, which may be an axis
ENDING = ".mapping.yaml"
LARGEST = 1 << 18  # bytes of a YAML file
MOST = 100_000  # values in it, aliases counted out

ROLES: dict[str, Role] = {
    "inputs": "input",
    "targets": "target",
    "states": "state",
    "geometry": "geometry",
    "forcing": "forcing",
    "params": "param",
}


class Coordinates(Settings):
    """Where the points of an axis lie: an array of positions, or equal cells between two ends."""

    array: str | None = None  # key of the positions
    lower: FiniteFloat | None = None  # ends of the domain
    upper: FiniteFloat | None = None
    spacing: Literal["cell", "node", "periodic", "left", "interior"] = "cell"  # without an array

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"array": value}
        if isinstance(value, (list, tuple)):
            if len(value) != 2:
                raise ValueError("expected [lower, upper], an array's key, or a mapping")
            return {"lower": value[0], "upper": value[1]}
        return value

    @model_validator(mode="after")
    def _whole(self) -> Coordinates:
        if (self.lower is None) != (self.upper is None):
            raise ValueError("lower and upper go together")
        if self.array is None and self.lower is None:
            raise ValueError("expected [lower, upper], or the key of an array of positions")
        return self


class Times(Settings):
    """When the frames are: an array (T,) or (n, T), or equal steps."""

    array: str | None = None
    start: FiniteFloat = 0.0
    dt: FiniteFloat | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"array": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> Times:
        if (self.array is None) == (self.dt is None):
            raise ValueError("expected the key of an array of times, or {start: .., dt: ..}")
        if self.dt is not None and self.dt <= 0:
            raise ValueError("dt must be above 0")
        return self


class Nodes(Settings):
    """Where the nodes of unstructured data lie."""

    arrays: tuple[str, ...]  # one (M, D), or one (M,) for each coordinate
    cells: str | None = None  # (K, V) numbers of the nodes of each cell
    weights: str | None = None  # (M,) volume of each node

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, (str, list, tuple)):
            value = {"arrays": value}
        if isinstance(value, dict) and isinstance(value.get("arrays"), str):
            value = {**value, "arrays": [value["arrays"]]}
        return value


Named = dict[str, tuple[str, ...]]  # variable -> keys of its arrays; () for the one of its name


class Mapping(Settings):
    """Which arrays make which variables, on which axes.

    A role is a list of names, or name -> key of the array (or keys, one a component).
    """

    file: tuple[str, ...] = ()  # paths or patterns; none: what is opened, or what lies beside
    dims: dict[str, tuple[str, ...]] = {}  # key -> stored axes
    rename: dict[str, str] = {}  # key -> name of the variable
    components: dict[str, tuple[str, ...]] = {}  # variable -> keys of its components
    inputs: Named = {}
    targets: Named = {}
    states: Named = {}
    geometry: Named = {}
    forcing: Named = {}
    params: Named = {}
    coords: dict[str, Coordinates] = {}  # axis -> where its points lie
    points: Nodes | None = None
    time: Times | None = None
    boundary: dict[str, str] = {}  # axis, or axis.lower and axis.upper -> kind
    units: dict[str, str] = {}  # variable, parameter, axis or time -> unit
    name: str | None = None
    attributes: dict[str, str] = {}  # source, licence, citation, ..

    @field_validator("file", mode="before")
    @classmethod
    def _files(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("dims", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: _words(v) if isinstance(v, str) else v for k, v in value.items()}

    @field_validator("dims")
    @classmethod
    def _known(cls, dims: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for key, axes in dims.items():
            for axis in axes:
                if not DIM.fullmatch(axis):
                    raise ValueError(f"{key}: {axis!r} is not a name of an axis (or _)")
                close = difflib.get_close_matches(axis, RESERVED, 1, SIMILAR)
                if axis not in RESERVED and close:
                    raise ValueError(f"{key}: unknown dim {axis!r}; did you mean {close[0]!r}?")
                if axis != NOTHING and axes.count(axis) > 1:
                    raise ValueError(f"{key}: {axis!r} stands twice in {' '.join(axes)!r}")
        return dims

    @field_validator(*ROLES, mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = _words(value)
        if isinstance(value, (list, tuple)):
            return {name: () for name in value} if all(isinstance(v, str) for v in value) else value
        if isinstance(value, dict):
            return {k: (v,) if isinstance(v, str) else v for k, v in value.items()}
        return value

    @field_validator("boundary")
    @classmethod
    def _kinds(cls, boundary: dict[str, str]) -> dict[str, str]:
        from sciops.data.checks.boundary import KINDS

        for place, kind in boundary.items():
            if kind not in KINDS:
                raise ValueError(
                    f"{place}: expected one of {', '.join(KINDS)}, got {kind!r}."
                    f"{did_you_mean(kind, KINDS)}"
                )
            axis, _, side = place.partition(".")
            if side not in ("", "lower", "upper") or (side and kind == "periodic"):
                raise ValueError(
                    f"{place}: expected {axis}, {axis}.lower or {axis}.upper"
                    + (f"; periodic is a matter of the whole axis {axis}" if side else "")
                )
        return boundary


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def mapping_of(given: Mapping | dict[str, Any] | str | Path) -> Mapping:
    """The mapping itself, as a dictionary, or as the path of a YAML file.

    Raises
    ------
    ConfigError
        If a setting is unknown or makes no sense; the nearest known name is suggested.
    """
    if isinstance(given, Mapping):
        return given
    if isinstance(given, dict):
        return validate(Mapping, given, "mapping")
    path = Path(given)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; expected the YAML of a mapping")
    tree = tree_of(path)
    if tree is None:
        raise ConfigError(
            f"{path}: expected the YAML of a mapping, with dims: {{array: sample time y x}}"
        )
    return validate(Mapping, tree, str(path))


def tree_of(path: Path) -> dict[str, Any] | None:
    """The tree of a YAML file with the key ``dims``; None where it is something else."""
    if not path.is_file() or path.stat().st_size > LARGEST:
        return None
    try:
        text = path.read_text(encoding="utf-8")
        if "dims" not in text or "\0" in text:
            return None
        tree = parse_yaml(text, str(path))
    except (OSError, UnicodeDecodeError, ConfigError, ValueError, TypeError, RecursionError):
        return None
    if not isinstance(tree, dict) or "dims" not in tree:
        return None
    whole = sum(1 for _ in islice(_values(tree), MOST)) < MOST
    return tree if whole else None


def _values(tree: Any) -> Any:
    """Every value, those behind aliases each time that they are named."""
    stack = [tree]
    while stack:
        here = stack.pop()
        yield here
        if isinstance(here, dict):
            stack += here.values()
        elif isinstance(here, list):
            stack += here


def sidecar_of(path: Path) -> Path | None:
    """``u.npz.mapping.yaml`` beside ``u.npz``, ``mapping.yaml`` in a folder; None if there is none.

    What a data set's owner wrote there goes before every recognition.  The ending of the file is
    part of the name, since ``u.hdf5`` beside it may be what was made of ``u.npz``.
    """
    for beside in (path.parent / (path.name + ENDING), path / ENDING[1:]):
        if beside.is_file() and beside != path:
            return beside
    return None


def description_hash(layout: Layout) -> str:
    """SHA-256 of what is said about the arrays: schema, which array is what, times, parameters."""
    parts = [
        {
            "arrays": {
                k: [(s.key, s.axes, s.fixed, s.flipped) for s in a] for k, a in p.arrays.items()
            },
            "times": None if p.times is None else p.times.tolist(),
            "params": {k: v.tolist() for k, v in p.params.items()},
        }
        for p in layout.parts
    ]
    tree = {"schema": layout.schema.to_json(), "parts": parts}
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
