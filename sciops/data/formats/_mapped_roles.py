"""Which of the arrays of a file are variables under a mapping, and in which role."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sciops.core.errors import DataError, did_you_mean
from sciops.core.schema import Role
from sciops.data.formats._mapped_arrays import Arrays
from sciops.data.layout import COMPONENTS, Stored
from sciops.data.mapping import NOTHING, ROLES, Mapping

EXAMPLE = {1: "sample", 2: "sample x", 3: "sample x y", 4: "sample time x y"}


@dataclass(frozen=True)
class Field:
    """A variable: its role, and the keys of its array or of its components."""

    name: str
    role: Role
    keys: tuple[str, ...]


class Described:
    """The arrays that a mapping gives dims, their common sizes, and what they are.

    Attributes
    ----------
    stored
        Key -> array with the meaning of its axes.
    sizes
        Dim -> length, the same in all arrays.
    fields, params
        The variables.
    """

    def __init__(self, path: Path, m: Mapping) -> None:
        self.path, self.m = path, m
        self.arrays = Arrays(path)
        if not m.dims:
            raise DataError(
                path,
                f"the mapping gives no dims; {self.arrays.listing()}. Add a line for each array "
                f"that is used, as in  dims: {{u: sample time y x}}",
            )
        self.stored = {key: self._described(key, axes) for key, axes in m.dims.items()}
        self.sizes = self._sizes()
        self.fields, self.params = self._roles()

    def known_names(self, names: Iterable[str], known: Iterable[str], setting: str) -> None:
        """DataError, with the nearest known name, unless all names are known."""
        known = list(known)
        for name in names:
            if name not in known:
                raise DataError(
                    self.path,
                    f"{setting}: {name!r} is none of {', '.join(known) or 'nothing'}."
                    f"{did_you_mean(name, known)}",
                )

    def _described(self, key: str, axes: tuple[str, ...]) -> Stored:
        """The array with the meaning of its axes."""
        nameless = self.arrays.nameless and len(self.m.dims) == 1
        found = self.arrays.the_one() if nameless else self.arrays.find(key)
        if len(axes) != len(found.shape):
            raise DataError(
                self.path,
                f"{key} has the shape {found.shape}, {len(found.shape)} axes, but its dims "
                f"{' '.join(axes)!r} name {len(axes)}; _ stands for an axis of length 1",
            )
        if 0 in found.shape:
            raise DataError(self.path, f"{key} is empty: {found.shape}")
        long = [n for a, n in zip(axes, found.shape, strict=True) if a == NOTHING and n != 1]
        if long:
            raise DataError(
                self.path,
                f"{key} has the shape {found.shape} and the dims {' '.join(axes)!r}, but _ is an "
                f"axis of length 1, not {long[0]}; name the axis",
            )
        return replace(found, axes=tuple("" if a == NOTHING else a for a in axes))

    def _sizes(self) -> dict[str, int]:
        """Length of each dim, the same in all arrays."""
        sizes: dict[str, int] = {}
        first: dict[str, str] = {}
        for key, s in self.stored.items():
            for axis, size in zip(s.axes, s.shape, strict=True):
                if axis in COMPONENTS or not axis:
                    continue
                if sizes.setdefault(axis, size) != size:
                    other = first[axis]
                    raise DataError(
                        self.path,
                        f"{axis!r} has {sizes[axis]} entries in {self.shown(other)} but {size} in "
                        f"{self.shown(key)}; correct the dims, or call one of the axes otherwise",
                    )
                first.setdefault(axis, key)
        return sizes

    def shown(self, key: str) -> str:
        """An array with its shape and dims, for errors."""
        s = self.stored[key]
        return f"{key} {s.shape} = ({', '.join(a or NOTHING for a in s.axes)})"

    def _roles(self) -> tuple[list[Field], list[Field]]:
        """(fields, parameters)."""
        names = self._names()
        taken: dict[str, str] = {}  # name -> the role's setting
        chosen = []
        for setting, role in ROLES.items():
            for name, given in getattr(self.m, setting).items():
                keys = given or names.get(name) or self._by_key(name, names, role)
                if not given and name not in names:
                    name = next((k for k in names if names[k] == keys), self.arrays.name(name))
                if name in taken:
                    raise DataError(
                        self.path,
                        f"{name!r} is named as one of the {taken[name]} and of the {setting}; a "
                        f"field that evolves and is predicted from itself is one of the states",
                    )
                taken[name] = setting
                for key in keys:
                    if role != "param" and key not in self.stored:
                        self._no_dims(key)
                chosen.append(Field(name, role, keys))
        used = {k for f in chosen for k in f.keys}
        for name, keys in names.items():
            if used.isdisjoint(keys):
                chosen.append(Field(name, self._left_out(name, keys), keys))
        fields = [f for f in chosen if f.role != "param"]
        if not fields:
            raise DataError(self.path, f"the mapping names no field; {self.arrays.listing()}")
        return fields, [f for f in chosen if f.role == "param"]

    def _names(self) -> dict[str, tuple[str, ...]]:
        """Variable -> keys, for the arrays that have dims and are no coordinates."""
        m = self.m
        self.known_names(m.rename, m.dims, "rename")
        names = dict(m.components)
        for name, keys in names.items():
            for key in keys:
                if key not in self.stored:
                    self._no_dims(key, f"the component {key!r} of {name!r}")
        elsewhere = {k for keys in names.values() for k in keys} | self._coordinate_keys()
        elsewhere |= {k for s in ROLES for keys in getattr(m, s).values() for k in keys}
        for key in self.stored:
            if key in elsewhere:
                continue
            name = m.rename.get(key) or self.arrays.name(key)
            if name in names:
                raise DataError(
                    self.path,
                    f"two arrays are called {name!r}, {' and '.join([*names[name], key])}; "
                    f"rename one, as in  rename: {{{key}: other_name}}",
                )
            names[name] = (key,)
        return names

    def _coordinate_keys(self) -> set[str]:
        m = self.m
        keys = {c.array for c in m.coords.values() if c.array}
        keys |= {m.time.array} if m.time and m.time.array else set()
        if m.points is not None:
            keys |= {*m.points.arrays} | {k for k in (m.points.cells, m.points.weights) if k}
        return keys

    def _by_key(self, name: str, names: Iterable[str], role: Role) -> tuple[str, ...]:
        """The array of that key, for a name that no variable has."""
        if name in self.stored or role == "param":
            self.arrays.find(name)
            return (name,)
        self._no_dims(name, f"{name!r}", names)
        return ()

    def _no_dims(self, key: str, what: str = "", names: Iterable[str] = ()) -> None:
        """The error for an array that has no dims; suggests them."""
        try:
            shape = self.arrays.find(key).shape
        except DataError:
            known = [*names, *self.stored]
            raise DataError(
                self.path,
                f"no variable {key!r} among {known}; {self.arrays.listing()}."
                f"{did_you_mean(key, known)}",
            ) from None
        raise DataError(
            self.path,
            f"{what or key} has the shape {shape} but no dims; add a line such as\n"
            f"    dims: {{{key}: {self._suggested(shape)}}}",
        )

    def _suggested(self, shape: tuple[int, ...]) -> str:
        """Dims by the lengths that are known; an example where none is."""
        words: list[str] = []
        for size in shape:
            fits = [a for a, n in self.sizes.items() if n == size and a not in words]
            words.append(fits[0] if len(fits) == 1 else NOTHING if size == 1 else "?")
        if set(words) == {"?"}:
            return EXAMPLE.get(len(shape), "sample time x y z")
        return " ".join(words)

    def _left_out(self, name: str, keys: Sequence[str]) -> Role:
        """The role of a variable that the mapping gives none."""
        axes = {a for k in keys for a in self.stored[k].axes if a}
        if axes <= {"sample", *COMPONENTS}:
            return "param"
        if "time" in axes and not self.m.states:
            return "state"
        raise DataError(
            self.path,
            f"{self.shown(keys[0])} has no role; name it under inputs or targets (or states, "
            f"geometry, forcing), as in  inputs: [{name}], or leave its dims out",
        )
