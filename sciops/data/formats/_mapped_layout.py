"""From arrays and what their owner says about them to the description of one file."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import SIDES, Axis, Boundary, Domain, Grid, Points, Variable
from sciops.data.formats._mapped_roles import Described, Field
from sciops.data.formats._structure import COUNTED, counted, structure
from sciops.data.formats._trajectories import Content
from sciops.data.layout import COMPONENTS, Part, Stored
from sciops.data.mapping import NOTHING, RESERVED, Mapping


def content(path: Path, m: Mapping) -> Content:
    """What one file (or folder of files side by side) holds under a mapping.

    Raises
    ------
    DataError
        If an array is missing, has other axes than the mapping says, or contradicts another.
    """
    with structure(path):
        return _Builder(Described(path, m)).content()


class _Builder:
    def __init__(self, d: Described) -> None:
        self.d, self.path, self.m, self.arrays = d, d.path, d.m, d.arrays
        self.notes: list[str] = []
        self.n = d.sizes.get("sample", 1)
        self.frames = d.sizes.get("time", 1)
        self.flipped: set[str] = set()  # axes that are stored falling
        self.axes = self._axes()

    def content(self) -> Content:
        """The description of the file."""
        variables, arrays = [], {}
        for f in self.d.fields:
            variable = self._variable(f)
            variables.append(variable)
            arrays[f.name] = tuple(self._turned(self.d.stored[k]) for k in f.keys)
        params = {k: v for f in self.d.params for k, v in self._values(f).items()}
        evolves = any(v.time_varying for v in variables)
        lengths = np.full(self.n, self.frames if evolves else 1)
        times = self._times() if evolves else None
        part = Part(str(self.path), self.n, lengths, arrays, times, params)
        units = {k: u for k, u in self.m.units.items() if k in params}
        self.d.known_names(self.m.units, [*arrays, *params, *self.axes, "time"], "units")
        return Content(
            self.path,
            tuple(variables),
            (part,),
            self._boundary(),
            tuple(dict.fromkeys(self.notes)),
            dict.fromkeys(params, "array of the file, by the mapping"),
            units,
            self.m.attributes,
        )

    def _axes(self) -> dict[str, Axis]:
        """Axes of the grid: those with coordinates in the order given, then as they appear."""
        m = self.m
        used = {a for f in self.d.fields for k in f.keys for a in self.d.stored[k].axes}
        names = [a for a in self.d.sizes if a in used and a not in RESERVED]
        self.d.known_names(m.coords, names, "coords")
        self.d.known_names([p.partition(".")[0] for p in m.boundary], names, "boundary")
        return {a: self._axis(a) for a in sorted(names, key=lambda a: _rank(a, list(m.coords)))}

    def _axis(self, name: str) -> Axis:
        n, unit = self.d.sizes[name], self.m.units.get(name)
        kinds = {k for p, k in self.m.boundary.items() if p.partition(".")[0] == name}
        periodic = True if kinds == {"periodic"} else False if kinds - {"unknown"} else None
        if name not in self.m.coords:
            self.notes.append(COUNTED)
            return replace(counted(name, n), periodic=periodic, unit=unit)
        c = self.m.coords[name]
        if c.array is None:
            assert c.lower is not None and c.upper is not None
            return Axis.uniform(name, n, c.lower, c.upper, c.spacing, periodic, unit)
        x = self._line(c.array, n, name)
        if n > 1 and (np.diff(x) < 0).all():
            x = x[::-1]
            self.flipped.add(name)
            self.notes.append(f"{name} is stored falling and is turned round")
        if c.lower is None or c.upper is None:
            return Axis.through(name, x, periodic=periodic, unit=unit)
        return Axis(name, x, c.lower, c.upper, periodic, unit)

    def _line(self, key: str, n: int, what: str) -> NDArray[np.float64]:
        """(n,) numbers, however many axes of length 1 they are stored with."""
        values = self.arrays.numbers(key)
        if values.size != n or max(values.shape, default=1) != n:
            edges = "; edges of cells go in as [lower, upper]" if values.size == n + 1 else ""
            raise DataError(
                self.path,
                f"{key} gives {what!r} and must have {n} entries, got the shape {values.shape}"
                f"{edges}",
            )
        return values.reshape(n)

    def _turned(self, stored: Stored) -> Stored:
        return replace(stored, flipped=tuple(a for a in stored.axes if a in self.flipped))

    def _boundary(self) -> tuple[Boundary, ...]:
        found = []
        for place, kind in self.m.boundary.items():
            axis, _, side = place.partition(".")
            sides = [s for s in SIDES if side in ("", s)]
            found += [Boundary(axis, s, kind) for s in sides if kind != "unknown"]
        return tuple(found)

    def _variable(self, f: Field) -> Variable:
        axes = {k: {a for a in self.d.stored[k].axes if a} for k in f.keys}
        first = self.d.stored[f.keys[0]]
        own = dict(zip(first.axes, first.shape, strict=True))
        if len(f.keys) > 1:
            if any(a != axes[f.keys[0]] or a & {*COMPONENTS} for a in axes.values()):
                shown = " and ".join(self.d.shown(k) for k in f.keys)
                raise DataError(
                    self.path, f"the components of {f.name!r} must have the same dims, got {shown}"
                )
            components: tuple[int, ...] = (len(f.keys),)
        else:
            components = tuple(own[c] for c in COMPONENTS if c in own)
            if "component2" in own and "component" not in own:
                raise DataError(
                    self.path, f"{self.d.shown(f.keys[0])}: component2 without component"
                )
        domain = self._domain(f, axes[f.keys[0]])
        varying = "time" in own
        if f.role == "state" and not varying:
            raise DataError(self.path, f"{self.d.shown(f.keys[0])}: a state needs the dim time")
        unit = self.m.units.get(f.name)
        return Variable(
            f.name, domain, f.role, components, unit=unit, time_varying=varying,
            location="node" if isinstance(domain, Points) else None,
        )  # fmt: skip

    def _domain(self, f: Field, axes: set[str]) -> Domain:
        grid = tuple(axis for name, axis in self.axes.items() if name in axes)
        if ("node" in axes) == bool(grid):
            raise DataError(
                self.path,
                f"{self.d.shown(f.keys[0])}: a field lies on axes of a grid (any names) or on the "
                f"dim node; numbers of a sample are params",
            )
        return Grid(grid) if grid else self._points

    @cached_property
    def _points(self) -> Points:
        given, nodes = self.m.points, self.d.sizes["node"]
        if given is None:
            raise DataError(
                self.path,
                f"the dim node needs positions: points: KEY of an array ({nodes}, D), or a list "
                f"of one array for each coordinate; {self.arrays.listing()}",
            )
        read = [self.arrays.numbers(k) for k in given.arrays]
        if len(read) > 1:
            lines = [self._line(k, nodes, "node") for k in given.arrays]
            x = np.stack(lines, axis=-1)
        else:
            (key,), (x,) = given.arrays, read
            if self.m.dims.get(key, ("node", "component")) == ("component", "node"):
                x = x.T
            if x.ndim != 2 or len(x) != nodes:
                raise DataError(
                    self.path,
                    f"{key} gives the positions of {nodes} nodes and must be ({nodes}, D), got "
                    f"{x.shape}; an array (D, {nodes}) has the dims component node",
                )
        cells = None if given.cells is None else self.arrays.numbers(given.cells)
        weights = None if given.weights is None else self._line(given.weights, nodes, "node")
        return Points(x, None if cells is None else cells.astype(np.int64), weights)

    def _values(self, f: Field) -> dict[str, NDArray[np.float64]]:
        """(n,) of a parameter; name0, name1, .. where it has components."""
        found: dict[str, NDArray[np.float64]] = {}
        for key in f.keys:
            values = self.arrays.numbers(key)
            axes = self.d.stored[key].axes if key in self.d.stored else ()
            if not set(axes) <= {"sample", "component", ""}:
                raise DataError(
                    self.path, f"{self.d.shown(key)}: a parameter has the dims sample [component]"
                )
            if "component" in axes:
                rows = np.moveaxis(values, axes.index("component"), -1)
                rows = rows.reshape(-1, rows.shape[-1])
                found |= {f"{f.name}{k}": column for k, column in enumerate(rows.T)}
            else:
                name = f.name if len(f.keys) == 1 else self.arrays.name(key)
                one = values.size == 1
                found[name] = values.reshape(1) if one else self._line(key, self.n, f.name)
        return {k: np.broadcast_to(v, (self.n,)).copy() for k, v in found.items()}

    def _times(self) -> NDArray[np.float64] | None:
        given, frames = self.m.time, self.frames
        if given is None:
            return None
        if given.array is None:
            assert given.dt is not None
            return given.start + given.dt * np.arange(frames, dtype=np.float64)
        key = given.array
        values = self.arrays.numbers(key)
        axes = tuple(a for a in self.m.dims.get(key, ()) if a != NOTHING)
        values = values.reshape([n for n in values.shape if n != 1] or [1])
        if axes == ("time", "sample") and values.ndim == 2:
            values = values.T
        if values.shape == (frames + 1,) and "time" not in axes:
            self.notes.append(
                f"{key} has one time more than there are frames; the last is left out"
            )
            values = values[:-1]
        if values.shape not in ((frames,), (self.n, frames)):
            raise DataError(
                self.path,
                f"{key} gives the times and must be ({frames},) or ({self.n}, {frames}), got "
                f"{values.shape}",
            )
        return values


def _rank(name: str, order: list[str]) -> int:
    return order.index(name) if name in order else len(order)
